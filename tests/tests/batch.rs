//! `lucency ask` over a table and over a folder.

use std::path::{Path, PathBuf};
use std::process::Output;

use lucency_tests::{error_of, lucency};

fn run(home: &Path, words: &[&str]) -> Output {
    lucency(home)
        .arg("--json")
        .args(words)
        .output()
        .expect("lucency runs")
}

/// A film of the demo study.
fn film() -> PathBuf {
    let mut open = vec![lucency_tests::assets().join("demo/chest")];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let entries = std::fs::read_dir(&path).expect("the demo study is readable");
            open.extend(entries.map(|e| e.expect("readable").path()));
        } else if path.extension().is_some_and(|e| e == "dcm") {
            return path;
        }
    }
    panic!("the demo study has a film")
}

/// The fields of each line by their column; no field of these tests has a comma or a quotation mark in it.
fn table(path: &Path) -> Vec<std::collections::HashMap<String, String>> {
    let text = std::fs::read_to_string(path).expect("the answers are there");
    let mut lines = text
        .lines()
        .map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
    let columns = lines.next().expect("there is a header");
    lines
        .map(|fields| columns.iter().cloned().zip(fields).collect())
        .collect()
}

#[test]
fn a_table_of_questions_is_answered_and_a_bad_row_stops_nothing() {
    let home = tempfile::tempdir().expect("a temporary folder");
    std::fs::copy(film(), home.path().join("film.dcm")).expect("writable");
    std::fs::write(home.path().join("broken.dcm"), "no image").expect("writable");
    let questions = "id,image,question\n\
        a,film.dcm,Is there a pleural effusion?\n\
        b,absent.dcm,Is there a pleural effusion?\n\
        c,broken.dcm,Is there a pleural effusion?\n\
        d,film.dcm,\n\
        e,film.dcm,Is there a haemorrhage in the brain?\n\
        f,film.dcm,Where is the effusion?\n";
    std::fs::write(home.path().join("questions.csv"), questions).expect("writable");
    let output = run(
        home.path(),
        &["ask", "--batch", "questions.csv", "--out", "answers.csv"],
    );
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let done: serde_json::Value = serde_json::from_str(&text).expect("a summary in JSON");
    assert_eq!(
        (done["rows"].as_u64(), done["failed"].as_u64()),
        (Some(6), Some(3))
    );

    let rows = table(&home.path().join("answers.csv"));
    let ids: Vec<&str> = rows.iter().map(|row| row["id"].as_str()).collect();
    assert_eq!(
        ids,
        ["a", "b", "c", "d", "e", "f"],
        "in the order of the questions"
    );
    assert_eq!(rows[0]["question_type"], "presence");
    assert_eq!(rows[5]["question_type"], "position");
    let confidence: f64 = rows[0]["confidence"].parse().expect("a number");
    assert!((0.0..=1.0).contains(&confidence));
    assert!(rows[0]["error"].is_empty());
    for failed in [1, 2, 3] {
        assert!(!rows[failed]["error"].is_empty(), "row {failed} says why");
        assert!(rows[failed]["answer"].is_empty(), "and invents nothing");
    }
    assert_eq!(rows[4]["caution"], "other_region");
    assert_eq!(
        (rows[4]["abstained"].as_str(), rows[4]["answer"].as_str()),
        ("true", "")
    );
}

#[test]
fn a_table_that_is_not_understood_is_refused_and_nothing_is_written() {
    let home = tempfile::tempdir().expect("a temporary folder");
    for (text, word) in [
        ("image\nfilm.dcm\n", "question"),
        ("image,question,frame\na,b,1\n", "frame"),
        ("id,image,question\n1,a,b\n1,a,b\n", "twice"),
        ("image,question\n", "no question"),
    ] {
        std::fs::write(home.path().join("questions.csv"), text).expect("writable");
        let words = ["ask", "--batch", "questions.csv", "--out", "answers.csv"];
        let (code, message) = error_of(&run(home.path(), &words));
        assert_eq!(code, "bad_table", "{text:?}: {message}");
        assert!(message.contains(word), "{text:?}: {message}");
        assert!(!home.path().join("answers.csv").exists());
    }
}

#[test]
fn every_image_of_a_folder_is_asked_every_question() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let folder = home.path().join("films");
    std::fs::create_dir(&folder).expect("writable");
    std::fs::copy(film(), folder.join("film")).expect("writable");
    image_ramp(&folder.join("ramp.png"));
    std::fs::write(folder.join("notes.txt"), "no image").expect("writable");
    let words = [
        "ask",
        "films",
        "-q",
        "Is the heart enlarged?",
        "-q",
        "What modality is shown?",
        "--out",
        "answers.csv",
    ];
    let output = run(home.path(), &words);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let rows = table(&home.path().join("answers.csv"));
    assert_eq!(rows.len(), 4, "two images, two questions");
    assert_eq!(rows[0]["question_type"], "size");
    assert_eq!(rows[1]["question_type"], "modality");
    let (code, _) = error_of(&run(home.path(), &["ask", "films", "-q", "a", "-q", "b"]));
    assert_eq!(code, "usage", "several questions want a table of answers");
}

fn image_ramp(path: &Path) {
    image::GrayImage::from_fn(64, 48, |x, y| image::Luma([(x * 3 + y) as u8]))
        .save(path)
        .expect("writable");
}
