//! Fine-tuning through the whole program, on phantoms: every method, going live and back, bad input, and runs that are killed.

mod foreign;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use lucency_tests::units::{cases, table};
use lucency_tests::{error_of, json, lucency, run};
use serde_json::Value;

const KILLS: u64 = 50;
/// Methods that share the kills.
const ROUNDS: [&str; 5] = ["prompt", "lora", "ia3", "prefix", "prompt"];

const LABELS: &str = "image=image,patient=patient,label=unit";
const REPORTS: &str = "image=image,patient=patient,report=report";

/// Refuses `words` with a code and a message that has `part`.
fn refused(home: &Path, words: &[&str], code: &str, part: &str) {
    let (found, message) = error_of(&run(home, words));
    assert_eq!(found, code, "{words:?}: {message}");
    assert!(message.contains(part), "{words:?}: {message}");
}

/// The words of a command on a table.
fn on<'a>(words: &[&'a str], data: &'a Path, table: &'a Path, columns: &'a str) -> Vec<&'a str> {
    let text = |path: &'a Path| path.to_str().expect("UTF-8");
    let mut all = words.to_vec();
    all.extend([
        "--data",
        text(data),
        "--table",
        text(table),
        "--columns",
        columns,
    ]);
    all
}

/// What lies below a folder, but for the locks and logs, as bytes.
fn tensors(home: &Path, adapter: &str) -> Vec<u8> {
    let dir = home.join("adapters").join(adapter);
    ["adapter_model.safetensors", "model.safetensors"]
        .iter()
        .find_map(|name| std::fs::read(dir.join(name)).ok())
        .expect("the adapter has tensors")
}

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
    foreign::peft_files_travel(home, &data, &judged);
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
fn cases_of_the_library_train_and_judge_as_a_folder_does() {
    let home = tempfile::tempdir().expect("a folder");
    let (home, data) = (home.path(), home.path().join("data"));
    std::fs::create_dir(&data).expect("a folder");
    let rows = cases(&data, 1, 12);
    table(&data, "cases.csv", &rows);
    let columns = "id=patient,image=image,patient=patient,report=report,label=unit";
    let data_word = data.to_str().expect("UTF-8");
    let import = [
        "library",
        "import",
        "table",
        "--table",
        "cases.csv",
        "--source",
        "ward",
    ];
    let mut import = import.to_vec();
    import.extend(["--data", data_word, "--columns", columns]);
    json(home, &import);
    let report = json(
        home,
        &["train", "probe", "--name", "ward", "--library", "all"],
    );
    assert_eq!(report["trained_cases"], 24, "{report}");
    assert_eq!(report["labels"][0]["name"], "unit one");
    let other = [
        "train",
        "prompt",
        "--name",
        "words",
        "--epochs",
        "1",
        "--library",
    ];
    let mut other = other.to_vec();
    other.extend(["source=ward", "--columns", "label=unit one+unit two"]);
    let (code, message) = error_of(&run(home, &other));
    // The library knows of each case one label that is present and none that is absent.
    assert_eq!(code, "bad_data", "{message}");
    let judged = ["eval", "finetune", "--adapter", "ward", "--library", "all"];
    refused(home, &judged, "leak", "judge it on other patients");
    let none = [
        "train",
        "probe",
        "--name",
        "none",
        "--library",
        "source=elsewhere",
    ];
    refused(home, &none, "no_cases", "library list");

    // The tables that training read hold reports: with a case they go too.
    let tables = home.join("library").join("tables");
    let kept = std::fs::read_dir(&tables).expect("tables").count();
    assert!(kept > 0);
    let cases = json(home, &["library", "list", "--filter", "source=ward"]);
    let case = cases["cases"][0]["id"].as_str().expect("a case").to_owned();
    json(home, &["library", "delete", &case]);
    assert!(!tables.exists(), "no table keeps a deleted case");
}

