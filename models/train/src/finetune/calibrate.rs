//! Probabilities that can be believed, from the scores of cases that were left out.

use serde::{Deserialize, Serialize};

use crate::calibration::Platt;
use crate::probe::{ClassWeights, Features, Labels, Logistic, Precision};
use crate::{Result, TrainError};

/// The map from an adapter's logits to probabilities.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Calibrator {
    /// Classes that exclude each other: softmax of `slope · z + offset`, an offset each.
    ///
    /// Source: Alexandari, Kundaje and Shrikumar 2020, bias-corrected temperature scaling.
    Softmax {
        /// One over the temperature.
        slope: f64,
        /// `[classes]`.
        offsets: Vec<f64>,
    },
    /// Findings that do not exclude each other: Platt scaling each.
    Sigmoids {
        /// `[findings]`.
        platts: Vec<Platt>,
    },
}

impl Calibrator {
    /// Fits on logits of cases whose patients the model has not seen.
    ///
    /// - `logits`: `[rows][classes]`; `labels`: `[rows]`
    ///
    /// Errors if a class is absent.
    pub fn fit(logits: &[Vec<f64>], labels: &Labels) -> Result<Self> {
        match labels {
            Labels::Classes { of, classes } => {
                let known: Vec<usize> = (0..of.len()).filter(|i| of[*i].is_some()).collect();
                softmax_fit(logits, of, *classes, &known)
            }
            Labels::Findings { findings, .. } => Ok(Self::Sigmoids {
                platts: (0..*findings)
                    .map(|f| {
                        let (scores, truth): (Vec<f64>, Vec<bool>) = (0..labels.len())
                            .filter_map(|i| labels.truth(i, f).map(|t| (logits[i][f], t)))
                            .unzip();
                        Platt::fit(&scores, &truth)
                    })
                    .collect::<Result<_>>()?,
            }),
        }
    }

    /// Calibrated probabilities of one row of logits.
    pub fn apply(&self, logits: &[f64]) -> Vec<f64> {
        match self {
            Self::Softmax { slope, offsets } => {
                let moved: Vec<f64> = logits
                    .iter()
                    .zip(offsets)
                    .map(|(z, b)| slope * z + b)
                    .collect();
                crate::calibration::softmax(&moved, 1.0)
            }
            Self::Sigmoids { platts } => logits
                .iter()
                .zip(platts)
                .map(|(z, platt)| platt.apply(*z))
                .collect(),
        }
    }
}

/// One slope and an offset a class. The slope is found on a grid that is refined; for each the offsets are a logistic regression's
/// intercepts, found by matching the classes' frequencies.
fn softmax_fit(
    logits: &[Vec<f64>],
    of: &[Option<usize>],
    classes: usize,
    known: &[usize],
) -> Result<Calibrator> {
    if classes == 2 {
        // Two classes: a logistic regression on the difference.
        let margin: Vec<f64> = known
            .iter()
            .map(|i| logits[*i][1] - logits[*i][0])
            .collect();
        let labels = Labels::Classes {
            of: known.iter().map(|i| of[*i]).collect(),
            classes,
        };
        let fit = Logistic::fit(
            &Features::new(margin, 1)?,
            &labels,
            ClassWeights::Equal,
            1e4,
            Precision::FINE,
        )?;
        let slope = fit.coefficients[0][0].max(0.0);
        return Ok(Calibrator::Softmax {
            slope,
            offsets: vec![-0.5 * fit.intercepts[0], 0.5 * fit.intercepts[0]],
        });
    }
    let mut counts = vec![0.0; classes];
    for class in known.iter().filter_map(|i| of[*i]) {
        counts[class] += 1.0;
    }
    if counts.contains(&0.0) {
        return Err(TrainError::Data(
            "calibration wants cases of every class".into(),
        ));
    }
    let loss = |log_slope: f64| -> (f64, Vec<f64>) {
        let slope = log_slope.exp();
        let mut offsets = vec![0.0; classes];
        let mut total = f64::INFINITY;
        // Iterative scaling: each round moves an offset by the log ratio of wanted to given frequency.
        for _ in 0..500 {
            let mut given = vec![0.0; classes];
            total = 0.0;
            for i in known {
                let z: Vec<f64> = (0..classes)
                    .map(|c| slope * logits[*i][c] + offsets[c])
                    .collect();
                let p = crate::calibration::softmax(&z, 1.0);
                total -= p[of[*i].unwrap_or(0)].max(1e-300).ln();
                given.iter_mut().zip(&p).for_each(|(g, p)| *g += p);
            }
            let mut largest = 0.0f64;
            for c in 0..classes {
                let step = (counts[c] / given[c].max(1e-300)).ln();
                offsets[c] += step;
                largest = largest.max(step.abs());
            }
            if largest < 1e-9 {
                break;
            }
        }
        (total, offsets)
    };
    let best = crate::calibration::golden_section(|s| loss(s).0, -5.0, 3.0);
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let mut offsets = loss(best).1;
    let centre = mean(&offsets);
    offsets.iter_mut().for_each(|b| *b -= centre);
    Ok(Calibrator::Softmax {
        slope: best.exp(),
        offsets,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// Logits with labels drawn from the softmax of `slope · z + offset`.
    fn draw(slope: f64, offsets: &[f64], n: usize) -> (Vec<Vec<f64>>, Labels) {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let truth = Calibrator::Softmax {
            slope,
            offsets: offsets.to_vec(),
        };
        let mut of = Vec::new();
        let logits: Vec<Vec<f64>> = (0..n)
            .map(|_| {
                offsets
                    .iter()
                    .map(|_| rng.random_range(-4.0..4.0))
                    .collect()
            })
            .collect();
        for row in &logits {
            let mut left: f64 = rng.random();
            let p = truth.apply(row);
            let class = p.iter().position(|p| {
                left -= p;
                left < 0.0
            });
            of.push(Some(class.unwrap_or(0)));
        }
        let classes = offsets.len();
        (logits, Labels::Classes { of, classes })
    }

    #[test]
    fn slope_and_offsets_are_found_again() {
        for wanted in [vec![0.6, -0.6], vec![0.5, -1.0, 0.5]] {
            let (logits, labels) = draw(0.4, &wanted, 20_000);
            let found = Calibrator::fit(&logits, &labels).unwrap();
            let Calibrator::Softmax { slope, offsets } = found else {
                panic!("classes exclude each other");
            };
            assert!((slope - 0.4).abs() < 0.02, "slope {slope}");
            for (f, w) in offsets.iter().zip(&wanted) {
                assert!((f - w).abs() < 0.06, "offsets {offsets:?}");
            }
        }
    }

    #[test]
    fn findings_are_calibrated_one_by_one() {
        let of: Vec<Vec<Option<bool>>> = (0..400)
            .map(|i| vec![Some(i % 4 == 0), (i % 2 == 0).then_some(i % 3 == 0)])
            .collect();
        let logits = vec![vec![3.0, -2.0]; 400];
        let labels = Labels::Findings { of, findings: 2 };
        let p = Calibrator::fit(&logits, &labels)
            .unwrap()
            .apply(&[3.0, -2.0]);
        assert!(
            (p[0] - 0.25).abs() < 0.01 && (p[1] - 0.335).abs() < 0.01,
            "{p:?}"
        );
    }
}
