//! Bootstrap intervals over patients.

use std::collections::BTreeMap;

use rand::Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::data::rng_for;
use crate::{Result, TrainError};

/// Both ends of an interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// Whether two intervals share a point.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.low <= other.high && other.low <= self.high
    }
}

/// How an interval is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bootstrap {
    /// Resamples.
    pub draws: usize,
    /// Seed of the resamples; the result depends on it and not on the number of threads.
    pub seed: u64,
    /// Share of the resampled figures inside the interval.
    pub level: f64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self {
            draws: 2000,
            seed: 1,
            level: 0.95,
        }
    }
}

/// The percentile interval of a figure when whole patients are drawn with replacement.
///
/// - `groups`: the patient of each case, `[n]`
/// - `figure`: of the cases with the given indices, which repeat when a patient is drawn again; `None` where it has no value,
///   such as an AUROC of one class
///
/// Resamples without a value are left out. Errors if fewer than two patients are there, if the plan cannot be carried out, or if
/// fewer than half of the resamples have a value.
/// Source: Efron and Tibshirani 1993, section 13.3; the cluster bootstrap of Field and Welsh 2007.
pub fn bootstrap(
    groups: &[u64],
    plan: &Bootstrap,
    figure: impl Fn(&[usize]) -> Option<f64> + Sync,
) -> Result<Interval> {
    if plan.draws == 0 || !(0.0..1.0).contains(&plan.level) || plan.level == 0.0 {
        return Err(TrainError::Plan(format!(
            "an interval wants at least one resample and a level between 0 and 1, got {} and {}",
            plan.draws, plan.level
        )));
    }
    let mut members: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (index, group) in groups.iter().enumerate() {
        members.entry(*group).or_default().push(index);
    }
    let members: Vec<Vec<usize>> = members.into_values().collect();
    if members.len() < 2 {
        return Err(TrainError::Data(format!(
            "an interval over patients wants at least two patients, got {}",
            members.len()
        )));
    }
    let mut figures: Vec<f64> = (0..plan.draws)
        .into_par_iter()
        .filter_map(|draw| {
            let mut rng = rng_for(plan.seed, draw as u64, 0);
            let mut cases = Vec::with_capacity(groups.len());
            for _ in 0..members.len() {
                cases.extend(&members[rng.random_range(0..members.len())]);
            }
            figure(&cases).filter(|value| value.is_finite())
        })
        .collect();
    if figures.len() * 2 < plan.draws {
        return Err(TrainError::Data(format!(
            "only {} of {} resamples have a value: there are too few patients of one class",
            figures.len(),
            plan.draws
        )));
    }
    figures.sort_by(f64::total_cmp);
    let tail = 0.5 * (1.0 - plan.level);
    Ok(Interval {
        low: percentile(&figures, tail),
        high: percentile(&figures, 1.0 - tail),
    })
}

/// Linear interpolation between order statistics, as NumPy's default.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let below = at.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (at - below as f64) * (sorted[above] - sorted[below])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(values: &[f64], cases: &[usize]) -> Option<f64> {
        Some(cases.iter().map(|i| values[*i]).sum::<f64>() / cases.len() as f64)
    }

    #[test]
    fn the_interval_of_a_mean_is_its_normal_interval() {
        let n = 400;
        let values: Vec<f64> = (0..n).map(|i| f64::from(i % 20)).collect();
        let groups: Vec<u64> = (0..n as u64).collect();
        let plan = Bootstrap {
            draws: 4000,
            ..Bootstrap::default()
        };
        let found = bootstrap(&groups, &plan, |c| mean(&values, c)).unwrap();
        let half = 1.96 * (33.25f64 / f64::from(n)).sqrt(); // the variance of 0..=19
        assert!((found.low - (9.5 - half)).abs() < 0.04, "{found:?}");
        assert!((found.high - (9.5 + half)).abs() < 0.04, "{found:?}");
        let again = bootstrap(&groups, &plan, |c| mean(&values, c)).unwrap();
        assert_eq!(found, again, "the seed fixes it");
    }

    #[test]
    fn images_of_one_patient_do_not_count_as_independent() {
        let values: Vec<f64> = (0..400).map(|i| f64::from(i / 20)).collect();
        let alone: Vec<u64> = (0..400).collect();
        let together: Vec<u64> = (0..400).map(|i| i / 20).collect();
        let plan = Bootstrap::default();
        let narrow = bootstrap(&alone, &plan, |c| mean(&values, c)).unwrap();
        let wide = bootstrap(&together, &plan, |c| mean(&values, c)).unwrap();
        let ratio = (wide.high - wide.low) / (narrow.high - narrow.low);
        assert!((ratio - 20f64.sqrt()).abs() < 0.6, "ratio {ratio}");
    }

    #[test]
    fn too_little_data_is_refused() {
        let plan = Bootstrap::default();
        assert!(bootstrap(&[1, 1, 1], &plan, |_| Some(0.0)).is_err());
        assert!(bootstrap(&[1, 2, 3], &plan, |_| None).is_err());
    }
}
