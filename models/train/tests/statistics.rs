//! The statistics against scikit-learn, SciPy and a pair-by-pair DeLong; see `tests/vectors/statistics`.
#![allow(clippy::unwrap_used)]

use lucency_train::metrics::{auroc, average_precision, balanced_accuracy, brier_binary, macro_f1};
use lucency_train::statistics::{
    Isotonic, KappaWeights, cohen_kappa, delong, delong_interval, fit_class_temperature,
    measure_kappa, per_class_f1, sensitivity_at_specificity,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Values {
    labels: Vec<bool>,
    first: Vec<f64>,
    second: Vec<f64>,
    auroc: [f64; 2],
    average_precision: f64,
    brier: f64,
    delong: DeLongValues,
    sensitivity_at: Vec<[f64; 2]>,
    reader_a: Vec<usize>,
    reader_b: Vec<usize>,
    kappa: [f64; 3],
    kappa_error: [f64; 3],
    isotonic_at: Vec<f64>,
    isotonic: Vec<f64>,
    logits: Vec<Vec<f64>>,
    classes: Vec<usize>,
    temperature: f64,
    f1: Vec<f64>,
    macro_f1: f64,
    balanced_accuracy: f64,
}

#[derive(Deserialize)]
struct DeLongValues {
    variance: [f64; 2],
    covariance: f64,
    z: f64,
    p: f64,
}

fn values() -> Values {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/vectors/statistics/values.json"
    );
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[track_caller]
fn close(found: f64, wanted: f64, tolerance: f64) {
    assert!(
        (found - wanted).abs() <= tolerance,
        "{found} where {wanted} is wanted"
    );
}

#[test]
fn point_figures_equal_scikit_learn() {
    let v = values();
    close(auroc(&v.first, &v.labels).unwrap(), v.auroc[0], 1e-12);
    close(auroc(&v.second, &v.labels).unwrap(), v.auroc[1], 1e-12);
    let found = average_precision(&v.first, &v.labels).unwrap();
    close(found, v.average_precision, 1e-12);
    close(brier_binary(&v.first, &v.labels).unwrap(), v.brier, 1e-12);
    for (found, wanted) in per_class_f1(&v.logits, &v.classes)
        .unwrap()
        .iter()
        .zip(&v.f1)
    {
        close(*found, *wanted, 1e-12);
    }
    close(macro_f1(&v.logits, &v.classes).unwrap(), v.macro_f1, 1e-12);
    let found = balanced_accuracy(&v.logits, &v.classes).unwrap();
    close(found, v.balanced_accuracy, 1e-12);
    for [specificity, wanted] in &v.sensitivity_at {
        let found = sensitivity_at_specificity(&v.first, &v.labels, *specificity).unwrap();
        close(found, *wanted, 1e-12);
    }
}

#[test]
fn delong_equals_its_definition_pair_by_pair() {
    let v = values();
    let found = delong(&v.first, &v.second, &v.labels).unwrap();
    close(found.first, v.auroc[0], 1e-12);
    close(found.second, v.auroc[1], 1e-12);
    close(found.first_variance, v.delong.variance[0], 1e-14);
    close(found.second_variance, v.delong.variance[1], 1e-14);
    close(found.covariance, v.delong.covariance, 1e-14);
    close(found.z, v.delong.z, 1e-9);
    close(found.p, v.delong.p, 1e-10);
    let interval = delong_interval(&v.first, &v.labels, 0.95).unwrap();
    let half = 1.959_963_984_540_054 * v.delong.variance[0].sqrt();
    close(interval.low, v.auroc[0] - half, 1e-12);
    close(interval.high, v.auroc[0] + half, 1e-12);
    let same = delong(&v.first, &v.first, &v.labels).unwrap();
    assert_eq!((same.z, same.p), (0.0, 1.0), "a score equals itself");
    assert!(
        delong(&v.first[..1], &v.second[..1], &[true]).is_err(),
        "one class has no AUROC"
    );
}

#[test]
fn kappa_equals_scikit_learn() {
    let v = values();
    let weights = [
        KappaWeights::Plain,
        KappaWeights::Linear,
        KappaWeights::Quadratic,
    ];
    for ((weights, wanted), error) in weights.into_iter().zip(v.kappa).zip(v.kappa_error) {
        let found = cohen_kappa(&v.reader_a, &v.reader_b, weights).unwrap();
        close(found, wanted, 1e-12);
        let found = measure_kappa(&v.reader_a, &v.reader_b, weights).unwrap();
        close(found.value, wanted, 1e-12);
        close(found.standard_error, error, 1e-12); // statsmodels
    }
    assert!(cohen_kappa(&[1, 1], &[1, 1], KappaWeights::Plain).is_err());
}

#[test]
fn full_agreement_has_no_interval_and_an_interval_stays_below_one() {
    let plain = |a: &[usize], b: &[usize]| measure_kappa(a, b, KappaWeights::Plain).unwrap();
    let full = plain(&[0, 1, 1], &[0, 1, 1]);
    assert_eq!((full.value, full.interval(0.95)), (1.0, None));
    let most = plain(&[0, 0, 0, 0, 1, 1, 1, 1], &[0, 0, 0, 0, 1, 1, 1, 0]);
    let (low, high) = most.interval(0.95).unwrap();
    assert!(
        low < most.value && most.value < high && high <= 1.0,
        "{low}–{high}"
    );
    close(most.agreement, 7.0 / 8.0, 1e-12);
}

#[test]
fn isotonic_regression_equals_scikit_learn() {
    let v = values();
    let map = Isotonic::fit(&v.first, &v.labels).unwrap();
    for (at, wanted) in v.isotonic_at.iter().zip(&v.isotonic) {
        close(map.apply(*at), *wanted, 1e-12);
    }
    assert!(Isotonic::fit(&[f64::NAN], &[true]).is_err());
}

#[test]
fn the_temperature_is_the_most_likely_one() {
    let v = values();
    let found = fit_class_temperature(&v.logits, &v.classes).unwrap();
    close(found, v.temperature, 1e-5);
}
