//! Learning rates of a run: a cosine, a constant, or the stepped ramp of MEVF.

use serde::{Deserialize, Serialize};

use super::Schedule;

/// The learning rate over a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Rate {
    /// The same at every step.
    Constant {
        /// The rate.
        rate: f64,
    },
    /// Whole epochs at multiples of a base rate, then level, then multiplied by a factor every few epochs.
    ///
    /// Source: `train.py` of aioz-ai/MICCAI19-MedVQA.
    Stepped {
        /// The base rate.
        base: f64,
        /// Multiples of the base in the first epochs; the last stays.
        ramp: Vec<f64>,
        /// First epoch of decay, counted from 0.
        decay_from: u64,
        /// The epoch from which the rate stays.
        decay_until: u64,
        /// Epochs between decays.
        decay_every: u64,
        /// Factor of one decay.
        decay: f64,
    },
    /// Linear warm-up over some epochs, then half a cosine to a floor at the run's end.
    Cosine {
        /// Highest rate.
        peak: f64,
        /// Epochs of warm-up.
        warmup_epochs: f64,
        /// Last rate as a fraction of the highest.
        floor: f64,
    },
}

impl Rate {
    /// MEVF's schedule: 0.5, 1, 1.5 and 2 times the base in the first four epochs, then times 0.75 at epochs 10, 12, 14, 16, 18.
    pub fn mevf(base: f64) -> Self {
        Self::Stepped {
            base,
            ramp: vec![0.5, 1.0, 1.5, 2.0],
            decay_from: 10,
            decay_until: 20,
            decay_every: 2,
            decay: 0.75,
        }
    }

    /// Changes the base, the constant or the peak.
    pub fn set_base(&mut self, value: f64) {
        match self {
            Self::Constant { rate } => *rate = value,
            Self::Stepped { base, .. } => *base = value,
            Self::Cosine { peak, .. } => *peak = value,
        }
    }

    /// The rate of a step.
    ///
    /// - `step`: counted from 0
    /// - `per_epoch`: steps of an epoch, at least 1
    /// - `total`: steps of the run
    pub fn at(&self, step: u64, per_epoch: u64, total: u64) -> f64 {
        match self {
            Self::Constant { rate } => *rate,
            Self::Stepped {
                base,
                ramp,
                decay_from,
                decay_until,
                decay_every,
                decay,
            } => {
                let epoch = step / per_epoch.max(1);
                let multiple = ramp
                    .get(epoch as usize)
                    .or(ramp.last())
                    .copied()
                    .unwrap_or(1.0);
                let within = (epoch + 1).min(*decay_until).saturating_sub(*decay_from);
                let decays = within.div_ceil((*decay_every).max(1));
                base * multiple * decay.powi(decays.min(1 << 20) as i32)
            }
            Self::Cosine {
                peak,
                warmup_epochs,
                floor,
            } => Schedule {
                peak: *peak,
                warmup: (warmup_epochs * per_epoch as f64) as u64,
                total,
                floor: *floor,
            }
            .rate(step),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ramp_rises_by_epochs_and_decays_as_the_published_trainer_does() {
        let rate = Rate::mevf(0.005);
        let at = |epoch: u64| rate.at(epoch * 96 + 95, 96, 20 * 96);
        for (epoch, wanted) in [
            (0, 0.0025),
            (1, 0.005),
            (2, 0.0075),
            (3, 0.01),
            (9, 0.01),
            (10, 0.0075),
            (11, 0.0075),
            (12, 0.005_625),
            (18, 0.01 * 0.75f64.powi(5)),
            (19, 0.01 * 0.75f64.powi(5)),
            (40, 0.01 * 0.75f64.powi(5)),
        ] {
            assert!(
                (at(epoch) - wanted).abs() < 1e-12,
                "epoch {epoch}: {}",
                at(epoch)
            );
        }
    }
}
