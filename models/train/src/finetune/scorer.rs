//! An adapter in use: from pictures to calibrated probabilities of its classes.

use candle_core::Tensor;
use lucency_nn::{Interrupt, Progress};
use lucency_zoo::clip::Clip;
use lucency_zoo::preprocess::{Image8, Preprocess};

use super::classify::{class_logits, directions_of, embed_pictures};
use super::features::{FeatureSet, Pictures, extract};
use super::tune::{Model, with_adapter};
use super::{Adapter, Calibrator, Method, Towers};
use crate::probe::{Features, Probe, squash};
use crate::{Result, TrainError};

/// What an adapter says about pictures.
pub struct Scorer {
    exclusive: bool,
    calibration: Option<Calibrator>,
    kind: Kind,
}

enum Kind {
    Probe(Box<Probe>, FeatureSet),
    /// Towers, and a direction a class, `[classes, d]`.
    Classes(Box<Towers>, Tensor),
    /// Towers that were trained on pairs.
    Pairs(Box<Towers>),
}

/// One picture, in the model's size.
pub struct OneImage(pub Image8);

impl Pictures for OneImage {
    fn len(&self) -> usize {
        1
    }

    fn picture(&self, _: usize) -> Result<Image8> {
        Ok(self.0.clone())
    }
}

/// Images a forward pass.
const BATCH: usize = 16;

impl Scorer {
    /// Loads what an adapter learned.
    ///
    /// - `templates`: the pack's prompt templates
    ///
    /// Errors if a file is damaged or does not fit the plan.
    pub fn open(adapter: &Adapter, model: Model<'_>, templates: &[String]) -> Result<Self> {
        adapter.verify()?;
        let manifest = &adapter.manifest;
        if manifest.method == Method::Probe {
            let features = manifest.features.ok_or_else(|| TrainError::Adapter {
                path: adapter.dir.clone(),
                reason: "it does not say what its probe reads".into(),
            })?;
            return Ok(Self {
                exclusive: manifest.exclusive,
                calibration: manifest.calibration.clone(),
                kind: Kind::Probe(Box::new(adapter.probe()?), features),
            });
        }
        let towers = with_adapter(model, adapter.trained()?, &adapter.plan()?)?;
        let calibration = manifest.calibration.clone();
        match manifest.method {
            Method::Contrastive => Ok(Self {
                exclusive: true,
                calibration: None,
                kind: Kind::Pairs(Box::new(towers)),
            }),
            _ => Self::of_towers(
                towers,
                &manifest.classes,
                templates,
                manifest.exclusive,
                calibration,
            ),
        }
    }

    /// Of towers that were just trained on classes.
    pub fn of_towers(
        towers: Towers,
        names: &[String],
        templates: &[String],
        exclusive: bool,
        calibration: Option<Calibrator>,
    ) -> Result<Self> {
        towers.set_dropout(None);
        let directions = directions_of(&towers, names, templates, exclusive)?.detach();
        Ok(Self {
            exclusive,
            calibration,
            kind: Kind::Classes(Box::new(towers), directions),
        })
    }

    /// Of a probe that was just fitted.
    pub fn of_probe(
        probe: Probe,
        features: FeatureSet,
        exclusive: bool,
        calibration: Option<Calibrator>,
    ) -> Self {
        Self {
            exclusive,
            calibration,
            kind: Kind::Probe(Box::new(probe), features),
        }
    }

    /// The same with another calibration.
    pub fn calibrated(self, calibration: Option<Calibrator>) -> Self {
        Self {
            calibration,
            ..self
        }
    }

    /// From logits to probabilities, if it has been fitted.
    pub fn calibration(&self) -> Option<&Calibrator> {
        self.calibration.as_ref()
    }

    /// The adapted towers; none of a probe.
    pub fn towers(&self) -> Option<&Towers> {
        match &self.kind {
            Kind::Probe(..) => None,
            Kind::Classes(towers, _) | Kind::Pairs(towers) => Some(towers),
        }
    }

    /// Logits of pictures, `[pictures][classes]`.
    ///
    /// - `clip`: the pack's own towers, which a probe reads
    ///
    /// Errors if the adapter knows no classes, or a picture cannot be read.
    pub fn logits(
        &self,
        clip: &Clip,
        preprocess: &Preprocess,
        pictures: &dyn Pictures,
        stop: &Interrupt,
        report: &mut dyn FnMut(Progress),
    ) -> Result<Vec<Vec<f64>>> {
        match &self.kind {
            Kind::Probe(probe, features) => {
                let found = extract(clip, preprocess, pictures, &[*features], stop, report)?;
                let none = || TrainError::Data("no feature was read".into());
                let read = Features::beside(found.first().ok_or_else(none)?)?;
                match probe.columns() == read.columns() {
                    true => probe.logits(&read),
                    false => Err(TrainError::Data(format!(
                        "the probe reads {} numbers of an image where this version takes {}; train it anew",
                        probe.columns(),
                        read.columns()
                    ))),
                }
            }
            Kind::Classes(towers, directions) => {
                tower_logits(towers, directions, pictures, stop, report)
            }
            Kind::Pairs(_) => Err(TrainError::Data(
                "the adapter was trained on reports and knows no classes".into(),
            )),
        }
    }

    /// Calibrated probabilities of pictures, `[pictures][classes]`; errors as [`Scorer::logits`].
    pub fn probabilities(
        &self,
        clip: &Clip,
        preprocess: &Preprocess,
        pictures: &dyn Pictures,
        stop: &Interrupt,
        report: &mut dyn FnMut(Progress),
    ) -> Result<Vec<Vec<f64>>> {
        let logits = self.logits(clip, preprocess, pictures, stop, report)?;
        Ok(logits.iter().map(|row| self.probability(row)).collect())
    }

    /// Calibrated probabilities of one row of logits.
    pub fn probability(&self, logits: &[f64]) -> Vec<f64> {
        match &self.calibration {
            Some(calibration) => calibration.apply(logits),
            None => self.plain(logits),
        }
    }

    /// Probabilities of one row of logits as they are: softmax of classes, sigmoids of findings.
    pub fn plain(&self, logits: &[f64]) -> Vec<f64> {
        squash(logits, self.exclusive)
    }
}

fn tower_logits(
    towers: &Towers,
    directions: &Tensor,
    pictures: &dyn Pictures,
    stop: &Interrupt,
    report: &mut dyn FnMut(Progress),
) -> Result<Vec<Vec<f64>>> {
    let total = pictures.len();
    let mut logits = Vec::with_capacity(total);
    for start in (0..total).step_by(BATCH) {
        if stop.is_stopped() {
            return Err(TrainError::Stopped);
        }
        report(Progress::new(
            "looking at images",
            start as u64,
            total as u64,
        ));
        let rows: Vec<usize> = (start..(start + BATCH).min(total)).collect();
        let images = embed_pictures(towers, pictures, &rows)?;
        logits.extend(class_logits(towers, &images, directions)?);
    }
    Ok(logits)
}
