//! What `train answers` measures.

use std::collections::BTreeMap;

use lucency_train::metrics::vqa::VqaScore;
use serde::Serialize;

use super::ablations::Ablations;
use super::findings::FindingFigures;

/// Accuracy wanted among answered questions, and the least share that must be answered.
pub const WANTED_ACCURACY: f64 = 0.8;
/// See [`WANTED_ACCURACY`].
pub const LEAST_COVERAGE: f64 = 0.2;

/// Questions about images that are known with other questions, as in the published test split.
pub const SEEN: &str = "vqa-rad, known images";
/// Questions about images that were never seen.
pub const UNSEEN: &str = "vqa-rad, new images";
/// Name of the set that confidence is calibrated on.
pub const POOLED: &str = "vqa-rad, known and new images";
/// Questions about drawings of other seeds.
pub const PHANTOMS: &str = "phantoms";

/// Everything that was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// Rates by set and control.
    pub answers: BTreeMap<String, VqaScore>,
    /// The abstention threshold.
    pub threshold: f64,
    /// The same questions with parts left out, if that was asked for.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ablations: Ablations,
    /// Findings and classes.
    pub findings: Option<FindingFigures>,
}

impl Measured {
    /// One line a set.
    pub fn lines(&self) -> String {
        let rate = |v: Option<f64>| v.unwrap_or(f64::NAN);
        let line = |name: &str, r: &VqaScore| {
            format!(
                "{name}: n {} open {:.3} closed {:.3} overall {:.3} ece {:.3} coverage {:.3} answered {:.3}",
                r.n,
                rate(r.open),
                rate(r.closed),
                r.overall,
                r.ece,
                r.coverage,
                rate(r.selective_accuracy)
            )
        };
        let mut lines: Vec<String> = self.answers.iter().map(|(name, r)| line(name, r)).collect();
        for (name, sets) in &self.ablations {
            lines.extend(
                sets.iter()
                    .map(|(set, r)| line(&format!("{name}; {set}"), r)),
            );
        }
        lines.push(format!("threshold {:.3}", self.threshold));
        if let Some(f) = &self.findings {
            lines.push(f.to_string());
        }
        lines.join("\n")
    }
}