/// Bad tables by a name: what is changed, the code, and what the message has.
fn bad_tables(
    rows: &[[String; 4]],
) -> BTreeMap<&'static str, (Vec<[String; 4]>, &'static str, &'static str)> {
    let change = |how: &dyn Fn(usize, &mut [String; 4])| {
        let mut rows = rows.to_vec();
        rows.iter_mut().enumerate().for_each(|(i, row)| how(i, row));
        rows
    };
    let mut twice = rows.to_vec();
    let mut copy = twice[0].clone();
    copy[3] = "unit two".into();
    twice.push(copy);
    BTreeMap::from([
        (
            "typo",
            (
                change(&|i, row| {
                    if i == 3 {
                        row[3] = "unit onee".into();
                    }
                }),
                "bad_data",
                "typing error for `unit one`",
            ),
        ),
        (
            "one class",
            (
                change(&|_, row| row[3] = "unit".into()),
                "bad_data",
                "at least two classes",
            ),
        ),
        (
            "one patient",
            (
                change(&|_, row| row[1] = "p".into()),
                "bad_data",
                "want at least two",
            ),
        ),
        (
            "no image",
            (
                change(&|i, row| {
                    if i == 5 {
                        row[0] = "gone.png".into();
                    }
                }),
                "bad_image",
                "row 6",
            ),
        ),
        (
            "no picture",
            (
                change(&|i, row| {
                    if i == 5 {
                        row[0] = "trained.csv".into();
                    }
                }),
                "bad_image",
                "cannot be read",
            ),
        ),
        (
            "outside",
            (
                change(&|i, row| {
                    if i == 5 {
                        row[0] = "../x.png".into();
                    }
                }),
                "bad_image",
                "leaves the folder",
            ),
        ),
        (
            "contradiction",
            (twice, "contradictory_labels", "rows 1 and 25"),
        ),
    ])
}

#[test]
fn bad_input_is_refused_with_what_to_do_and_leaves_nothing_behind() {
    let home = tempfile::tempdir().expect("a folder");
    let (home, data) = (home.path(), home.path().join("data"));
    std::fs::create_dir(&data).expect("a folder");
    let rows = cases(&data, 1, 12);
    let good = table(&data, "trained.csv", &rows);
    for (name, (rows, code, part)) in bad_tables(&rows) {
        let bad = table(&data, &format!("{name}.csv"), &rows);
        for method in ["probe", "lora"] {
            let words = ["train", method, "--name", "bad"];
            refused(home, &on(&words, &data, &bad, LABELS), code, part);
        }
    }
    let mut silent = rows.clone();
    silent.iter_mut().for_each(|row| row[2].clear());
    let silent = table(&data, "silent.csv", &silent);
    let contrastive = ["train", "contrastive", "--name", "bad"];
    refused(
        home,
        &on(&contrastive, &data, &silent, REPORTS),
        "bad_data",
        "reports of at least two",
    );
    refused(
        home,
        &on(&contrastive, &data, &good, LABELS),
        "bad_columns",
        "report=COLUMN",
    );
    let lora = ["train", "lora", "--name", "bad"];
    refused(
        home,
        &on(&lora, &data, &good, REPORTS),
        "bad_columns",
        "label=COLUMN",
    );
    refused(
        home,
        &on(&lora, &data, &good, "image=picture,label=unit"),
        "bad_columns",
        "it has image",
    );
    let rank = ["train", "lora", "--name", "bad", "--rank", "0"];
    refused(home, &on(&rank, &data, &good, LABELS), "bad_plan", "rank");
    let name = ["train", "lora", "--name", "../bad"];
    refused(home, &on(&name, &data, &good, LABELS), "bad_plan", "name");
    let pack = ["train", "lora", "--name", "bad", "--pack", "none"];
    refused(
        home,
        &on(&pack, &data, &good, LABELS),
        "pack_not_found",
        "none",
    );
    for folder in ["adapters/bad", "runs/bad"] {
        assert!(!home.join(folder).exists(), "{folder} was left behind");
    }
}

/// The words that begin a run of a method.
fn begin<'a>(method: &'a str, name: &'a str, data: &'a Path, table: &'a Path) -> Vec<&'a str> {
    let words = [
        "train", method, "--name", name, "--epochs", "3", "--batch", "3", "--seed", "7",
    ];
    on(&words, data, table, LABELS)
}

/// Runs of one method that are killed at different moments and end with the weights of one that was not.
struct Killed<'a> {
    home: &'a Path,
    data: &'a Path,
    table: &'a Path,
    method: &'a str,
    whole: String,
    /// Seconds of the run that was left alone.
    duration: Duration,
}

impl Killed<'_> {
    fn curve(&self, name: &str) -> Value {
        json(self.home, &["runs", "show", name])["curve"].clone()
    }

    fn state(&self, name: &str) -> Value {
        json(self.home, &["runs", "show", name])["run"]["state"].clone()
    }

    /// Begins the run, or goes on with it, and kills it after a share of its duration. True if that met it at work.
    fn kill(&self, name: &str, share: f64) -> bool {
        let folder = self.home.join("runs").join(name);
        let words = match folder.exists() {
            true => vec!["runs", "resume", name],
            false => begin(self.method, name, self.data, self.table),
        };
        let mut child = lucency(self.home)
            .args(&words)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("lucency starts");
        std::thread::sleep(self.duration.mul_f64(share));
        let met = child.try_wait().expect("a child").is_none();
        child.kill().expect("SIGKILL");
        child.wait().expect("a child");
        met
    }

    fn finish(&self, name: &str) {
        if !self.home.join("runs").join(name).exists() {
            json(self.home, &begin(self.method, name, self.data, self.table));
        } else if self.state(name) == "paused" {
            json(self.home, &["runs", "resume", name]);
        }
        assert!(
            tensors(self.home, &self.whole) == tensors(self.home, name),
            "{}: a run that was killed ends with other weights",
            self.method
        );
        assert_eq!(self.curve(&self.whole), self.curve(name), "{}", self.method);
    }
}

