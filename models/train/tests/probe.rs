//! The probe against scikit-learn's optimum; see `tests/vectors/probe`.
#![allow(clippy::unwrap_used)]

use lucency_nn::Interrupt;
use lucency_train::metrics::auroc;
use lucency_train::probe::{
    ClassWeights, Features, Labels, Logistic, Precision, Probe, ProbeFit, ProbePlan, SelectBy,
    Standardise,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

#[derive(Deserialize)]
struct Values {
    features: Vec<Vec<f64>>,
    binary: Vec<usize>,
    classes: Vec<usize>,
    known: Vec<bool>,
    binary_fits: Vec<Wanted>,
    class_fits: Vec<Wanted>,
    masked_fit: Wanted,
}

#[derive(Deserialize)]
#[allow(non_snake_case)] // scikit-learn's name
struct Wanted {
    C: f64,
    balanced: bool,
    coefficients: Vec<Vec<f64>>,
    intercepts: Vec<f64>,
    first_probabilities: Vec<Vec<f64>>,
}

fn values() -> Values {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/vectors/probe/values.json"
    );
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn features(rows: &[Vec<f64>]) -> Features {
    Features::new(rows.concat(), rows[0].len()).unwrap()
}

#[track_caller]
fn close(what: &str, found: &[f64], wanted: &[f64], tolerance: f64) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    for (f, w) in found.iter().zip(wanted) {
        let allowed = tolerance * w.abs().max(1.0);
        assert!((f - w).abs() <= allowed, "{what}: {f} where {w} is wanted");
    }
}

fn check(x: &Features, labels: &Labels, wanted: &Wanted) {
    let weights = match wanted.balanced {
        true => ClassWeights::Balanced,
        false => ClassWeights::Equal,
    };
    let found = Logistic::fit(x, labels, weights, wanted.C, Precision::FINE).unwrap();
    for (f, w) in found.coefficients.iter().zip(&wanted.coefficients) {
        close("coefficients", f, w, 2e-5);
    }
    close("intercepts", &found.intercepts, &wanted.intercepts, 2e-5);
    let probabilities = found.probabilities(x).unwrap();
    for (f, w) in probabilities.iter().zip(&wanted.first_probabilities) {
        if matches!(labels, Labels::Classes { .. }) {
            close("probabilities", f, w, 1e-6);
        } else {
            close("probability", f, &w[1..], 1e-6);
        }
    }
}

#[test]
fn the_optimum_equals_scikit_learns() {
    let v = values();
    let x = features(&v.features);
    let classes = |of: &[usize], classes| Labels::Classes {
        of: of.iter().map(|c| Some(*c)).collect(),
        classes,
    };
    for wanted in &v.binary_fits {
        check(&x, &classes(&v.binary, 2), wanted);
    }
    for wanted in &v.class_fits {
        check(&x, &classes(&v.classes, 3), wanted);
    }
}

#[test]
fn uncertain_labels_take_no_part() {
    let v = values();
    let x = features(&v.features);
    let known = |i: usize| v.known[i].then_some(v.binary[i] == 1);
    let second = |i: usize| Some(v.classes[i] == 1);
    let labels = Labels::Findings {
        of: (0..v.known.len())
            .map(|i| vec![known(i), second(i)])
            .collect(),
        findings: 2,
    };
    let found = Logistic::fit(
        &x,
        &labels,
        ClassWeights::Balanced,
        v.masked_fit.C,
        Precision::FINE,
    )
    .unwrap();
    close(
        "coefficients",
        &found.coefficients[0],
        &v.masked_fit.coefficients[0],
        2e-5,
    );
    close(
        "intercept",
        &found.intercepts[..1],
        &v.masked_fit.intercepts,
        2e-5,
    );
    // The order of first_probabilities is that of the known cases.
    let rows: Vec<usize> = (0..v.known.len()).filter(|i| v.known[*i]).take(3).collect();
    let p = found.probabilities(&x.select(&rows).unwrap()).unwrap();
    for (p, w) in p.iter().zip(&v.masked_fit.first_probabilities) {
        close("probability", &p[..1], &w[1..], 1e-6);
    }
}

/// Cases whose first ten features carry a little of the class, four images a patient.
fn cohort(patients: usize, seed: u64) -> (Features, Labels, Vec<u64>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut values, mut of, mut groups) = (Vec::new(), Vec::new(), Vec::new());
    for patient in 0..patients {
        let class = usize::from(rng.random_bool(0.3));
        for _ in 0..4 {
            for feature in 0..40 {
                let shift = match feature < 10 {
                    true => 0.25 * class as f64,
                    false => 0.0,
                };
                values.push(rng.random_range(-1.0..1.0) + shift);
            }
            of.push(Some(class));
            groups.push(patient as u64);
        }
    }
    let labels = Labels::Classes { of, classes: 2 };
    (Features::new(values, 40).unwrap(), labels, groups)
}

