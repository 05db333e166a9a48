//! The library's record through the whole program: what learned from a case, and what is left when the case goes.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use lucency_tests::units::{cases, table};
use lucency_tests::{error_of, json, lucency, run};

/// Cases with the wrong label.
const WRONG: [usize; 4] = [2, 5, 14, 20];

/// Refuses `words` with a code and a message that has `part`.
fn refused(home: &Path, words: &[&str], code: &str, part: &str) {
    let (found, message) = error_of(&run(home, words));
    assert_eq!(found, code, "{words:?}: {message}");
    assert!(message.contains(part), "{words:?}: {message}");
}

/// Every file below a folder that holds some words.
fn files_with(folder: &Path, words: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_with(&path, words));
        } else {
            let bytes = std::fs::read(&path).expect("a file");
            let has = bytes.windows(words.len()).any(|w| w == words.as_bytes());
            found.extend(has.then_some(path));
        }
    }
    found
}

/// Imports cases of two units, some with the wrong label.
fn library(home: &Path, data: &Path) -> Vec<[String; 4]> {
    std::fs::create_dir(data).expect("a folder");
    let mut rows = cases(data, 1, 12);
    // Wrong labels make errors that the report shows.
    for row in WRONG {
        rows[row][3] = if row < 12 { "unit two" } else { "unit one" }.to_owned();
    }
    table(data, "cases.csv", &rows);
    let columns = "id=patient,image=image,patient=patient,report=report,label=unit";
    let import = "library import table --table cases.csv --source ward".split(' ');
    let import: Vec<&str> = import.collect();
    let data_word = data.to_str().expect("UTF-8");
    json(
        home,
        &[&import[..], &["--data", data_word, "--columns", columns]].concat(),
    );
    rows
}

#[test]
fn the_library_knows_what_learned_from_a_case_and_takes_a_deleted_one_out_of_reports() {
    let home = tempfile::tempdir().expect("a folder");
    let (home, data) = (home.path(), home.path().join("data"));
    let rows = library(home, &data);
    let data_word = data.to_str().expect("UTF-8");
    let backup = home.join("backup.db");
    let backup = backup.to_str().expect("UTF-8");
    json(home, &["library", "backup", backup]);
    json(home, &["library", "embed"]);
    json(
        home,
        &["train", "probe", "--name", "ward", "--library", "all"],
    );
    json(home, &["eval", "retrieval", "--library", "all"]);

    let stats = json(home, &["library", "stats"]);
    let adapter = &stats["adapters"][0];
    assert_eq!(
        (&adapter["name"], &adapter["path"]),
        (&"ward".into(), &"adapters/ward".into())
    );
    let kinds: Vec<&str> = stats["runs"]
        .as_array()
        .expect("runs")
        .iter()
        .map(|run| run["kind"].as_str().expect("a word"))
        .collect();
    assert_eq!(
        kinds,
        ["evaluation", "training", "embedding"],
        "the latest first"
    );
    let (judged, training) = (&stats["runs"][0], &stats["runs"][1]);
    assert_eq!(judged["judged"], 24, "{judged}");
    assert_eq!(
        (&training["trained"], &training["outcome"]["state"]),
        (&24.into(), &"finished".into())
    );
    assert!(
        training["finished"].is_string() && adapter["pack"] == training["pack"],
        "{stats}"
    );
    assert!(
        !files_with(&home.join("library"), data_word).is_empty(),
        "images are referred to"
    );
    let record = serde_json::to_string(&stats["runs"]).expect("JSON");
    assert!(
        !record.contains(&rows[0][1]) && !record.contains(data_word),
        "{record}"
    );

    let worst = |home: &Path| json(home, &["adapters", "show", "ward"])["worst"].clone();
    let shown = worst(home)[0]["path"]
        .as_str()
        .expect("an error that is shown")
        .to_owned();
    let listed = json(home, &["library", "list"]);
    let case = listed["cases"]
        .as_array()
        .expect("cases")
        .iter()
        .map(|case| case["id"].as_str().expect("an identifier"))
        .find(|id| {
            let image = &json(home, &["library", "show", id])["images"][0]["path"];
            shown.ends_with(image.as_str().expect("a path"))
        })
        .expect("the case of the worst error");
    let seen = json(home, &["library", "show", case])["seen_by"].clone();
    assert_eq!(
        (&seen[0]["judged"], &seen[1]["trained"]),
        (&1.into(), &1.into()),
        "{seen}"
    );
    let name = Path::new(&shown)
        .file_name()
        .and_then(|n| n.to_str())
        .expect("a name");
    let id = Path::new(&shown)
        .parent()
        .and_then(|p| p.file_name())
        .and_then(|n| n.to_str());
    let image = format!("{}/{name}", id.expect("a folder"));
    let before = worst(home).as_array().map_or(0, Vec::len);
    let deleted = json(home, &["library", "delete", case]);
    assert_eq!(
        deleted["adapters"],
        serde_json::json!(["ward"]),
        "{deleted}"
    );
    assert_eq!(deleted["report_entries"], 1, "{deleted}");
    assert_eq!(worst(home).as_array().map(Vec::len), Some(before - 1));
    for folder in ["adapters", "runs", "library", "cache"] {
        let named = files_with(&home.join(folder), &image);
        assert!(
            named.is_empty(),
            "{named:?} still name the deleted case's image"
        );
    }
    let out = home.join("out");
    let export = [
        "adapters",
        "export",
        "ward",
        "--out",
        out.to_str().expect("UTF-8"),
    ];
    json(home, &export); // which verifies every file of it
    let stats = json(home, &["library", "stats"]);
    assert_eq!(
        (&stats["runs"][1]["trained"], &stats["runs"][1]["deleted"]),
        (&23.into(), &1.into())
    );

    // Folders that somebody removed by hand are found, and taken out of the record.
    assert_eq!(json(home, &["library", "verify"])["ok"], true);
    std::fs::remove_dir_all(home.join("adapters/ward")).expect("an adapter");
    std::fs::remove_dir_all(home.join("runs/ward")).expect("a run");
    let verified = run(home, &["library", "verify"]);
    assert!(!verified.status.success());
    let text = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert!(
        text.contains("adapters/ward") && text.contains("runs/ward"),
        "{text}"
    );
    json(home, &["adapters", "remove", "ward"]);
    json(home, &["runs", "remove", "ward"]);
    assert_eq!(json(home, &["library", "verify"])["ok"], true);
    let stats = json(home, &["library", "stats"]);
    assert_eq!(stats["adapters"], serde_json::json!([]));
    assert_eq!(
        stats["runs"].as_array().map(Vec::len),
        Some(3),
        "the record keeps its runs"
    );
    refused(
        home,
        &["adapters", "remove", "ward"],
        "no_adapter",
        "adapters list",
    );
    refused(home, &["runs", "remove", "ward"], "no_run", "runs list");

    // Adapters that come from elsewhere are in the record, and again after a backup of a time without them.
    let out = out.to_str().expect("UTF-8");
    json(home, &["adapters", "import", out]);
    for restored in [false, true] {
        if restored {
            json(home, &["library", "restore", backup]);
        }
        let stats = json(home, &["library", "stats"]);
        assert_eq!(stats["adapters"][0]["name"], "ward", "{stats}");
    }
}

