//! Taking adapters in that PEFT wrote.

use std::path::Path;

use lucency_train::finetune::{
    Adapter, AdapterManifest, FORMAT, Learned, adapter_folder, peft, read_foreign,
};

use super::adapters::{read, summary_now};
use super::{Base, refuse};
use crate::Options;
use crate::dto::AdapterSummary;
use crate::error::Result;
use crate::ledger;

/// What PEFT's files do not say of an adapter.
#[derive(Clone, Debug, Default)]
pub struct Stated {
    /// Its name here; none for the folder's.
    pub name: Option<String>,
    /// Classes or findings that it was trained on; empty if it is to be asked for whatever a table holds.
    pub classes: Vec<String>,
    /// Whether they are findings, which do not exclude each other.
    pub findings: bool,
    /// When it is taken in, RFC 3339, UTC.
    pub created: String,
}

/// Takes a folder in that PEFT wrote, without a manifest of ours, onto a pack.
///
/// - `pack`: name or folder of the pack; none for the default one
///
/// Errors if the name is taken, or its keys or shapes do not fit the pack; as [`read_foreign`].
pub fn import_foreign(
    options: &Options,
    from: &Path,
    pack: Option<&str>,
    stated: &Stated,
) -> Result<AdapterSummary> {
    let folder = from.file_name().unwrap_or_default().to_string_lossy();
    let name = stated.name.clone().unwrap_or_else(|| folder.into_owned());
    let dir = adapter_folder(&options.home, &name)?;
    if dir.exists() {
        return Err(refuse(
            "name_taken",
            format!(
                "{} is there already; choose another with --name",
                dir.display()
            ),
        ));
    }
    let base = Base::open(options, pack)?;
    let found = read_foreign(from, base.model(), base.pack.name())?;
    let manifest = AdapterManifest {
        format: FORMAT,
        name: name.clone(),
        method: found.plan.method,
        base: base.identity(),
        classes: stated.classes.clone(),
        exclusive: !stated.findings,
        features: None,
        calibration: None,
        renamed: Vec::new(),
        cases: 0,
        patients: 0,
        seed: found.plan.seed,
        operating_points: vec![
            0.5;
            if stated.findings {
                stated.classes.len()
            } else {
                0
            }
        ],
        abstain_below: 0.0,
        created: stated.created.clone(),
        notes: "taken in from PEFT's files".into(),
        files: Default::default(),
    };
    Adapter::write(
        &dir,
        manifest,
        Learned::Tuned(&found.plan, &found.towers),
        &[],
    )?;
    // It is there, whatever state the library is in.
    let _ = ledger::note_adapters(&options.home);
    summary_now(options, &read(options, &name)?)
}

/// True for a folder in PEFT's layout that no run of ours left.
pub fn is_foreign(folder: &Path) -> bool {
    !folder.join("adapter.json").is_file() && folder.join(peft::CONFIG).is_file()
}
