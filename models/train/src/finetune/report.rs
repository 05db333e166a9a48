//! Before and after on the same cases, with intervals over patients.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::metrics::{
    accuracy, auroc, average_precision, balanced_accuracy, brier_binary, ece_binary, macro_f1,
};
use crate::probe::Labels;
use crate::statistics::{Bootstrap, Interval, bootstrap, delong, sensitivity_at_specificity};
use crate::{Result, TrainError};

/// Figures of one class or finding; a figure that has no value on these cases is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClassReport {
    /// Cases whose label is known.
    pub n: usize,
    /// Those that have it.
    pub positives: usize,
    /// Area under the ROC curve, one class against the rest.
    pub auroc: Option<f64>,
    /// Lower end of its 95 % interval over patients.
    pub auroc_low: Option<f64>,
    /// Upper end of its 95 % interval over patients.
    pub auroc_high: Option<f64>,
    /// Average precision.
    pub auprc: Option<f64>,
    /// Sensitivity at the threshold with a specificity of 0.9 on these cases.
    pub sensitivity_at_90_specificity: Option<f64>,
    /// Calibration error of the probability, 15 bins.
    pub ece: f64,
    /// Brier score of the probability.
    pub brier: f64,
    /// Two-sided probability of DeLong's test against the other side; cases count as independent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delong_p: Option<f64>,
}

/// Means over the classes that have a value, and figures of the decision.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MacroReport {
    /// Mean AUROC.
    pub auroc: Option<f64>,
    /// Lower end of its 95 % interval over patients.
    pub auroc_low: Option<f64>,
    /// Upper end of its 95 % interval over patients.
    pub auroc_high: Option<f64>,
    /// Mean average precision.
    pub auprc: Option<f64>,
    /// Mean calibration error.
    pub ece: f64,
    /// Mean Brier score.
    pub brier: f64,
    /// Share of cases whose likeliest class is theirs; exclusive classes alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// Mean recall of the classes that occur; exclusive classes alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balanced_accuracy: Option<f64>,
    /// Mean F1 over classes; exclusive classes alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub f1: Option<f64>,
}

/// One side of the comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Side {
    /// By class or finding.
    pub per_class: BTreeMap<String, ClassReport>,
    /// Over all of them.
    #[serde(rename = "macro")]
    pub overall: MacroReport,
}

/// An adapter and its base on the same cases.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Cases.
    pub n: usize,
    /// Patients, or images where no patient is known.
    pub patients: usize,
    /// With the adapter.
    #[serde(flatten)]
    pub adapted: Side,
    /// The pack without it.
    pub base: Side,
    /// Interval of the gain in macro AUROC, over patients.
    pub gain: Option<Interval>,
}

/// Judges an adapter and its base.
///
/// - `adapted`, `base`: probabilities, `[rows][classes]`; `groups`: the patient of each row
///
/// Errors if the lengths differ or there are fewer than two patients.
pub fn evaluate(
    names: &[String],
    adapted: &[Vec<f64>],
    base: &[Vec<f64>],
    labels: &Labels,
    groups: &[u64],
    plan: &Bootstrap,
) -> Result<Evaluation> {
    let n = labels.len();
    if adapted.len() != n || base.len() != n || groups.len() != n || n == 0 {
        return Err(TrainError::Data(format!(
            "a report wants scores and a patient for each of {n} cases and at least one"
        )));
    }
    let mut patients = groups.to_vec();
    patients.sort_unstable();
    patients.dedup();
    let mut after = side(names, adapted, labels, groups, plan)?;
    let mut before = side(names, base, labels, groups, plan)?;
    for (class, name) in names.iter().enumerate() {
        let rows = known(labels, class);
        let truth = truth_of(labels, class, &rows);
        let pick =
            |scores: &[Vec<f64>]| -> Vec<f64> { rows.iter().map(|i| scores[*i][class]).collect() };
        let p = delong(&pick(adapted), &pick(base), &truth)
            .ok()
            .map(|d| d.p);
        for side in [&mut after, &mut before] {
            if let Some(report) = side.per_class.get_mut(name) {
                report.delong_p = p;
            }
        }
    }
    let gain = bootstrap(groups, plan, |cases| {
        Some(macro_auroc(adapted, labels, cases)? - macro_auroc(base, labels, cases)?)
    })
    .ok();
    Ok(Evaluation {
        n,
        patients: patients.len(),
        adapted: after,
        base: before,
        gain,
    })
}

