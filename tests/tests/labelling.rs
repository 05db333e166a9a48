//! Labelling through the whole program: sets, readers, the next case, agreement, and training on what readers said.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use lucency_tests::{error_of, json, run};
use serde_json::Value;

/// Films of each of two units.
const EACH: usize = 16;
/// Pixels along a side of the mark that films of the second unit carry.
const MARK: u32 = 40;

/// Imports chest phantoms of two units, the second with a bright mark, and embeds them. Returns the true unit of each case.
fn library(home: &Path) -> BTreeMap<String, &'static str> {
    let mut table = String::from("image,patient,view\n");
    for (view, seed) in [("PA", "1"), ("AP", "501")] {
        let words = "phantom --png --no-dicom --resolution 160 --content chest --count";
        let mut words: Vec<&str> = words.split(' ').collect();
        let count = EACH.to_string();
        words.extend([&count, "--seed", seed, "--out", seed]);
        assert!(run(home, &words).status.success());
        let manifest = std::fs::read_to_string(home.join(seed).join("manifest.jsonl"));
        for line in manifest.expect("a manifest").lines() {
            let study: Value = serde_json::from_str(line).expect("JSON");
            let id = study["study"].as_str().expect("a word");
            let png = study["images"][0]["png"].as_str().expect("a word");
            let name = format!("{seed}/{id}/{png}");
            if view == "AP" {
                let path = home.join(&name);
                let mut film = image::open(&path).expect("a picture").to_luma8();
                for (x, y) in (0..MARK).flat_map(|x| (0..MARK).map(move |y| (x, y))) {
                    film.put_pixel(x, y, image::Luma([255]));
                }
                film.save(&path).expect("a picture");
            }
            let _ = writeln!(table, "{name},{seed}-{id},{view}");
        }
    }
    std::fs::write(home.join("films.csv"), table).expect("a table");
    let columns = "image=image,patient=patient,view=view";
    let import = [
        "library", "import", "table", "--data", ".", "--source", "films",
    ];
    let import = [&import[..], &["--table", "films.csv", "--columns", columns]].concat();
    assert_eq!(json(home, &import)["taken"], 2 * EACH);
    let list = json(home, &["library", "list"]);
    let cases = list["cases"].as_array().expect("cases").iter();
    let of = |case: &Value| {
        let unit = if case["view"] == "PA" { "one" } else { "two" };
        (case["id"].as_str().expect("an identifier").to_owned(), unit)
    };
    cases.map(of).collect()
}

fn next(home: &Path, reader: &str, more: &[&str]) -> Value {
    let words = ["label", "next", "--set", "unit", "--reader", reader];
    json(home, &[&words[..], more].concat())
}

fn set(home: &Path, case: &str, label: &str, reader: &str) -> Value {
    let words = [
        "label", "set", case, label, "--set", "unit", "--reader", reader,
    ];
    json(home, &words)
}

fn first(found: &Value) -> String {
    let case = found["cases"][0]["case_id"].as_str();
    case.unwrap_or_else(|| panic!("no case: {found}"))
        .to_owned()
}