#[test]
fn runs_that_are_killed_fifty_times_end_with_the_same_weights() {
    let home = tempfile::tempdir().expect("a folder");
    let (home, data) = (home.path(), home.path().join("data"));
    std::fs::create_dir(&data).expect("a folder");
    let table = &table(&data, "cases.csv", &cases(&data, 1, 6));
    let (mut met, mut ended) = (0, 0);
    for (round, method) in ROUNDS.into_iter().enumerate() {
        let whole = format!("whole{round}");
        let begun = Instant::now();
        json(home, &begin(method, &whole, &data, table));
        let killed = Killed {
            home,
            data: &data,
            table,
            method,
            whole,
            duration: begun.elapsed(),
        };
        let mut name = format!("cut{round}");
        for kill in 0..KILLS / ROUNDS.len() as u64 {
            // Spread over the first two thirds: every moment of starting, stepping and writing is hit somewhere.
            let share = (kill * 37 % 50 + round as u64) as f64 / 75.0;
            if killed.kill(&name, share.max(0.01)) {
                met += 1;
            } else {
                killed.finish(&name);
                ended += 1;
                name = format!("cut{round}-{kill}");
            }
        }
        killed.finish(&name);
        ended += 1;
    }
    assert!(met >= 25, "only {met} kills met a run at work");
    assert!(ended >= ROUNDS.len(), "{ended} runs were compared");
}

#[test]
fn a_paused_run_waits_and_a_checkpoint_cut_short_is_named() {
    let home = tempfile::tempdir().expect("a folder");
    let (home, data) = (home.path(), home.path().join("data"));
    std::fs::create_dir(&data).expect("a folder");
    let table = table(&data, "cases.csv", &cases(&data, 1, 8));
    let words = [
        "train", "lora", "--name", "long", "--epochs", "200", "--batch", "4",
    ];
    let mut child = lucency(home)
        .args(on(&words, &data, &table, LABELS))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("lucency starts");
    let log = home.join("runs/long/log.jsonl");
    let begun = Instant::now();
    while std::fs::read_to_string(&log)
        .unwrap_or_default()
        .lines()
        .count()
        < 2
    {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "the run takes no step"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(
        json(home, &["runs", "show", "long"])["run"]["state"],
        "running"
    );
    refused(
        home,
        &["runs", "resume", "long"],
        "run_busy",
        "being worked on",
    );
    refused(
        home,
        &["runs", "remove", "long"],
        "run_busy",
        "being worked on",
    );
    json(home, &["runs", "pause", "long"]);
    assert!(!child.wait().expect("a child").success());
    let run = json(home, &["runs", "show", "long"])["run"].clone();
    assert_eq!(run["state"], "paused");
    assert!(run["done"].as_u64() >= Some(2), "{run}");

    let pack = home.join("runs/long/base.json");
    let good = std::fs::read_to_string(&pack).expect("which pack it is");
    let other = good.replacen(|c: char| c.is_ascii_digit(), "f", 1);
    std::fs::write(&pack, other).expect("writable");
    refused(home, &["runs", "resume", "long"], "pack_changed", "demo");
    std::fs::write(&pack, good).expect("writable");

    let weights = home.join("runs/long/checkpoint/weights.safetensors");
    let bytes = std::fs::read(&weights).expect("a checkpoint");
    std::fs::write(&weights, &bytes[..bytes.len() / 2]).expect("writable");
    refused(
        home,
        &["runs", "resume", "long"],
        "bad_checkpoint",
        "weights.safetensors",
    );
    assert_eq!(
        json(home, &["runs", "show", "long"])["run"]["state"],
        "failed"
    );
    assert_eq!(
        std::fs::read(&weights).expect("it is there").len(),
        bytes.len() / 2
    );
    json(home, &["runs", "cancel", "long"]);
    refused(
        home,
        &["runs", "resume", "long"],
        "run_cancelled",
        "start a new one",
    );
    assert!(!weights.exists(), "a cancelled run keeps no checkpoint");
}
