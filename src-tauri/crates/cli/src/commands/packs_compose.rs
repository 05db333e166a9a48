//! `lucency packs compose`: the towers of one pack and a trained question-answering network.

use std::path::Path;

use lucency_packs::{
    Existing, MANIFEST_FILE, Network, Pack, PackBuilder, PackManifest, PackStore, ROLE_CARD,
    ROLE_NETWORK, is_pack_name,
};
use lucency_train::vqa::{TrainedVqa, export_run};

use super::packs::error;
use crate::output::CommandError;

/// Folder of the network inside the pack.
const FOLDER: &str = "network";
/// Path of the card inside the pack.
const CARD: &str = "CARD.md";

/// Makes the pack in a temporary folder and installs it.
///
/// Errors if the run is not finished, does not fit the towers, or if the name is taken or none that a pack may have.
pub fn compose(
    store: &PackStore,
    pack: &str,
    run: &Path,
    name: &str,
) -> Result<Pack, CommandError> {
    if !is_pack_name(name) {
        return Err(CommandError::new(
            "bad_name",
            format!("{name:?} is no name for a pack: lower-case letters, digits, -, _ and . only"),
        ));
    }
    let base = store.find(pack).map_err(error)?;
    let failed = |e: lucency_train::TrainError| CommandError::new("bad_run", e.to_string());
    let trained = TrainedVqa::open(run).map_err(failed)?;
    let folder = tempfile::tempdir().map_err(anyhow::Error::from)?;
    let mut builder = PackBuilder::new(&folder.path().join(name)).map_err(error)?;
    let manifest = base.manifest();
    let kept = manifest
        .files
        .iter()
        .filter(|f| f.role != ROLE_NETWORK && f.role != ROLE_CARD && f.path != MANIFEST_FILE);
    for file in kept {
        builder
            .add_copy(&file.role, &file.path, &base.dir().join(&file.path))
            .map_err(error)?;
    }
    let network = builder
        .path(&format!("{FOLDER}/config.toml"))
        .map_err(error)?;
    let network = network.parent().unwrap_or(Path::new(FOLDER));
    for file in export_run(run, network).map_err(failed)? {
        builder
            .add(ROLE_NETWORK, &format!("{FOLDER}/{file}"))
            .map_err(error)?;
    }
    builder
        .add_bytes(ROLE_CARD, CARD, card(&base, &trained).as_bytes())
        .map_err(error)?;
    let composed = PackManifest {
        name: name.into(),
        title: format!(
            "{} with a trained question-answering network",
            manifest.title
        ),
        card: Some(CARD.into()),
        network: Some(Network {
            folder: FOLDER.into(),
        }),
        ..manifest.clone()
    };
    let built = builder.finish(composed, Existing::Keep).map_err(error)?;
    store.import(built.dir(), Some(name)).map_err(error)
}

fn card(base: &Pack, trained: &TrainedVqa) -> String {
    let plan = trained.plan();
    let c = trained.calibration();
    let calibration = match c.questions {
        0 => "It was trained without held-out questions: its confidence is not calibrated and nothing is withheld.".to_string(),
        n => format!(
            "On {n} held-out questions: calibration error {:.3}; below a confidence of {:.2} no answer is given, which answers {:.1} % with {:.1} % right.",
            c.ece_after,
            c.threshold,
            c.coverage * 100.0,
            c.selective_accuracy * 100.0
        ),
    };
    format!(
        "# {} with a trained question-answering network\n\n\
         Towers, findings and similar cases come from the pack {} ({}). Questions are answered by a network that was trained on this\n\
         machine with `lucency train vqa` ({:?}, {} epochs, seed {}; all numbers are in network/config.toml).\n\n\
         {calibration}\n\n\
         It is not a medical device and must not be used for patients.\n",
        base.manifest().title,
        base.name(),
        base.hash(),
        plan.method,
        plan.epochs,
        plan.seed
    )
}
