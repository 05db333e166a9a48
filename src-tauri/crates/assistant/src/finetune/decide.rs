//! From probabilities to decisions: operating points, and when an adapter does not know.

use lucency_train::calibration::abstention_threshold;
use lucency_train::finetune::{AdapterManifest, LabelTable};
use lucency_train::metrics::argmax;
use lucency_train::probe::Labels;

/// Accuracy wanted among the answers that an adapter gives, and the share of cases that it must answer.
const ANSWERED: (f64, f64) = (0.9, 0.5);

/// Classes, operating points and the limit below which the adapter does not know, from cases that were left out of the fit.
pub(super) fn decisions(
    manifest: &mut AdapterManifest,
    table: &LabelTable,
    probabilities: &[Vec<f64>],
    labels: &Labels,
) {
    manifest.classes = table.names.clone();
    manifest.exclusive = table.exclusive();
    match labels {
        Labels::Findings { findings, .. } => {
            manifest.operating_points = (0..*findings)
                .map(|f| youden(probabilities, labels, f))
                .collect();
        }
        Labels::Classes { of, .. } => {
            let (sure, right): (Vec<f64>, Vec<bool>) = of
                .iter()
                .zip(probabilities)
                .filter_map(|(class, p)| class.map(|class| (p[argmax(p)], argmax(p) == class)))
                .unzip();
            let (accuracy, least) = ANSWERED;
            manifest.abstain_below =
                abstention_threshold(&sure, &right, accuracy, least).unwrap_or(0.0);
        }
    }
}

/// The threshold with the largest sum of sensitivity and specificity. Source: Youden 1950.
fn youden(probabilities: &[Vec<f64>], labels: &Labels, finding: usize) -> f64 {
    let known: Vec<(f64, bool)> = (0..labels.len())
        .filter_map(|i| Some((probabilities[i][finding], labels.truth(i, finding)?)))
        .collect();
    let share = |wanted: bool, at: f64| {
        let of: Vec<&(f64, bool)> = known.iter().filter(|(_, t)| *t == wanted).collect();
        let hits = of.iter().filter(|(p, _)| (*p >= at) == wanted).count();
        hits as f64 / of.len().max(1) as f64
    };
    let mut best = (0.5, f64::NEG_INFINITY);
    for (at, _) in &known {
        let sum = share(true, *at) + share(false, *at);
        if sum > best.1 {
            best = (*at, sum);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operating_point_parts_present_from_absent_where_that_can_be() {
        let labels = Labels::Findings {
            of: [Some(true), Some(true), Some(false), None, Some(false)]
                .map(|truth| vec![truth])
                .to_vec(),
            findings: 1,
        };
        let scores = [0.3, 0.25, 0.1, 0.9, 0.05].map(|p| vec![p]);
        assert_eq!(youden(&scores, &labels, 0), 0.25);
    }
}
