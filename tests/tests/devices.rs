//! Where networks compute: what there is, the same answers everywhere, and devices that cannot be used.

use lucency_tests::units::{cases, table};
use lucency_tests::{assets, error_of, json, run};
use serde_json::Value;

/// Largest difference of two heat maps of one grid.
fn apart(a: &Value, b: &Value) -> f64 {
    let values = |answer: &Value| -> Vec<f64> {
        let cells = answer["heat_map"]["values"].as_array();
        let cells = cells.expect("a heat map").iter();
        cells.filter_map(Value::as_f64).collect()
    };
    let (a, b) = (values(a), values(b));
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(&b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f64::max)
}

#[test]
fn every_device_is_listed_with_its_test_and_one_is_automatic() {
    let home = tempfile::tempdir().expect("a folder");
    let all = json(home.path(), &["devices"]);
    let all = all.as_array().expect("a list");
    let automatic = all.iter().filter(|device| device["automatic"] == true);
    assert_eq!(automatic.count(), 1);
    let of = |name: &str| {
        let found = all.iter().find(|device| device["device"] == name);
        found.map_or(&Value::Null, |device| &device["state"])
    };
    assert_eq!(of("cpu")["numbers"], "f32");
    let test = &of("reference")["self_test"];
    assert!(
        test["error"].as_f64() < test["tolerance"].as_f64(),
        "the fused kernels agree with double precision: {test}"
    );
}

#[test]
fn an_answer_and_its_heat_map_are_the_same_on_another_device() {
    let film = assets().join("demo/head/slice-016.dcm");
    let film = film.to_str().expect("UTF-8");
    let on = |device: &str| {
        let home = tempfile::tempdir().expect("a folder");
        let question = "Is there a haemorrhage?";
        json(
            home.path(),
            &["ask", film, "--question", question, "--device", device],
        )
    };
    let (here, there) = (on("cpu"), on("reference"));
    assert_eq!(here["answer"], there["answer"]);
    let confidence = |answer: &Value| answer["confidence"].as_f64().expect("a number");
    assert!((confidence(&here) - confidence(&there)).abs() < 1e-3);
    let apart = apart(&here, &there);
    assert!(apart < 1e-2, "heat maps differ by {apart}");
    assert!(apart > 0.0, "they were computed in other numbers");
}

#[test]
fn training_runs_on_another_device_and_its_adapter_answers_on_the_processor() {
    let home = tempfile::tempdir().expect("a folder");
    let (home, data) = (home.path(), home.path().join("data"));
    std::fs::create_dir(&data).expect("a folder");
    let file = table(&data, "cases.csv", &cases(&data, 1, 12));
    let path = |path: &std::path::Path| path.to_str().expect("UTF-8").to_owned();
    let columns = "image=image,patient=patient,label=unit";
    let lora = |name: &str, more: &[&str]| {
        let mut words = vec![
            "train", "lora", "--name", name, "--epochs", "1", "--batch", "6",
        ];
        let (data, file) = (path(&data), path(&file));
        words.extend(["--data", &data, "--table", &file, "--columns", columns]);
        words.extend(more);
        run(home, &[&words[..], &["--json"]].concat())
    };
    let (code, message) = error_of(&lora("narrow", &["--precision", "mixed"]));
    assert_eq!(code, "no_accelerator", "{message}");

    let loss = |name: &str| {
        let shown = json(home, &["runs", "show", name]);
        let curve = shown["curve"].as_array().expect("a curve");
        curve[0]["loss"].as_f64().expect("a loss")
    };
    for (name, more) in [
        ("here", &["--device", "cpu"][..]),
        ("there", &["--device", "reference"]),
        ("mixed", &["--device", "reference", "--precision", "mixed"]),
    ] {
        let done = lora(name, more);
        assert!(done.status.success(), "{name}: {:?}", error_of(&done));
    }
    let (here, there, mixed) = (loss("here"), loss("there"), loss("mixed"));
    assert!((here - there).abs() < 1e-4 * here, "{here} and {there}");
    assert!((here - mixed).abs() < 0.05 * here, "{here} and {mixed}");

    // What was trained in other numbers is an adapter like any other.
    let judged = ["eval", "finetune", "--adapter", "there", "--device", "cpu"];
    let others = table(&data, "others.csv", &cases(&data, 4000, 6));
    let (data, others) = (path(&data), path(&others));
    let on = ["--data", &data, "--table", &others, "--columns", columns];
    let figures = json(home, &[&judged[..], &on].concat());
    assert!(figures["macro"]["auroc"].is_number(), "{figures}");
}

#[test]
fn a_device_that_cannot_be_used_is_refused_by_name() {
    let home = tempfile::tempdir().expect("a folder");
    let film = assets().join("demo/head/slice-016.dcm");
    let film = film.to_str().expect("UTF-8");
    for (device, part) in [("gpu", "is no device"), ("cuda:99", "cuda:99")] {
        let words = ["ask", film, "--question", "What is it?", "--device", device];
        let (code, message) = error_of(&run(home.path(), &[&words[..], &["--json"]].concat()));
        assert_eq!(code, "bad_device");
        assert!(message.contains(part), "{message}");
    }
}
