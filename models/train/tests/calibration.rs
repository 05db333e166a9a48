//! The choice of calibration against scikit-learn's values; see `tests/vectors/calibration`.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

use std::collections::HashMap;

use lucency_train::calibration::softmax;
use lucency_train::finetune::{Calibration, Calibrator, Recalibration, cross_calibrated};
use lucency_train::probe::Labels;
use serde::Deserialize;

#[derive(Deserialize)]
struct Values {
    fit_logits: Vec<Vec<f64>>,
    fit_classes: Vec<usize>,
    logits: Vec<Vec<f64>>,
    classes: Vec<usize>,
    temperature: f64,
    before: Figures,
    after: HashMap<String, Figures>,
    probabilities: HashMap<String, Vec<Vec<f64>>>,
}

#[derive(Deserialize)]
struct Figures {
    ece: f64,
    brier: f64,
}

fn values() -> Values {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/vectors/calibration/values.json"
    );
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn classes(of: &[usize]) -> Labels {
    Labels::Classes {
        of: of.iter().map(|c| Some(*c)).collect(),
        classes: 3,
    }
}

#[track_caller]
fn close(found: f64, wanted: f64, tolerance: f64) {
    let apart = (found - wanted).abs();
    assert!(apart <= tolerance, "{found} where {wanted} is wanted");
}

#[test]
fn probabilities_and_what_they_are_worth_equal_scikit_learn() {
    let v = values();
    let plain: Vec<Vec<f64>> = v.logits.iter().map(|z| softmax(z, 1.0)).collect();
    for (how, tolerance) in [
        (Calibration::Temperature, 1e-5),
        (Calibration::Platt, 1e-4), // both stop at a tolerance of their own
        (Calibration::Isotonic, 1e-8),
    ] {
        let fitted = Calibrator::fit(how, &v.fit_logits, &classes(&v.fit_classes)).unwrap();
        let kept: Calibrator =
            serde_json::from_str(&serde_json::to_string(&fitted).unwrap()).unwrap();
        assert_eq!(kept.method(), how);
        let found: Vec<Vec<f64>> = v.logits.iter().map(|z| kept.apply(z)).collect();
        for (row, z) in found.iter().zip(&v.logits) {
            for (p, q) in row.iter().zip(fitted.apply(z)) {
                close(*p, q, 1e-12); // an adapter's file gives the same map back
            }
        }
        for (found, wanted) in found.iter().zip(&v.probabilities[how.name()]) {
            for (p, q) in found.iter().zip(wanted) {
                close(*p, *q, tolerance);
            }
        }
        let judged = classes(&v.classes);
        let worth = Recalibration::measure(how, Some(120), &plain, &found, &judged).unwrap();
        let after = &v.after[how.name()];
        close(worth.ece_before, v.before.ece, 1e-9);
        close(worth.brier_before, v.before.brier, 1e-9);
        close(worth.ece_after, after.ece, 2e-4);
        close(worth.brier_after, after.brier, 1e-4);
        if let (Calibration::Temperature, Calibrator::Softmax { slope, .. }) = (how, &fitted) {
            close(1.0 / slope, v.temperature, 1e-4);
        }
    }
}

#[test]
fn findings_are_calibrated_by_every_method_and_a_class_that_is_absent_is_an_error() {
    let v = values();
    let findings = |of: &dyn Fn(usize, usize) -> Option<bool>| Labels::Findings {
        of: (0..120)
            .map(|i| (0..3).map(|f| of(i, f)).collect())
            .collect(),
        findings: 3,
    };
    let known = findings(&|i, f| (i % 7 != f).then_some(v.fit_classes[i] == f));
    for how in [
        Calibration::Standard,
        Calibration::Temperature,
        Calibration::Platt,
        Calibration::Isotonic,
    ] {
        let fitted = Calibrator::fit(how, &v.fit_logits, &known).unwrap();
        let text = serde_json::to_string(&fitted).unwrap();
        let kept: Calibrator = serde_json::from_str(&text).unwrap();
        let (row, again) = (&v.fit_logits[3], kept.apply(&v.fit_logits[3]));
        fitted
            .apply(row)
            .iter()
            .zip(&again)
            .for_each(|(p, q)| close(*p, *q, 1e-12));
        for finding in 0..3 {
            // Isotonic regression and Platt scaling keep the mean of what they were fitted on; all of them keep the order.
            let rows: Vec<usize> = (0..120).filter(|i| i % 7 != finding).collect();
            let p = |i: usize| fitted.apply(&v.fit_logits[i])[finding];
            let mean = rows.iter().map(|i| p(*i)).sum::<f64>() / rows.len() as f64;
            let positives = rows
                .iter()
                .filter(|i| v.fit_classes[**i] == finding)
                .count();
            if how != Calibration::Temperature {
                close(mean, positives as f64 / rows.len() as f64, 0.02);
            }
            for (a, b) in rows.iter().zip(&rows[1..]) {
                let (za, zb) = (v.fit_logits[*a][finding], v.fit_logits[*b][finding]);
                assert!(
                    (p(*a) - p(*b)) * (za - zb) >= 0.0,
                    "{how:?} keeps the order"
                );
            }
        }
        let never = findings(&|i, f| (f != 1).then_some(v.fit_classes[i] == f));
        assert!(Calibrator::fit(how, &v.fit_logits, &never).is_err());
        let two: Vec<usize> = v.fit_classes.iter().map(|c| c % 2).collect();
        assert!(Calibrator::fit(how, &v.fit_logits, &classes(&two)).is_err());
    }
}

#[test]
fn a_case_is_never_calibrated_by_a_map_that_knows_its_patient() {
    // Labels that have nothing to do with the scores: a map that knew its cases would look well calibrated and sharp.
    let n = 400;
    let logits: Vec<Vec<f64>> = (0..n)
        .map(|i| {
            let z = f64::from(i as u32).sin() * 3.0;
            vec![z, -z]
        })
        .collect();
    let of = (0..n).map(|i| Some((i * 7919 % 97) % 2)).collect();
    let labels = Labels::Classes { of, classes: 2 };
    let groups: Vec<u64> = (0..n as u64).map(|i| i / 2).collect();
    let fitted = Calibrator::fit(Calibration::Isotonic, &logits, &labels).unwrap();
    let known: Vec<Vec<f64>> = logits.iter().map(|z| fitted.apply(z)).collect();
    let left_out = cross_calibrated(Calibration::Isotonic, &logits, &labels, &groups, 1).unwrap();
    let worth = |p: &[Vec<f64>]| {
        Recalibration::measure(Calibration::Isotonic, None, &known, p, &labels).unwrap()
    };
    assert!(worth(&known).ece_after < 0.01, "by heart");
    assert!(worth(&left_out).ece_after > worth(&known).ece_after + 0.01);
    assert!(worth(&left_out).brier_after > worth(&known).brier_after);
}

#[test]
fn an_isotonic_map_that_does_not_rise_is_refused_when_it_is_read() {
    for text in [
        r#"{"kind": "isotonics", "maps": [{"scores": [], "values": []}]}"#,
        r#"{"kind": "isotonics", "maps": [{"scores": [1.0, 0.0], "values": [0.1, 0.2]}]}"#,
        r#"{"kind": "isotonics", "maps": [{"scores": [0.0, 1.0], "values": [0.2, 0.1]}]}"#,
        r#"{"kind": "isotonics", "maps": [{"scores": [0.0, 1.0], "values": [0.2]}]}"#,
    ] {
        let message = serde_json::from_str::<Calibrator>(text).unwrap_err();
        assert!(message.to_string().contains("isotonic"), "{message}");
    }
}
