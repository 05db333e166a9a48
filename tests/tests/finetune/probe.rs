//! A probe from its table into use, back, and to another workstation.

use std::path::Path;

use lucency_tests::json;
use lucency_tests::units::{cases, table};
use serde_json::Value;

use super::{LABELS, on, refused};

#[test]
fn a_probe_goes_live_gives_the_findings_and_is_taken_back() {
    let home = tempfile::tempdir().expect("a folder");
    let (home, data) = (home.path(), home.path().join("data"));
    std::fs::create_dir(&data).expect("a folder");
    let trained = table(&data, "trained.csv", &cases(&data, 1, 20));
    let others = cases(&data, 4000, 12);
    let judged = table(&data, "judged.csv", &others);

    let report = json(
        home,
        &on(
            &["train", "probe", "--name", "units"],
            &data,
            &trained,
            LABELS,
        ),
    );
    assert!(report["macro"]["auroc"].as_f64() > Some(0.9), "{report}");
    assert_eq!(report["gate"]["passes"], true, "{}", report["gate"]);

    let scores = home.join("scores.csv");
    let scores_word = scores.to_str().expect("UTF-8");
    let words = [
        "eval",
        "finetune",
        "--adapter",
        "units",
        "--scores",
        scores_word,
    ];
    let found = json(home, &on(&words, &data, &judged, LABELS));
    for side in [
        &found["macro"],
        &found["base"]["macro"],
        &found["per_class"]["unit two"],
    ] {
        for figure in ["auroc", "auroc_low", "auroc_high", "auprc", "ece", "brier"] {
            assert!(side[figure].is_number(), "{figure} of {side}");
        }
    }
    let stated = found["per_class"]["unit two"]["auroc"]
        .as_f64()
        .expect("a number");
    let again = auroc_of(&scores, "unit two");
    assert!(
        (stated - again).abs() < 1e-12,
        "{stated} is {again} from its own scores"
    );
    refused(
        home,
        &on(
            &["eval", "finetune", "--adapter", "units"],
            &data,
            &trained,
            LABELS,
        ),
        "leak",
        "judge it on other patients",
    );

    let picture = data.join(&others[0][0]);
    let picture = picture.to_str().expect("UTF-8");
    let before = json(home, &["findings", picture]);
    assert_eq!(before["provenance"]["adapter"], Value::Null);
    json(home, &["adapters", "activate", "units"]);
    let live = json(home, &["findings", picture]);
    assert_eq!(live["provenance"]["adapter"], "units");
    assert_eq!(live["findings"][0]["label"], "unit one", "{live}");
    assert_eq!(live["calibrated"], true);
    let asked = json(home, &["ask", picture, "-q", "Is this a chest radiograph?"]);
    assert_eq!(
        asked["provenance"]["adapter"],
        Value::Null,
        "the pack itself answers"
    );
    refused(
        home,
        &["adapters", "remove", "units"],
        "adapter_active",
        "roll back first",
    );

    let second = [
        "train",
        "probe",
        "--features",
        "layout",
        "--name",
        "second",
        "--calibration",
        "isotonic",
    ];
    let report = json(home, &on(&second, &data, &trained, LABELS));
    let worth = &report["recalibration"];
    assert_eq!(
        (&worth["method"], &worth["fitted_on"]),
        (&"isotonic".into(), &40.into())
    );
    // The table's ECE is of the calibrated probabilities.
    let stated = (worth["ece_after"].as_f64(), worth["brier_after"].as_f64());
    let ece = report["macro"]["ece"].as_f64();
    assert_eq!(stated, (ece, report["macro"]["brier"].as_f64()));
    json(home, &["adapters", "activate", "second"]);
    let back = json(home, &["adapters", "rollback"]);
    assert_eq!(back["active"]["name"], "units", "one step back");
    let back = json(home, &["adapters", "rollback"]);
    assert_eq!(back["active"], Value::Null, "the pack alone");
    let after = json(home, &["findings", picture]);
    assert_eq!(after["findings"], before["findings"]);
    refused(home, &["adapters", "rollback"], "no_active_adapter", "demo");

    let words = ["eval", "learning", "--shares", "50", "--folds", "3"];
    let curve = json(home, &on(&words, &data, &trained, LABELS));
    let point = &curve["points"][0];
    let count = curve["judged_cases"].as_u64().unwrap_or_default();
    assert_eq!(point["percent"].as_f64(), Some(50.0), "{curve}");
    assert!(
        point["cases"]
            .as_u64()
            .is_some_and(|n| (count / 4..count / 2).contains(&n)),
        "a third is left out: {curve}"
    );
    assert!(
        point["auroc"].as_f64() > curve["base_auroc"].as_f64(),
        "{curve}"
    );

    let words = ["eval", "learning", "--method", "probe", "--shots", "1,3,9"];
    let curve = json(home, &on(&words, &data, &trained, LABELS));
    let points = curve["points"].as_array().expect("points");
    let learned_from: Vec<Option<u64>> = points.iter().map(|p| p["cases"].as_u64()).collect();
    assert_eq!(learned_from, [Some(2), Some(6), Some(18)]);
    assert!(points[0]["auroc"].is_number(), "one of each: {curve}");
    assert!(
        points[2]["auroc"].as_f64() > curve["base_auroc"].as_f64(),
        "{curve}"
    );

    travels(home, &data, &judged, &found);
    json(home, &["adapters", "remove", "units"]);
    let left = json(home, &["adapters", "list"]);
    assert_eq!(left["adapters"].as_array().map(Vec::len), Some(1));
}

