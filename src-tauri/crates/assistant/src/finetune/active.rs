//! Which adapter is in use on which pack, and what it says about a picture.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use lucency_nn::{Hosted, Interrupt, Place};
use lucency_packs::Pack;
use lucency_train::finetune::{
    Adapter, AdapterManifest, BasePack, Method, OneImage, Scorer, Towers, adapter_folder,
};
use lucency_train::metrics::argmax;
use serde::{Deserialize, Serialize};

use super::{Base, refuse};
use crate::Options;
use crate::assistant::Assistant;
use crate::dto::FindingScore;
use crate::error::{AssistantError, Result};
use crate::picture::Picture;

/// Adapters in use by their pack's hash: the last of a list works, those before it are where a roll-back leads.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InUse {
    pub packs: BTreeMap<String, Vec<String>>,
}

fn path(home: &Path) -> PathBuf {
    home.join("adapters").join("active.json")
}

impl InUse {
    /// Errors if the record is damaged.
    pub fn read(home: &Path) -> Result<Self> {
        match std::fs::read_to_string(path(home)) {
            Err(_) => Ok(Self::default()),
            Ok(text) => serde_json::from_str(&text).map_err(|e| {
                refuse(
                    "bad_adapter",
                    format!(
                        "{}: {e}; remove the file to work without adapters",
                        path(home).display()
                    ),
                )
            }),
        }
    }

    pub fn write(&self, home: &Path) -> Result<()> {
        let io = |source| AssistantError::Io {
            what: "the record of adapters in use".into(),
            source,
        };
        let path = path(home);
        let folder = path.parent().unwrap_or(home);
        let text = serde_json::to_string_pretty(self).map_err(|e| refuse("json", e.to_string()))?;
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(io)?;
        file.write_all(text.as_bytes())
            .and_then(|()| file.as_file().sync_all())
            .map_err(io)?;
        file.persist(&path).map_err(|e| io(e.error)).map(|_| ())
    }

    /// The adapter in use on a pack.
    pub fn on(&self, hash: &str) -> Option<&str> {
        self.packs.get(hash)?.last().map(String::as_str)
    }

    /// Whether an adapter is in use on any pack.
    pub fn uses(&self, name: &str) -> bool {
        self.packs.keys().any(|hash| self.on(hash) == Some(name))
    }
}

/// An adapter that is in use.
pub(crate) struct ActiveAdapter {
    manifest: AdapterManifest,
    scorer: Hosted<Scorer, AssistantError>,
    id: String,
}

/// The adapter in use on a pack, loaded; none if the pack works alone.
///
/// Errors if it is damaged: the pack must not silently answer in its place.
pub(crate) fn active_adapter(options: &Options, pack: &Pack) -> Result<Option<ActiveAdapter>> {
    let home = &options.home;
    let in_use = InUse::read(home)?;
    let Some(name) = in_use.on(pack.hash()) else {
        return Ok(None);
    };
    let identity = BasePack {
        name: pack.name().to_owned(),
        hash: pack.hash().to_owned(),
    };
    let load = || -> Result<ActiveAdapter> {
        let adapter = Adapter::open(&adapter_folder(home, name)?, &identity)?;
        let stated = adapter.manifest.clone();
        let dir = pack.dir().to_path_buf();
        let scorer = Hosted::load(&options.compute, move |place| {
            scorer_at(place, &adapter, &dir)
        })?;
        let manifest = serde_json::to_vec(&stated).map_err(|e| refuse("json", e.to_string()))?;
        Ok(ActiveAdapter {
            id: lucency_packs::digest(&manifest),
            manifest: stated,
            scorer,
        })
    };
    load().map(Some).map_err(|error| {
        refuse(
            "bad_adapter",
            format!("the adapter in use cannot be loaded: {error} (`lucency adapters rollback` works without it)"),
        )
    })
}

