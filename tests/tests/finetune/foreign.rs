//! Adapters that came as PEFT's two files: in, judged, and live only by a verdict of this site's own.

use std::collections::BTreeSet;
use std::path::Path;

use lucency_tests::json;
use lucency_tests::units::{cases, table};
use serde_json::Value;

use super::{LABELS, on, refused, tensors};

/// PEFT's two files alone, bound to a pack again, are the adapter that they came from.
pub fn peft_files_travel(home: &Path, data: &Path, judged: &Path) {
    let bare = home.join("from-peft");
    std::fs::create_dir(&bare).expect("a folder");
    for file in ["adapter_model.safetensors", "adapter_config.json"] {
        std::fs::copy(home.join("adapters/lora").join(file), bare.join(file)).expect("a copy");
    }
    let word = bare.to_str().expect("UTF-8");
    let import = [
        "adapters", "import", word, "--pack", "demo", "--name", "again",
    ];
    refused(home, &import[..3], "bad_adapter", "--pack");
    let taken_in = json(home, &import);
    assert_eq!(
        (&taken_in["method"], &taken_in["fits"]),
        (&"lora".into(), &true.into())
    );
    assert!(
        tensors(home, "again") == tensors(home, "lora"),
        "the same tensors"
    );
    refused(home, &import, "name_taken", "--name");
    refused(
        home,
        &["adapters", "activate", "again"],
        "gate_refused",
        "--attach",
    );
    let words = ["eval", "finetune", "--adapter", "again"];
    let found = json(home, &on(&words, data, judged, LABELS));
    assert_eq!(found["trained_on_unknown"], true);
    assert!(found["macro"]["auroc"].is_number(), "{found}");

    let config = bare.join("adapter_config.json");
    let good = std::fs::read_to_string(&config).expect("a configuration");
    let mut other: Value = serde_json::from_str(&good).expect("JSON");
    other["r"] = 5.into();
    std::fs::write(&config, other.to_string()).expect("writable");
    let import = [
        "adapters", "import", word, "--pack", "demo", "--name", "other",
    ];
    refused(home, &import, "bad_adapter", "at rank 5");
    other["use_dora"] = true.into();
    std::fs::write(&config, other.to_string()).expect("writable");
    refused(home, &import, "bad_adapter", "use_dora");
    assert!(
        !home.join("adapters/other").exists(),
        "nothing was taken in"
    );
}

/// Trains low-rank updates, and takes their two files in under another name.
fn from_elsewhere(home: &Path, data: &Path, trained: &Path, name: &str, numbers: &[&str]) {
    let trained_here = format!("{name}-here");
    let mut words = vec!["train", "lora", "--name", &trained_here];
    words.extend(numbers);
    json(home, &on(&words, data, trained, LABELS));
    let bare = home.join(format!("{name}-bare"));
    std::fs::create_dir(&bare).expect("a folder");
    for file in ["adapter_model.safetensors", "adapter_config.json"] {
        let from = home.join("adapters").join(&trained_here).join(file);
        std::fs::copy(from, bare.join(file)).expect("a copy");
    }
    let word = bare.to_str().expect("UTF-8");
    json(
        home,
        &["adapters", "import", word, "--pack", "demo", "--name", name],
    );
}

fn attach<'a>(name: &'a str, data: &'a Path, judged: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
    let mut words = vec!["eval", "finetune", "--adapter", name, "--attach"];
    words.extend(more);
    on(&words, data, judged, LABELS)
}

/// Digests of patients by what they were for.
fn patients(record: &Value, part: &str) -> BTreeSet<String> {
    let cases = record["cases"].as_array().expect("cases");
    let of = |case: &&Value| case["part"] == part;
    let digest = |case: &Value| case["patient"].as_str().expect("a digest").to_owned();
    cases.iter().filter(of).map(digest).collect()
}