#[test]
fn readers_label_what_teaches_most_are_compared_and_trained_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let home = folder.path();
    let (code, message) = error_of(&run(home, &["label", "define", "x", "--class", "a"]));
    assert_eq!(code, "no_library", "{message}");
    let units = library(home);
    let define = [
        "label", "define", "unit", "--class", "one", "--class", "two",
    ];
    json(home, &define);

    // Nothing is embedded yet: chance can choose, a model cannot.
    let words = ["label", "next", "--set", "unit", "--reader", "Anna"];
    let (code, message) = error_of(&run(home, &words));
    assert!(
        code == "bad_data" && message.contains("library embed"),
        "{message}"
    );
    assert_eq!(
        next(home, "Anna", &["--strategy", "random"])["basis"],
        "chance"
    );
    json(home, &["library", "embed"]);

    // The next case is never one that was labelled; a probe takes over when both classes have two cases.
    let mut seen = Vec::new();
    let mut bases = Vec::new();
    for strategy in [
        "core-set", "entropy", "margin", "entropy", "margin", "core-set", "entropy", "margin",
    ] {
        let found = next(home, "Anna", &["--strategy", strategy]);
        let case = first(&found);
        assert!(!seen.contains(&case), "{case} comes twice");
        set(home, &case, units[&case], "Anna");
        bases.push(found["basis"].as_str().expect("a word").to_owned());
        seen.push(case);
    }
    assert_eq!(&bases[..2], ["embeddings", "zero_shot"]);
    let count = |unit: &str| seen.iter().filter(|case| units[*case] == unit).count();
    if count("one") > 1 && count("two") > 1 {
        let found = next(home, "Anna", &[]);
        assert_eq!(
            (found["basis"].as_str(), &found["learned_from"]),
            (Some("probe"), &Value::from(8))
        );
    }

    // Undo takes back the last; whoever else labelled keeps his labels.
    let last = seen.last().expect("a case").clone();
    set(home, &last, "one", "Ben");
    let undo = ["label", "undo", "--set", "unit", "--reader", "Anna"];
    let undone = json(home, &undo);
    assert_eq!(undone["case_id"], Value::from(last.as_str()));
    assert_eq!(undone["own"].as_array().map(Vec::len), Some(0));
    assert_eq!(undone["others"][0]["reader"], "Ben");
    let redo = ["label", "redo", "--set", "unit", "--reader", "Anna"];
    assert_eq!(json(home, &redo)["own"].as_array().map(Vec::len), Some(1));

    // Anna labels all; Ben differs on two of them.
    for (case, unit) in &units {
        set(home, case, unit, "Anna");
    }
    let other = |unit: &str| if unit == "one" { "two" } else { "one" };
    let differ: Vec<&String> = units.keys().filter(|case| **case != last).take(2).collect();
    for (case, unit) in &units {
        let label = if differ.contains(&case) {
            other(unit)
        } else {
            *unit
        };
        set(home, case, label, "Ben");
    }
    let words = [
        "label",
        "agreement",
        "--set",
        "unit",
        "--first",
        "Anna",
        "--second",
        "Ben",
    ];
    let agreement = json(home, &words);
    assert_eq!(agreement["both"], 2 * EACH);
    let n = (2 * EACH) as f64;
    let observed = (n - 2.0) / n;
    let ben_one = units
        .iter()
        .filter(|(case, unit)| (**unit == "one") != differ.contains(case))
        .count() as f64;
    let expected = 0.5 * (ben_one / n) + 0.5 * (1.0 - ben_one / n);
    let kappa = agreement["rows"][0]["kappa"].as_f64().expect("kappa");
    assert!(
        (kappa - (observed - expected) / (1.0 - expected)).abs() < 1e-12,
        "{agreement}"
    );
    let (low, high) = (
        agreement["rows"][0]["low"].as_f64(),
        agreement["rows"][0]["high"].as_f64(),
    );
    assert!(low < Some(kappa) && high > Some(kappa), "{agreement}");
    let mut found: Vec<&str> = agreement["disagreements"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|d| d["case_id"].as_str().expect("a word"))
        .collect();
    found.sort_unstable();
    assert_eq!(
        found, differ,
        "every case on which they differ, and no other"
    );

    // A blind reader is told that there is more, and not what.
    let show = [
        "label", "show", &last, "--set", "unit", "--reader", "Carl", "--blind",
    ];
    let shown = json(home, &show);
    assert_eq!(
        (
            shown["hidden"].as_bool(),
            shown["others"].as_array().map(Vec::len)
        ),
        (Some(true), Some(0))
    );
    assert_eq!(
        next(home, "Carl", &["--read-by", "Ben", "--strategy", "random"])["left"],
        2 * EACH
    );

    // Training leaves out what readers differ on, and says so, unless one of them is chosen.
    let train = |conditions: &str, name: &str| {
        let words = [
            "train",
            "probe",
            "--library",
            conditions,
            "--columns",
            "label=unit",
            "--name",
            name,
        ];
        let output = run(home, &words);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{error}");
        (
            json(home, &["adapters", "show", name])["adapter"]["cases"].clone(),
            error,
        )
    };
    let (cases, warning) = train("all", "agreed");
    assert_eq!(cases, 2 * EACH - 2);
    assert!(warning.contains("2 cases are left out"), "{warning}");
    let (cases, warning) = train("reader=Anna", "annas");
    assert_eq!(cases, 2 * EACH);
    assert!(!warning.contains("left out"), "{warning}");

    let export = [
        "label", "export", "--set", "unit", "--reader", "Ben", "--out", "ben.csv",
    ];
    assert_eq!(json(home, &export)["labels"], 2 * EACH);
    let (code, _) = error_of(&run(home, &export));
    assert_eq!(code, "exists", "nothing is overwritten");
}
