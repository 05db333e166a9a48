//! The case library through the whole program: imports that are killed, and what every command prints.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use lucency_tests::{error_of, json, lucency, run};
use serde_json::Value;

/// Rows of the table: a second or two of work.
const ROWS: usize = 6000;
const KILLS: u64 = 50;
/// Libraries that share the kills: one alone would be done after a few.
const ROUNDS: u64 = 5;

/// A table with questions, labels, patients, bad rows, and an image now and then.
fn data(folder: &Path) -> PathBuf {
    let data = folder.join("data");
    std::fs::create_dir_all(&data).expect("a folder");
    for i in 0..20_u8 {
        let picture = image::GrayImage::from_fn(40, 40, |x, y| {
            image::Luma([(x * u32::from(i + 3) + y * 5) as u8])
        });
        picture
            .save(data.join(format!("{i}.png")))
            .expect("a picture");
    }
    let mut table = String::from("key,image,patient,report,label,question,answer,split\n");
    for i in 0..ROWS {
        let row = match i % 97 {
            13 => format!("{i},gone.png,p{i},lost,,,,\n"),
            14 => format!("{i},too few\n"),
            _ => format!(
                "case{},{}.png,p{},Report {i}: opacity {} in the lung.,label{},Is there a mass {i}?,no,{}\n",
                i / 2,
                i % 20,
                i % 50,
                i % 7,
                i % 11,
                if i % 3 == 0 { "test" } else { "train" }
            ),
        };
        table += &row;
    }
    std::fs::write(data.join("cases.csv"), table).expect("a table");
    data
}

const COLUMNS: &str = "id=key,image=image,patient=patient,report=report,label=label,question=question,answer=answer,split=split";

fn import_words(data: &Path) -> Vec<String> {
    let data = data.to_string_lossy();
    let words = ["library", "import", "table", "--data", data.as_ref()];
    let more = [
        "--table",
        "cases.csv",
        "--columns",
        COLUMNS,
        "--source",
        "kills",
    ];
    words
        .iter()
        .chain(&more)
        .map(|word| (*word).to_owned())
        .collect()
}

/// Everything that is in a library, in words that do not depend on when it came in.
fn content(home: &Path) -> Value {
    let list = json(home, &["library", "list", "--limit", "100000"]);
    let mut cases: Vec<Value> = list["cases"].as_array().expect("cases").clone();
    cases.sort_by_key(|case| case["id"].as_str().unwrap_or_default().to_owned());
    let shown: Vec<Value> = cases
        .iter()
        .step_by(301)
        .map(|case| {
            json(
                home,
                &["library", "show", case["id"].as_str().expect("an id")],
            )
        })
        .collect();
    let mut stats = json(home, &["library", "stats"]);
    let counts = stats.as_object_mut().expect("an object");
    counts.remove("bytes");
    counts.remove("generation");
    serde_json::json!({ "cases": cases, "shown": shown, "stats": stats })
}

/// Kills an import ten times and lets it end. Returns how many of the kills met it before its last row.
///
/// - `round`: which places are hit; all rounds together spread over the whole import, the same in every run
fn kill_and_finish(home: &Path, words: &[&str], whole: &Path, expected: &Value, round: u64) -> u32 {
    // Identifiers are keyed hashes: the same key makes them comparable.
    let key = |home: &Path| home.join("library/patient.key");
    std::fs::create_dir_all(home.join("library")).expect("a folder");
    std::fs::copy(key(whole), key(home)).expect("the key");
    let seconds = expected["elapsed_s"].as_f64().expect("seconds");
    let count = |home: &Path| json(home, &["library", "list", "--limit", "1"])["total"].as_u64();
    let mut inside = 0;
    for kill in round * KILLS / ROUNDS..(round + 1) * KILLS / ROUNDS {
        let mut child = lucency(home)
            .args(words)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("lucency runs");
        let share = (kill * 37 % KILLS) as f64 / KILLS as f64;
        std::thread::sleep(Duration::from_secs_f64(share * 0.2 * seconds));
        child.kill().expect("SIGKILL");
        child.wait().expect("a status");
        if !home.join("library/library.db").exists() {
            continue;
        }
        let verified = json(home, &["library", "verify"]);
        assert_eq!(verified["ok"], true, "kill {kill}: {verified}");
        inside += u32::from(count(home) < count(whole));
    }
    let done = json(home, words);
    for count in ["rows", "rejected", "causes", "rejects", "redacted", "leaks"] {
        assert_eq!(done[count], expected[count], "{count}, round {round}");
    }
    inside
}

#[test]
fn an_import_that_is_killed_fifty_times_ends_as_if_nothing_had_happened() {
    let whole = tempfile::tempdir().expect("a folder");
    let data = data(whole.path());
    let words = import_words(&data);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let expected = json(whole.path(), &words);
    let untouched = content(whole.path());
    let mut inside = 0;
    for round in 0..ROUNDS {
        let home = tempfile::tempdir().expect("a folder");
        inside += kill_and_finish(home.path(), &words, whole.path(), &expected, round);
        let content = content(home.path());
        assert_eq!(content["stats"], untouched["stats"], "round {round}");
        assert!(content == untouched, "the cases differ in round {round}");
    }
    assert!(inside >= 25, "only {inside} kills met an unfinished import");
}

#[test]
fn the_commands_of_the_library_work_together() {
    let home = tempfile::tempdir().expect("a folder");
    let home = home.path();
    let missing = run(home, &["library", "list"]);
    assert_eq!(error_of(&missing).0, "no_library");
    let data = data(home);
    let words = import_words(&data);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let report = json(home, &words);
    assert_eq!(report["rows"], ROWS);
    assert!(report["rejected"].as_u64() > Some(100), "{report}");

    let hits = json(
        home,
        &[
            "search",
            "opacity lung",
            "-k",
            "3",
            "--filter",
            "label=label3",
            "--kind",
            "report",
        ],
    );
    let hits = hits["hits"].as_array().expect("hits");
    assert_eq!(hits.len(), 3);
    let matched = hits[0]["excerpt"].as_array().expect("pieces").iter();
    assert_eq!(matched.filter(|piece| piece["matched"] == true).count(), 2);
    let id = hits[0]["case_id"].as_str().expect("an id");
    let case = json(home, &["library", "show", id]);
    assert!(
        case["labels"]
            .as_array()
            .is_some_and(|l| l.iter().any(|l| l["name"] == "label3"))
    );

    let backup = home.join("backup.db").to_string_lossy().into_owned();
    json(home, &["library", "backup", &backup]);
    assert_eq!(json(home, &["library", "delete", id])["deleted"], 1);
    let gone = run(home, &["library", "show", id]);
    assert_eq!(error_of(&gone).0, "no_such_case");
    json(home, &["library", "restore", &backup]);
    assert_eq!(json(home, &["library", "show", id]), case, "as it was");
    let verified = json(home, &["library", "verify", "--images"]);
    assert!(verified["images_read"].as_u64() > Some(0), "{verified}");

    let bad = run(home, &["library", "import", "chexprt", "--data", "."]);
    let (code, message) = error_of(&bad);
    assert_eq!(code, "bad_request");
    assert!(message.contains("chexpert"), "names the formats: {message}");
}