/// The adapter `units` on another workstation: the same figures, and no way in for a changed one.
fn travels(home: &Path, data: &Path, judged: &Path, figures: &Value) {
    let out = home.join("units-exported");
    let out_word = out.to_str().expect("UTF-8");
    json(home, &["adapters", "export", "units", "--out", out_word]);
    refused(
        home,
        &["adapters", "export", "units", "--out", out_word],
        "name_taken",
        "nothing was overwritten",
    );
    let text = std::fs::read_to_string(out.join("details.json")).expect("details");
    assert!(!text.contains("png"), "file names of cases stay at home");
    refused(
        home,
        &["adapters", "import", out_word],
        "name_taken",
        "is there already",
    );

    let other = tempfile::tempdir().expect("a folder");
    let taken_in = json(other.path(), &["adapters", "import", out_word]);
    assert_eq!(
        (&taken_in["name"], &taken_in["fits"]),
        (&"units".into(), &true.into())
    );
    let words = ["eval", "finetune", "--adapter", "units"];
    let again = json(other.path(), &on(&words, data, judged, LABELS));
    assert_eq!(
        again["macro"], figures["macro"],
        "the same on another workstation"
    );

    let third = tempfile::tempdir().expect("a folder");
    let manifest = out.join("adapter.json");
    let good = std::fs::read_to_string(&manifest).expect("a manifest");
    let stated: Value = serde_json::from_str(&good).expect("JSON");
    let hash = stated["base"]["hash"].as_str().expect("a hash");
    std::fs::write(&manifest, good.replace(hash, &"0".repeat(64))).expect("writable");
    refused(
        third.path(),
        &["adapters", "import", out_word],
        "bad_adapter",
        "the pack has changed since",
    );
    std::fs::write(&manifest, good).expect("writable");
    let probe = out.join("probe.json");
    let bytes = std::fs::read(&probe).expect("a probe");
    std::fs::write(&probe, &bytes[..bytes.len() - 7]).expect("writable");
    refused(
        third.path(),
        &["adapters", "import", out_word],
        "bad_adapter",
        "changed or damaged",
    );
    let none = third.path().join("adapters/units");
    assert!(!none.exists(), "nothing was taken in");
}

/// AUROC of a class by its definition, from exported scores.
fn auroc_of(scores: &Path, class: &str) -> f64 {
    let text = std::fs::read_to_string(scores).expect("scores");
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().expect("a header");
    let place = |name: &str| header.iter().position(|h| *h == name).expect("a column");
    let (label, score) = (place("label"), place(&format!("score:{class}")));
    let rows: Vec<(bool, f64)> = lines
        .map(|row| (row[label] == class, row[score].parse().expect("a number")))
        .collect();
    let (mut sum, mut pairs) = (0.0, 0.0);
    for (_, p) in rows.iter().filter(|(is, _)| *is) {
        for (_, n) in rows.iter().filter(|(is, _)| !is) {
            sum += f64::from(u8::from(p > n)) + 0.5 * f64::from(u8::from(p == n));
            pairs += 1.0;
        }
    }
    sum / pairs
}