#[test]
fn an_adapter_from_elsewhere_goes_live_by_a_verdict_of_its_own_and_not_without() {
    let home = tempfile::tempdir().expect("a folder");
    let (home, data) = (home.path(), home.path().join("data"));
    std::fs::create_dir(&data).expect("a folder");
    let trained = table(&data, "trained.csv", &cases(&data, 1, 20));
    let others = cases(&data, 4000, 24);
    let judged = table(&data, "judged.csv", &others);
    let some: Vec<_> = others.iter().step_by(8).cloned().collect();
    let few = table(&data, "few.csv", &some);
    let numbers = ["--epochs", "30", "--rate", "0.01"];
    from_elsewhere(home, &data, &trained, "good", &numbers);
    from_elsewhere(
        home,
        &data,
        &trained,
        "idle",
        &["--epochs", "1", "--rate", "1e-12"],
    );

    refused(
        home,
        &["adapters", "activate", "good"],
        "gate_refused",
        "--attach",
    );
    refused(
        home,
        &attach("good", &data, &few, &[]),
        "too_few_patients",
        "at least 5 of each class",
    );
    let listed = json(home, &["adapters", "list"]);
    let good = listed["adapters"].as_array().expect("a list").iter();
    let good: Vec<&Value> = good.filter(|a| a["name"] == "good").collect();
    assert_eq!(good[0]["value"], Value::Null, "a refusal leaves no verdict");

    let found = json(home, &attach("good", &data, &judged, &[]));
    assert_eq!(
        (&found["kept"], &found["trained_on_unknown"]),
        (&true.into(), &true.into())
    );
    assert_eq!(found["gate"]["passes"], true, "{}", found["gate"]);
    let warnings = found["gate"]["warnings"].to_string();
    assert!(warnings.contains("nothing says whom"), "{warnings}");
    let folder = home.join("adapters/good");
    let read = |file: &str| -> Value {
        let text = std::fs::read_to_string(folder.join(file)).expect("a file");
        serde_json::from_str(&text).expect("JSON")
    };
    let record = read("verdict-cases.json");
    let (calibrated, tested) = (patients(&record, "validation"), patients(&record, "test"));
    assert!(
        calibrated.is_disjoint(&tested),
        "calibrated on judged patients"
    );
    assert_eq!(calibrated.len() + tested.len(), 48);
    assert!(patients(&record, "train").is_empty());
    assert_eq!(found["n"].as_u64(), Some(tested.len() as u64));
    assert_eq!(
        found["recalibration"]["fitted_on"].as_u64(),
        Some(calibrated.len() as u64)
    );
    let page = json(home, &["adapters", "show", "good"]);
    assert_eq!(page["adapter"]["passes"], true);
    assert_eq!(page["adapter"]["value"], found["macro"]["auroc"]);
    assert_eq!(page["adapter"]["classes"].as_array().map(Vec::len), Some(2));

    // The verdict stays: there is no second throw of the dice, and who calibrated does not judge.
    refused(
        home,
        &attach("good", &data, &judged, &["--seed", "2"]),
        "judged_already",
        "without --attach",
    );
    let again = ["eval", "finetune", "--adapter", "good"];
    refused(
        home,
        &on(&again, &data, &judged, LABELS),
        "leak",
        "calibrated on",
    );

    json(home, &["adapters", "activate", "good"]);
    let picture = data.join(&others[0][0]);
    let live = json(home, &["findings", picture.to_str().expect("UTF-8")]);
    assert_eq!(live["provenance"]["adapter"], "good");
    assert_eq!(live["calibrated"], true);
    assert!(live.to_string().contains("trained elsewhere"), "{live}");
    json(home, &["adapters", "rollback"]);

    let idle = attach("idle", &data, &judged, &["--calibration", "platt"]);
    let found = json(home, &idle);
    assert_eq!(found["recalibration"]["method"], "platt");
    assert_eq!(found["gate"]["passes"], false, "{}", found["gate"]);
    refused(
        home,
        &["adapters", "activate", "idle"],
        "gate_refused",
        "may be none",
    );

    // A verdict that was touched up is no verdict.
    let path = folder.join("verdict.json");
    let text = std::fs::read_to_string(&path).expect("a verdict");
    std::fs::write(&path, text + " ").expect("writable");
    refused(
        home,
        &["adapters", "activate", "good"],
        "bad_adapter",
        "changed or damaged",
    );
}