/// A training on all cases of the library that has left its first checkpoint.
fn begun(home: &Path, name: &str, epochs: &str) -> Child {
    let words = [
        "train",
        "prompt",
        "--library",
        "all",
        "--name",
        name,
        "--epochs",
        epochs,
    ];
    let mut training = lucency(home)
        .args(words)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("lucency runs");
    let checkpoint = home.join("runs").join(name).join("checkpoint");
    let patience = Instant::now() + Duration::from_secs(300);
    while !checkpoint.exists() {
        let ended = training.try_wait().expect("a process");
        assert!(ended.is_none(), "it ended before its first checkpoint");
        assert!(Instant::now() < patience, "no checkpoint in five minutes");
        std::thread::sleep(Duration::from_millis(50));
    }
    training
}

#[test]
fn a_case_that_is_deleted_while_a_run_learns_from_it_is_not_in_the_runs_report() {
    let home = tempfile::tempdir().expect("a folder");
    let (home, data) = (home.path(), home.path().join("data"));
    let rows = library(home, &data);
    let mut training = begun(home, "live", "12");
    // Those with a wrong label, which the report would show.
    let wrong: Vec<&str> = WRONG.iter().map(|row| &*rows[*row][0]).collect();
    let listed = json(home, &["library", "list"]);
    let listed = listed["cases"].as_array().expect("cases").iter();
    let gone: Vec<&str> = listed
        .map(|case| case["id"].as_str().expect("an identifier"))
        .filter(|id| {
            let image = &json(home, &["library", "show", id])["images"][0]["path"];
            wrong.contains(&image.as_str().expect("a path"))
        })
        .collect();
    assert!(
        training.try_wait().expect("a process").is_none(),
        "it still learns"
    );
    let deleted = json(home, &[&["library", "delete"], &gone[..]].concat());
    assert_eq!(deleted["deleted"], WRONG.len(), "{deleted}");
    assert_eq!(deleted["runs"], serde_json::json!(["live"]), "{deleted}");
    assert!(training.wait().expect("it ends").success());
    for image in wrong {
        let named = files_with(&home.join("adapters"), image);
        assert!(named.is_empty(), "{named:?} name a deleted case's image");
    }
    let stats = json(home, &["library", "stats"]);
    let run = &stats["runs"][0];
    assert_eq!(
        (&run["deleted"], &run["outcome"]["state"]),
        (&WRONG.len().into(), &"finished".into())
    );
    let judged = run["judged"].as_u64().expect("a number");
    let learned = run["trained"].as_u64().expect("a number");
    assert!(judged > 0 && judged + learned == 20, "{run}");
    let out = home.join("out");
    let out = out.to_str().expect("UTF-8");
    json(home, &["adapters", "export", "live", "--out", out]); // which verifies every file of it
}

#[test]
fn a_run_that_was_killed_cannot_go_on_when_a_case_of_it_was_deleted() {
    let home = tempfile::tempdir().expect("a folder");
    let (home, data) = (home.path(), home.path().join("data"));
    library(home, &data);
    let mut training = begun(home, "slow", "500");
    training.kill().expect("it works");
    training.wait().expect("it ends");

    let run = json(home, &["library", "stats"])["runs"][0].clone();
    assert!(run["finished"].is_null() && run["trained"] == 24, "{run}");
    let listed = json(home, &["library", "list", "--limit", "1"]);
    let case = listed["cases"][0]["id"].as_str().expect("an identifier");
    let deleted = json(home, &["library", "delete", case]);
    assert_eq!(deleted["runs"], serde_json::json!(["slow"]), "{deleted}");
    assert_eq!(deleted["adapters"], serde_json::json!([]), "{deleted}");
    refused(
        home,
        &["runs", "resume", "slow"],
        "cases_changed",
        "begin a new run",
    );
    json(home, &["runs", "cancel", "slow"]);
    let run = json(home, &["library", "stats"])["runs"][0].clone();
    assert_eq!(
        (&run["outcome"]["state"], &run["deleted"]),
        (&"cancelled".into(), &1.into())
    );
    assert_eq!(json(home, &["library", "verify"])["ok"], true);
}
