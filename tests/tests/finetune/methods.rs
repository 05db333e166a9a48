//! Every method, its report, and what was forgotten.

use std::path::Path;

use lucency_tests::json;
use lucency_tests::units::{cases, table};
use serde_json::Value;

use super::{LABELS, REPORTS, on, refused, tensors};

/// What was forgotten stands in the report, on the page and on paper.
fn looks_back(home: &Path, method: &str, report: &Value, page: &Value) {
    let tasks = report["forgotten"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    if method == "prompt" {
        assert!(tasks.is_empty(), "words before class names change no tower");
    } else {
        let measures: Vec<&str> = tasks.iter().filter_map(|t| t["measure"].as_str()).collect();
        assert_eq!(
            measures,
            ["auroc", "auroc", "accuracy", "recall@5"],
            "{report}"
        );
        let known = tasks[2]["base"].as_f64();
        assert!(
            known > Some(0.9),
            "the pack tells chest films from CT: {}",
            tasks[2]
        );
    }
    assert_eq!(
        page["forgotten"].as_array().map(Vec::len),
        Some(tasks.len())
    );
    let fallen = page["forgotten"].as_array().into_iter().flatten();
    let fallen = fallen.filter(|row| row["forgotten"] == true).count();
    let warnings = page["adapter"]["warnings"].as_array().map(Vec::len);
    assert_eq!(warnings, Some(fallen), "each fall is a warning: {page}");

    let file = home.join(format!("{method}.pdf"));
    let words = [
        "runs",
        "report",
        method,
        "--pdf",
        file.to_str().expect("UTF-8"),
    ];
    let written = json(home, &words);
    let bytes = std::fs::read(&file).expect("a report");
    assert!(bytes.starts_with(b"%PDF-1.5") && written["pages"].as_u64() >= Some(1));
    refused(home, &words, "exists", "is there already");
}

#[test]
fn every_method_leaves_a_run_an_adapter_and_a_report() {
    let home = tempfile::tempdir().expect("a folder");
    let (home, data) = (home.path(), home.path().join("data"));
    std::fs::create_dir(&data).expect("a folder");
    let trained = table(&data, "trained.csv", &cases(&data, 1, 12));
    let judged = table(&data, "judged.csv", &cases(&data, 4000, 6));
    for method in ["lora", "ia3", "prefix", "prompt", "full", "contrastive"] {
        let columns = if method == "contrastive" {
            REPORTS
        } else {
            LABELS
        };
        let words = [
            "train", method, "--name", method, "--epochs", "1", "--batch", "6",
        ];
        let recipe: &[&str] = match method {
            "contrastive" => &["--preset", "text-tower"],
            _ => &[],
        };
        let words = [&words[..], recipe].concat();
        let report = json(home, &on(&words, &data, &trained, columns));
        assert_eq!(
            (&report["method"], &report["adapter"]),
            (&method.into(), &method.into())
        );
        assert!(report["steps"].as_u64() >= Some(2), "{report}");
        let shown = json(home, &["runs", "show", method]);
        assert_eq!(shown["run"]["state"], "finished");
        let curve = shown["curve"].as_array().expect("a curve");
        assert!(curve.iter().all(|p| p["loss"].is_number()) && curve.len() >= 2);
        let svg = std::fs::read_to_string(home.join("runs").join(method).join("curves.svg"));
        assert!(svg.expect("curves").starts_with("<svg"));

        let words = ["eval", "finetune", "--adapter", method];
        let found = json(home, &on(&words, &data, &judged, columns));
        match method {
            "contrastive" => assert!(found["retrieval"]["recall_at_5"].is_number(), "{found}"),
            _ => assert!(found["base"]["macro"]["auroc"].is_number(), "{found}"),
        }
        let page = json(home, &["adapters", "show", method]);
        assert_eq!(
            page["rows"].as_array().map(Vec::is_empty),
            Some(method == "contrastive")
        );
        assert_eq!(
            page["retrieval"].as_array().map(Vec::len),
            Some(if method == "contrastive" { 6 } else { 0 })
        );
        looks_back(home, method, &report, &page);
        // Two steps on a dozen patients teach too little to go live, and the program says so.
        if page["adapter"]["passes"] == false {
            refused(
                home,
                &["adapters", "activate", method],
                "gate_refused",
                "may not go live",
            );
        }
    }
    for file in ["adapter_model.safetensors", "adapter_config.json"] {
        assert!(
            home.join("adapters/lora").join(file).is_file(),
            "as PEFT names it"
        );
    }
    super::foreign::peft_files_travel(home, &data, &judged);
    let less = [
        "train",
        "lora",
        "--name",
        "less",
        "--epochs",
        "1",
        "--batch",
        "6",
        "--checkpointing",
    ];
    json(home, &on(&less, &data, &trained, LABELS));
    assert!(
        tensors(home, "less") == tensors(home, "lora"),
        "the same weights with less memory"
    );
    let narrow = ["train", "lora", "--name", "narrow", "--precision", "mixed"];
    refused(
        home,
        &on(&narrow, &data, &trained, LABELS),
        "no_accelerator",
        "take f32",
    );
    let runs = json(home, &["runs", "list"]);
    assert_eq!(runs["runs"].as_array().map(Vec::len), Some(7));
    let taken = ["train", "lora", "--name", "ia3"];
    refused(
        home,
        &on(&taken, &data, &trained, LABELS),
        "name_taken",
        "another name",
    );
    refused(
        home,
        &["runs", "resume", "lora"],
        "run_finished",
        "is finished",
    );
    refused(home, &["runs", "show", "nothing"], "no_run", "runs list");
    json(home, &["runs", "remove", "full"]);
    assert!(
        home.join("adapters/full/model.safetensors").is_file(),
        "its adapter stays"
    );
}

#[test]
fn reports_are_learned_by_linear_heads_in_one_go() {
    let home = tempfile::tempdir().expect("a folder");
    let (home, data) = (home.path(), home.path().join("data"));
    std::fs::create_dir(&data).expect("a folder");
    let trained = table(&data, "trained.csv", &cases(&data, 1, 12));
    let judged = table(&data, "judged.csv", &cases(&data, 4000, 6));
    let words = ["train", "contrastive", "--name", "heads"];
    let steps = [&words[..], &["--epochs", "3"]].concat();
    refused(
        home,
        &on(&steps, &data, &trained, REPORTS),
        "bad_plan",
        "text_tower",
    );
    let report = json(home, &on(&words, &data, &trained, REPORTS));
    assert_eq!(report["steps"], 0);
    assert!(report["retrieval"]["recall_at_5"].is_number(), "{report}");
    assert!(
        report["forgotten"]
            .as_array()
            .is_some_and(|f| !f.is_empty()),
        "{report}"
    );
    let shown = json(home, &["runs", "show", "heads"]);
    assert_eq!(shown["run"]["state"], "finished");
    let found = ["eval", "finetune", "--adapter", "heads"];
    let found = json(home, &on(&found, &data, &judged, REPORTS));
    assert!(found["retrieval"]["gain"]["low"].is_number(), "{found}");
    let page = json(home, &["adapters", "show", "heads"]);
    assert_eq!(page["retrieval"].as_array().map(Vec::len), Some(6));
}