#[test]
fn a_strength_is_chosen_that_serves_new_patients() {
    let (x, labels, groups) = cohort(100, 1);
    for select in [SelectBy::Auroc, SelectBy::Loss] {
        let plan = ProbePlan {
            select,
            ..ProbePlan::default()
        };
        let fit = Probe::fit(
            std::slice::from_ref(&x),
            &labels,
            &groups,
            &plan,
            &Interrupt::new(),
            &mut |_| {},
        )
        .unwrap();
        let least = plan.strengths[0];
        let most = plan.strengths[plan.strengths.len() - 1];
        assert!(fit.probe.strength < most, "the strongest belief overfits");
        let chosen = fit.figures.iter().find(|f| f.0 == fit.probe.strength);
        let best = fit.figures.iter().map(|f| f.1).fold(f64::MIN, f64::max);
        assert_eq!(chosen.unwrap().1, best, "of {least}..{most} the best");
        let (fresh, truth, _) = cohort(100, 2);
        let scores: Vec<f64> = fit
            .probe
            .probabilities(&fresh)
            .unwrap()
            .iter()
            .map(|p| p[1])
            .collect();
        let truth: Vec<bool> = (0..truth.len())
            .map(|i| truth.truth(i, 1).unwrap())
            .collect();
        let found = auroc(&scores, &truth).unwrap();
        assert!(found > 0.8, "AUROC {found} on fresh patients");
        assert_eq!(fit.left_out.len(), x.rows());
        let again = Probe::fit(
            std::slice::from_ref(&x),
            &labels,
            &groups,
            &plan,
            &Interrupt::new(),
            &mut |_| {},
        )
        .unwrap();
        assert_eq!(fit.probe, again.probe, "the seed fixes every bit");
    }
}

#[test]
fn labels_that_cannot_be_learned_are_refused_with_a_reason() {
    let (x, _, groups) = cohort(10, 1);
    let one = Labels::Classes {
        of: vec![Some(0); 40],
        classes: 2,
    };
    let refuse = |labels: &Labels| {
        let plan = ProbePlan::default();
        Probe::fit(
            std::slice::from_ref(&x),
            labels,
            &groups,
            &plan,
            &Interrupt::new(),
            &mut |_| {},
        )
        .unwrap_err()
        .to_string()
    };
    assert!(refuse(&one).contains("at least two patients"));
    let short = Labels::Classes {
        of: vec![Some(0); 3],
        classes: 2,
    };
    assert!(refuse(&short).contains("for every case"));
    let bad = Logistic::fit(&x, &one, ClassWeights::Equal, 1.0, Precision::COARSE);
    assert!(bad.unwrap_err().to_string().contains("no case of class 2"));
    assert!(Features::new(vec![1.0, f64::NAN], 2).is_err());
}

fn fit(readings: &[Features], labels: &Labels, groups: &[u64], plan: &ProbePlan) -> ProbeFit {
    Probe::fit(
        readings,
        labels,
        groups,
        plan,
        &Interrupt::new(),
        &mut |_| {},
    )
    .unwrap()
}

/// Columns `from..to`.
fn columns(x: &Features, from: usize, to: usize) -> Features {
    let rows: Vec<f64> = x
        .values()
        .unwrap()
        .chunks_exact(x.columns())
        .flat_map(|row| row[from..to].to_vec())
        .collect();
    Features::new(rows, to - from).unwrap()
}

#[test]
fn a_probe_of_two_readings_is_the_mean_of_two_probes() {
    let (x, labels, groups) = cohort(60, 3);
    let readings = [columns(&x, 0, 15), columns(&x, 15, 40)];
    let plan = ProbePlan {
        strengths: vec![0.01],
        ..ProbePlan::default()
    };
    let both = fit(&readings, &labels, &groups, &plan);
    let at = Probe::fit_at(&readings, &labels, plan.weights, 0.01).unwrap();
    assert_eq!(at, both.probe, "the same without leaving anybody out");
    let alone = readings
        .each_ref()
        .map(|x| fit(std::slice::from_ref(x), &labels, &groups, &plan));
    let seen = both.probe.logits(&Features::beside(&readings).unwrap());
    let apart = [0, 1].map(|i| alone[i].probe.logits(&readings[i]).unwrap());
    for (i, row) in seen.unwrap().iter().enumerate() {
        close(
            "logit",
            &row[1..],
            &[0.5 * (apart[0][i][1] + apart[1][i][1])],
            1e-9,
        );
        let left_out = 0.5 * (alone[0].left_out[i][1] + alone[1].left_out[i][1]);
        close("left out", &both.left_out[i][1..], &[left_out], 1e-9);
    }
}

#[test]
fn parts_count_alike_however_many_columns_they_have() {
    let (x, ..) = cohort(30, 4);
    let x = x.in_parts(vec![4, 36]).unwrap();
    let every = vec![true; x.rows()];
    let scaled = Standardise::fit(&x, &every).unwrap().apply(&x).unwrap();
    let values = scaled.values().unwrap();
    let variance = |from: usize, to: usize| -> f64 {
        let rows = values.chunks_exact(40);
        rows.map(|row| row[from..to].iter().map(|v| v * v).sum::<f64>())
            .sum::<f64>()
            / x.rows() as f64
    };
    close(
        "variance of the parts",
        &[variance(0, 4), variance(4, 40)],
        &[20.0, 20.0],
        1e-9,
    );
    assert!(x.in_parts(vec![4, 35]).is_err());
}

#[test]
fn a_later_set_of_features_must_be_clearly_better() {
    let (x, labels, groups) = cohort(60, 5);
    let plan = ProbePlan::default();
    let signal = fit(
        std::slice::from_ref(&columns(&x, 0, 20)),
        &labels,
        &groups,
        &plan,
    );
    let noise = fit(
        std::slice::from_ref(&columns(&x, 20, 40)),
        &labels,
        &groups,
        &plan,
    );
    for by in [SelectBy::Auroc, SelectBy::Loss] {
        assert!(signal.is_clearly_better_than(&noise, &labels, by));
        assert!(!noise.is_clearly_better_than(&signal, &labels, by));
        assert!(!signal.is_clearly_better_than(&signal, &labels, by));
    }
}
