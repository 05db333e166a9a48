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
    /// Mean and standard deviation over seeds by set and control, if several were fitted.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub seeds: BTreeMap<String, OverSeeds>,
    /// Findings and classes.
    pub findings: Option<FindingFigures>,
}

/// A rate over seeds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// Mean.
    pub mean: f64,
    /// Standard deviation of a sample; 0 for a single seed.
    pub sd: f64,
}

impl Spread {
    fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n.max(1.0);
        let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        Self {
            mean,
            sd: (squares / (n - 1.0).max(1.0)).sqrt(),
        }
    }
}

/// One set's rates over seeds, as fractions of 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct OverSeeds {
    /// Questions.
    pub n: usize,
    /// Seeds.
    pub seeds: usize,
    /// On open questions.
    pub open: Spread,
    /// On closed questions.
    pub closed: Spread,
    /// On all questions.
    pub overall: Spread,
}

impl OverSeeds {
    /// - `runs`: the rates of every seed, by set; a set that a seed lacks is left out
    pub fn of(runs: &[BTreeMap<String, VqaScore>]) -> BTreeMap<String, Self> {
        let Some(first) = runs.first() else {
            return BTreeMap::new();
        };
        let rows = first.iter().filter_map(|(name, score)| {
            let all: Vec<&VqaScore> = runs.iter().filter_map(|run| run.get(name)).collect();
            let rates = |rate: fn(&VqaScore) -> f64| {
                Spread::of(&all.iter().map(|s| rate(s)).collect::<Vec<f64>>())
            };
            (all.len() == runs.len()).then(|| {
                let row = Self {
                    n: score.n,
                    seeds: runs.len(),
                    open: rates(|s| s.open.unwrap_or(f64::NAN)),
                    closed: rates(|s| s.closed.unwrap_or(f64::NAN)),
                    overall: rates(|s| s.overall),
                };
                (name.clone(), row)
            })
        });
        rows.collect()
    }
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
        for (name, r) in &self.seeds {
            let spread = |s: Spread| format!("{:.3} ± {:.3}", s.mean, s.sd);
            lines.push(format!(
                "{} seeds; {name}: n {} open {} closed {} overall {}",
                r.seeds,
                r.n,
                spread(r.open),
                spread(r.closed),
                spread(r.overall)
            ));
        }
        lines.push(format!("threshold {:.3}", self.threshold));
        if let Some(f) = &self.findings {
            lines.push(f.to_string());
        }
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(overall: f64) -> BTreeMap<String, VqaScore> {
        let score = VqaScore {
            n: 10,
            open: Some(overall),
            closed: Some(1.0),
            overall,
            ece: 0.0,
            coverage: 1.0,
            selective_accuracy: None,
        };
        BTreeMap::from([("set".to_string(), score)])
    }

    #[test]
    fn seeds_are_summed_up_by_mean_and_sample_deviation() {
        let all = OverSeeds::of(&[run(0.5), run(0.6), run(0.7)]);
        let row = all["set"];
        assert_eq!((row.n, row.seeds), (10, 3));
        assert!((row.overall.mean - 0.6).abs() < 1e-12);
        assert!((row.overall.sd - 0.1).abs() < 1e-12, "n - 1 below the root");
        assert_eq!(row.closed.sd, 0.0);
    }
}