fn side(
    names: &[String],
    scores: &[Vec<f64>],
    labels: &Labels,
    groups: &[u64],
    plan: &Bootstrap,
) -> Result<Side> {
    let mut per_class = BTreeMap::new();
    for (class, name) in names.iter().enumerate() {
        per_class.insert(
            name.clone(),
            class_report(scores, labels, groups, class, plan)?,
        );
    }
    let everything: Vec<usize> = (0..labels.len()).collect();
    let interval = bootstrap(groups, plan, |cases| macro_auroc(scores, labels, cases)).ok();
    let mean = |of: &dyn Fn(&ClassReport) -> Option<f64>| -> Option<f64> {
        let values: Vec<f64> = per_class.values().filter_map(of).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    let mut overall = MacroReport {
        auroc: macro_auroc(scores, labels, &everything),
        auroc_low: interval.map(|i| i.low),
        auroc_high: interval.map(|i| i.high),
        auprc: mean(&|c| c.auprc),
        ece: mean(&|c| Some(c.ece)).unwrap_or(0.0),
        brier: mean(&|c| Some(c.brier)).unwrap_or(0.0),
        ..MacroReport::default()
    };
    if let Labels::Classes { of, .. } = labels {
        let (rows, classes): (Vec<Vec<f64>>, Vec<usize>) = of
            .iter()
            .enumerate()
            .filter_map(|(i, class)| class.map(|c| (scores[i].clone(), c)))
            .unzip();
        overall.accuracy = accuracy(&rows, &classes).ok();
        overall.balanced_accuracy = balanced_accuracy(&rows, &classes).ok();
        overall.f1 = macro_f1(&rows, &classes).ok();
    }
    Ok(Side { per_class, overall })
}

fn class_report(
    scores: &[Vec<f64>],
    labels: &Labels,
    groups: &[u64],
    class: usize,
    plan: &Bootstrap,
) -> Result<ClassReport> {
    let rows = known(labels, class);
    if rows.is_empty() {
        return Ok(ClassReport::default());
    }
    let truth = truth_of(labels, class, &rows);
    let own: Vec<f64> = rows.iter().map(|i| scores[*i][class]).collect();
    let of: Vec<u64> = rows.iter().map(|i| groups[*i]).collect();
    let interval = auroc(&own, &truth).ok().and_then(|_| {
        bootstrap(&of, plan, |cases| {
            let s: Vec<f64> = cases.iter().map(|i| own[*i]).collect();
            let t: Vec<bool> = cases.iter().map(|i| truth[*i]).collect();
            auroc(&s, &t).ok()
        })
        .ok()
    });
    Ok(ClassReport {
        n: rows.len(),
        positives: truth.iter().filter(|t| **t).count(),
        auroc: auroc(&own, &truth).ok(),
        auroc_low: interval.map(|i| i.low),
        auroc_high: interval.map(|i| i.high),
        auprc: average_precision(&own, &truth).ok(),
        sensitivity_at_90_specificity: sensitivity_at_specificity(&own, &truth, 0.9).ok(),
        ece: ece_binary(&own, &truth)?,
        brier: brier_binary(&own, &truth)?,
        delong_p: None,
    })
}

fn known(labels: &Labels, class: usize) -> Vec<usize> {
    (0..labels.len())
        .filter(|i| labels.truth(*i, class).is_some())
        .collect()
}

fn truth_of(labels: &Labels, class: usize, rows: &[usize]) -> Vec<bool> {
    rows.iter()
        .map(|i| labels.truth(*i, class) == Some(true))
        .collect()
}

/// Mean AUROC over the classes that have one among `cases`; none if no class has.
fn macro_auroc(scores: &[Vec<f64>], labels: &Labels, cases: &[usize]) -> Option<f64> {
    let values: Vec<f64> = (0..labels.width())
        .filter_map(|class| {
            let (s, t): (Vec<f64>, Vec<bool>) = cases
                .iter()
                .filter_map(|i| labels.truth(*i, class).map(|t| (scores[*i][class], t)))
                .unzip();
            auroc(&s, &t).ok()
        })
        .collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Whether an adapter may go live.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gate {
    /// True if nothing speaks against it.
    pub passes: bool,
    /// What speaks against it.
    pub reasons: Vec<String>,
    /// What should be known before, though it does not speak against it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Lets an adapter pass whose macro AUROC gains with its whole interval and whose calibration is not worse.
pub fn gate(evaluation: &Evaluation) -> Gate {
    let mut reasons = Vec::new();
    match evaluation.gain {
        None => reasons.push("there are too few patients to say whether it is better".to_string()),
        Some(gain) if gain.low <= 0.0 => reasons.push(format!(
            "the gain in macro AUROC may be none: its interval is {:+.3} to {:+.3}",
            gain.low, gain.high
        )),
        Some(_) => {}
    }
    let (after, before) = (&evaluation.adapted.overall, &evaluation.base.overall);
    if after.ece > before.ece {
        reasons.push(format!(
            "calibration is worse: ECE {:.3} after {:.3}",
            after.ece, before.ece
        ));
    }
    if after.brier > before.brier {
        reasons.push(format!(
            "probabilities are worse: Brier score {:.3} after {:.3}",
            after.brier, before.brier
        ));
    }
    Gate {
        passes: reasons.is_empty(),
        reasons,
        warnings: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_classes(n: usize) -> (Labels, Vec<u64>) {
        let of = (0..n).map(|i| Some(usize::from(i % 3 == 0))).collect();
        (Labels::Classes { of, classes: 2 }, (0..n as u64).collect())
    }

    /// Probabilities that wander by a quarter around `base`, and `strength` higher for a positive.
    fn scores(n: usize, base: f64, strength: f64) -> Vec<Vec<f64>> {
        (0..n)
            .map(|i| {
                let wander = (i as f64 * 0.618_034).fract() - 0.5;
                let p = (base + strength * f64::from(u8::from(i % 3 == 0)) + 0.5 * wander)
                    .clamp(0.01, 0.99);
                vec![1.0 - p, p]
            })
            .collect()
    }

    #[test]
    fn a_better_calibrated_adapter_passes_and_others_are_told_why_not() {
        let n = 150;
        let (labels, groups) = two_classes(n);
        let names = ["no".to_string(), "yes".to_string()];
        let plan = Bootstrap {
            draws: 300,
            ..Bootstrap::default()
        };
        let (good, bad) = (scores(n, 0.35, 0.4), scores(n, 0.35, 0.02));
        let better = evaluate(&names, &good, &bad, &labels, &groups, &plan).unwrap();
        let report = &better.adapted.per_class["yes"];
        assert!(report.auroc_low < report.auroc && report.auroc < report.auroc_high);
        assert_eq!((report.n, report.positives), (150, 50));
        assert!(report.delong_p.unwrap() < 1e-4);
        let verdict = gate(&better);
        assert!(
            !verdict.passes && verdict.reasons[0].contains("calibration is worse"),
            "a gain does not excuse probabilities that mislead: {verdict:?}"
        );
        let mut calibrated = better.clone();
        calibrated.adapted.overall.ece = 0.02;
        assert!(gate(&calibrated).passes, "{:?}", gate(&calibrated));
        let worse = evaluate(&names, &bad, &good, &labels, &groups, &plan).unwrap();
        let verdict = gate(&worse);
        assert!(!verdict.passes && verdict.reasons[0].contains("may be none"));
    }

    #[test]
    fn a_class_that_does_not_occur_has_no_auroc_and_does_not_spoil_the_mean() {
        let (labels, groups) = two_classes(60);
        let Labels::Classes { of, .. } = labels else {
            panic!("classes");
        };
        let labels = Labels::Classes { of, classes: 3 };
        let three: Vec<Vec<f64>> = scores(60, 0.35, 0.3)
            .into_iter()
            .map(|row| vec![row[0] - 0.005, row[1] - 0.005, 0.01])
            .collect();
        let names = ["a", "b", "c"].map(str::to_string);
        let plan = Bootstrap {
            draws: 50,
            ..Bootstrap::default()
        };
        let found = evaluate(&names, &three, &three, &labels, &groups, &plan).unwrap();
        assert_eq!(found.adapted.per_class["c"].auroc, None);
        assert!(found.adapted.overall.auroc.unwrap() > 0.8);
        let json = serde_json::to_value(&found).unwrap();
        assert!(json["macro"]["auroc"].is_number() && json["base"]["macro"]["ece"].is_number());
        assert!(json["per_class"]["a"]["auroc_low"].is_number());
    }
}