/// What an adapter learned, ready to work.
fn scorer_at(place: &Place, adapter: &Adapter, pack: &Path) -> Result<Scorer> {
    let manifest = &adapter.manifest;
    match (manifest.method, manifest.features, &manifest.calibration) {
        // A probe reads the pack's own towers, which are there already.
        (Method::Probe, Some(features), Some(calibration)) => {
            adapter.verify()?;
            let (probe, calibration) = (adapter.probe()?, Some(calibration.clone()));
            Ok(Scorer::of_probe(
                probe,
                features,
                manifest.exclusive,
                calibration,
            ))
        }
        _ => {
            let base = Base::of(Pack::open(pack)?, place)?;
            Ok(Scorer::open(adapter, base.model(), base.templates())?)
        }
    }
}

impl ActiveAdapter {
    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.manifest.name
    }

    /// Tells its embeddings from the pack's own and from other adapters'.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Whether it scores classes of its own.
    pub(crate) fn knows_classes(&self) -> bool {
        self.manifest.method != Method::Contrastive
    }

    /// Whether images and texts are compared with its towers: only if it was trained on pairs, since towers that were bent towards a
    /// few classes tell little else apart.
    pub(crate) fn compares(&self) -> bool {
        !self.knows_classes()
    }

    /// Does work with its towers where they are; see [`Hosted::run`].
    ///
    /// Errors as the work does, or if the adapter [does not compare](Self::compares).
    pub(crate) fn with_towers<T>(&self, work: impl Fn(&Towers) -> Result<T>) -> Result<T> {
        self.scorer.run(|scorer| match scorer.towers() {
            Some(towers) if self.compares() => work(towers),
            _ => Err(refuse(
                "bad_adapter",
                format!(
                    "the adapter `{}` has no towers to compare with",
                    self.name()
                ),
            )),
        })
    }

    /// Its classes on a picture, highest score first, and what the reader has to know.
    pub(crate) fn findings(
        &self,
        assistant: &Assistant,
        picture: &Picture,
    ) -> Result<(Vec<FindingScore>, String)> {
        let preprocess = &assistant.pack().manifest().preprocessing;
        let one = OneImage(preprocess.resize_u8(&picture.image)?);
        let scores = assistant.with_clip(|clip| {
            self.scorer.run(|scorer| {
                let stop = Interrupt::new();
                Ok(scorer.probabilities(clip, preprocess, &one, &stop, &mut |_| {})?)
            })
        })?;
        let scores = scores.into_iter().next().unwrap_or_default();
        let (likeliest, unsure) = (argmax(&scores), self.is_unsure(&scores));
        let mut findings: Vec<FindingScore> = self
            .manifest
            .classes
            .iter()
            .zip(&scores)
            .enumerate()
            .map(|(class, (label, score))| {
                let operating_point = match self.manifest.exclusive {
                    true => scores[likeliest].max(self.manifest.abstain_below),
                    false => *self.manifest.operating_points.get(class).unwrap_or(&0.5),
                };
                FindingScore {
                    label: label.clone(),
                    score: *score,
                    present: *score >= operating_point,
                    operating_point,
                }
            })
            .collect();
        findings.sort_by(|a, b| b.score.total_cmp(&a.score));
        let origin = match self.manifest.cases {
            0 => "trained elsewhere and judged on cases of yours".to_owned(),
            cases => format!("trained on {cases} of your cases"),
        };
        let mut note = format!(
            "Classes of the adapter `{}`, {origin}. They say nothing about images of another kind.",
            self.manifest.name
        );
        if unsure {
            note.push_str(" It does not know: no class is likely enough.");
        }
        Ok((findings, note))
    }

    /// Whether its scores are calibrated.
    pub(crate) fn is_calibrated(&self) -> bool {
        self.manifest.calibration.is_some()
    }

    fn is_unsure(&self, scores: &[f64]) -> bool {
        let best = scores.iter().copied().fold(0.0, f64::max);
        self.manifest.exclusive && best < self.manifest.abstain_below
    }
}
