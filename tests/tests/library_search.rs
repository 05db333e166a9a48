//! The case library searched by image and by meaning through the whole program, on phantoms with known truth.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use lucency_tests::{assets, error_of, json, lucency, run};
use serde_json::Value;
use tempfile::TempDir;

/// Studies of the export, each with a frontal and a lateral film.
const STUDIES: usize = 12;
/// Sexes of their patients, in turn.
const SEXES: [&str; 3] = ["Female", "Male", "Male"];

/// A home folder with an export of phantoms, and a table of its frontal films.
struct Place {
    home: TempDir,
    studies: Vec<Value>,
}

impl Place {
    fn new() -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let out = home.path().join("data").to_string_lossy().into_owned();
        let count = STUDIES.to_string();
        let words = ["phantom", "--content", "chest", "--png", "--seed", "900"];
        let words = [&words[..], &["--resolution", "256"]].concat();
        let words = [&words[..], &["--count", &count, "--out", &out]].concat();
        json(home.path(), &words);
        let manifest = home.path().join("data/manifest.jsonl");
        let manifest = fs::read_to_string(manifest).expect("a manifest");
        let read = |line| serde_json::from_str(line).expect("JSON");
        let studies: Vec<Value> = manifest.lines().map(read).collect();
        let mut table = String::from("study,image,patient,sex,report\n");
        for (i, study) in studies.iter().enumerate() {
            let (id, sex) = (text(study, "study"), SEXES[i % SEXES.len()]);
            let report = text(study, "report").replace('"', "\"\"");
            let film = film_name(study, "png");
            let _ = writeln!(table, "{id},{id}/{film},PHANTOM-{id},{sex},\"{report}\"");
        }
        fs::write(home.path().join("data/films.csv"), table).expect("a table");
        Self { home, studies }
    }

    /// With the films in the library, embedded.
    fn filled() -> Self {
        let place = Self::new();
        let done = place.import(&["--embed"]);
        assert_eq!(done["taken"], STUDIES, "{done}");
        assert_eq!(done["embedded"]["images"], STUDIES, "{done}");
        assert_eq!(done["embedded"]["reports"], STUDIES, "{done}");
        place
    }

    fn json(&self, words: &[&str]) -> Value {
        json(self.home.path(), words)
    }

    fn import(&self, more: &[&str]) -> Value {
        let columns = "id=study,image=image,patient=patient,sex=sex,report=report";
        let words = ["library", "import", "table", "--data", "data", "--table"];
        let map = ["films.csv", "--columns", columns, "--source", "films"];
        self.json(&[&words[..], &map, more].concat())
    }

    fn file(&self, study: usize, kind: &str) -> String {
        let study = &self.studies[study];
        let path = self.home.path().join("data").join(text(study, "study"));
        path.join(film_name(study, kind))
            .to_string_lossy()
            .into_owned()
    }

    /// The frontal film of a study as it is in the library.
    fn film(&self, study: usize) -> String {
        self.file(study, "png")
    }

    /// The same film as another program would save it: half as large, with other pixels.
    fn twin(&self, study: usize) -> String {
        let film = image::open(self.film(study)).expect("a film");
        let (width, height) = (film.width() / 2, film.height() / 2);
        let small = film.resize_exact(width, height, image::imageops::FilterType::Triangle);
        let path = self.home.path().join(format!("twin-{study}.png"));
        small.save(&path).expect("a twin");
        path.to_string_lossy().into_owned()
    }

    /// The case of a study, by the words of its report.
    fn case(&self, study: usize) -> String {
        let report = text(&self.studies[study], "report");
        let listed = self.json(&["library", "list"]);
        let cases = listed["cases"].as_array().expect("cases");
        let has = |id: &&str| self.json(&["library", "show", id])["texts"][0]["body"] == report;
        let mut ids = cases.iter().map(|case| text(case, "id"));
        ids.find(|id| has(&id.as_str())).expect("the case")
    }

    fn search(&self, words: &[&str]) -> Vec<Value> {
        let found = self.json(&[&["search"], words].concat());
        found["hits"].as_array().expect("hits").clone()
    }

    fn index_files(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.home.path().join("library/index")) else {
            return Vec::new();
        };
        let mut files: Vec<PathBuf> = entries.map(|e| e.expect("an entry").path()).collect();
        files.sort();
        files
    }
}

fn text(value: &Value, key: &str) -> String {
    let text = value[key].as_str();
    text.unwrap_or_else(|| panic!("no {key} in {value}"))
        .to_owned()
}

/// The file of a study's frontal film.
///
/// - `kind`: `png` or `dicom`
fn film_name(study: &Value, kind: &str) -> String {
    let images = study["images"].as_array().expect("images");
    let names = images.iter().filter_map(|image| image[kind].as_str());
    names.map(str::to_owned).next().expect("a film")
}

fn ids(hits: &[Value]) -> Vec<String> {
    hits.iter().map(|hit| text(hit, "case_id")).collect()
}

#[test]
fn a_search_by_image_finds_the_twin_says_why_and_never_the_image_itself() {
    let place = Place::filled();
    for study in [0, 5] {
        let hits = place.search(&["--image", &place.twin(study), "-k", "3"]);
        assert_eq!(hits.len(), 3);
        assert_eq!(hits[0]["case_id"], place.case(study), "study {study}");
        assert_eq!(hits[0]["by_image"]["rank"], 1);
        let cosine = hits[0]["by_image"]["score"].as_f64().expect("a cosine");
        assert!(cosine > 0.9 && cosine <= 1.0, "{cosine}");
        assert!(hits[0]["by_words"].is_null(), "no words were asked for");
        assert!(
            !hits[0]["excerpt"][0]["text"]
                .as_str()
                .unwrap_or("")
                .is_empty()
        );

        let hits = place.search(&["--image", &place.film(study), "-k", "50", "--same-patient"]);
        assert_eq!(hits.len(), STUDIES - 1, "every case but its own");
        assert!(!ids(&hits).contains(&place.case(study)));
    }
}

#[test]
fn filters_leave_the_right_cases_and_all_of_them() {
    let place = Place::filled();
    let listed = place.json(&["library", "list", "--filter", "sex=F"]);
    let listed = listed["cases"].as_array().expect("cases").iter();
    let wanted: BTreeSet<String> = listed.map(|case| text(case, "id")).collect();
    assert_eq!(wanted.len(), STUDIES / SEXES.len());
    let searches: [&[&str]; 3] = [
        &["--image", &place.twin(0)],
        &["effusion", "--by", "meaning"],
        &["the chest", "--by", "both"],
    ];
    for words in searches {
        let hits = place.search(&[words, &["-k", "50", "--filter", "sex=F"]].concat());
        let found: BTreeSet<String> = ids(&hits).into_iter().collect();
        assert_eq!(found, wanted, "{words:?}");
        let top = place.search(&[words, &["-k", "2", "--filter", "sex=F"]].concat());
        assert_eq!(ids(&top), ids(&hits[..2]), "{words:?}: the best of them");
    }
}

#[test]
fn cases_of_the_patient_on_the_screen_are_left_out_or_marked() {
    let place = Place::filled();
    // The DICOM file names the patient as the table does; its pixels are in no case.
    let film = place.file(3, "dicom");
    let own = place.case(3);
    let without = place.search(&["--image", &film, "-k", "50"]);
    assert_eq!(without.len(), STUDIES - 1);
    assert!(!ids(&without).contains(&own));
    let with = place.search(&["--image", &film, "-k", "50", "--same-patient"]);
    assert_eq!(with.len(), STUDIES);
    assert_eq!(with[0]["case_id"], own, "nothing looks more like it");
    let marked = with.iter().filter(|hit| hit["same_patient"] == true);
    assert_eq!(ids(&marked.cloned().collect::<Vec<_>>()), [own]);
    let rank = without[0]["by_image"]["rank"].as_u64();
    assert_eq!(rank, Some(1), "ranks count what is shown");
}

#[test]
fn words_and_meaning_are_fused_and_every_hit_says_how() {
    let place = Place::filled();
    let hits = place.search(&["radiographs of the chest", "--by", "both", "-k", "4"]);
    assert_eq!(hits.len(), 4);
    for hit in &hits {
        let rank = |key: &str| hit[key]["rank"].as_f64();
        let ranks = [rank("by_words"), rank("by_image"), rank("by_report")];
        let sum: f64 = ranks.iter().flatten().map(|rank| 1.0 / (60.0 + rank)).sum();
        let score = hit["score"].as_f64().expect("a score");
        assert!((score - sum).abs() < 1e-9, "{score} is not {sum}");
    }
    let pieces = hits[0]["excerpt"].as_array().expect("pieces");
    assert!(pieces.iter().any(|piece| piece["matched"] == true));
    let found = place.json(&["search", "pleural effusion", "--by", "meaning", "-k", "3"]);
    assert!(found["hits"][0]["by_words"].is_null());
    assert!(found["provenance"]["pack_hash"].is_string());
    let words = place.json(&["search", "chest", "-k", "3"]);
    assert!(words["provenance"].is_null(), "no model took part");
    let empty = run(place.home.path(), &["search", " ", "--by", "meaning"]);
    assert_eq!(error_of(&empty).0, "bad_request");
}

#[test]
fn a_deleted_case_is_gone_from_the_indexes() {
    let place = Place::filled();
    let twin = place.twin(2);
    let before = place.search(&["--image", &twin, "-k", "50"]);
    let files = place.index_files();
    assert_eq!(files.len(), 2, "images and reports: {files:?}");
    let case = place.case(2);
    place.json(&["library", "delete", &case]);
    let left = place.index_files();
    assert!(left.is_empty(), "what was made of it is gone: {left:?}");
    let after = place.search(&["--image", &twin, "-k", "50"]);
    let wanted: Vec<String> = ids(&before).into_iter().filter(|id| *id != case).collect();
    assert_eq!(ids(&after), wanted, "the others are as they were");
    let by_words = place.search(&["effusion", "--by", "both", "-k", "50"]);
    assert!(!ids(&by_words).contains(&case));
}

#[test]
fn a_damaged_index_is_made_again_and_a_stale_one_is_not_used() {
    let place = Place::filled();
    let twin = place.twin(1);
    let words = ["--image", twin.as_str(), "-k", "50"];
    let whole = place.search(&words);
    for file in place.index_files() {
        let bytes = fs::read(&file).expect("an index");
        fs::write(&file, &bytes[..bytes.len() / 2]).expect("cut short");
    }
    assert_eq!(place.search(&words), whole, "as if nothing had happened");
    // An index of an earlier state under the name of the present one.
    let stale: Vec<(PathBuf, Vec<u8>)> = place
        .index_files()
        .into_iter()
        .map(|file| (file.clone(), fs::read(&file).expect("an index")))
        .collect();
    place.json(&["library", "delete", &ids(&whole)[0]]);
    fs::create_dir_all(place.home.path().join("library/index")).expect("a folder");
    for (file, bytes) in stale {
        fs::write(file, bytes).expect("put back");
    }
    assert_eq!(ids(&place.search(&words)), ids(&whole[1..]));
}

#[test]
fn another_pack_is_not_answered_from_the_first_ones_embeddings() {
    let place = Place::filled();
    let other = place.home.path().join("other");
    fs::create_dir_all(&other).expect("a folder");
    for entry in fs::read_dir(assets().join("packs/demo")).expect("the demo pack") {
        let from = entry.expect("an entry").path();
        let to = other.join(from.file_name().expect("a name"));
        fs::copy(&from, to).expect("a copy");
    }
    let manifest = other.join("pack.toml");
    let text = fs::read_to_string(&manifest).expect("a manifest");
    let line = text
        .lines()
        .find(|l| l.starts_with("title"))
        .expect("a title");
    let changed = text.replacen(line, "title = \"Another pack\"", 1);
    fs::write(&manifest, changed).expect("another manifest");
    let twin = place.twin(4);
    let words = ["search", "--image", &twin, "-k", "2", "--pack", "other"];
    let found = place.json(&words);
    assert_eq!(found["hits"], serde_json::json!([]));
    let notes = found["notes"].to_string();
    assert!(notes.contains("12 of 12 images"), "{notes}");
    let done = place.json(&["library", "embed", "--pack", "other"]);
    assert_eq!(done["images"], STUDIES);
    assert_eq!(place.json(&words)["hits"][0]["case_id"], place.case(4));
    assert_eq!(
        place.json(&words[..5])["hits"].as_array().map(Vec::len),
        Some(2)
    );
    assert_eq!(place.json(&["library", "stats"])["embeddings"], 4 * STUDIES);
}

#[test]
fn an_adapter_with_embeddings_of_its_own_is_never_answered_from_the_packs() {
    let place = Place::filled();
    let data = place
        .home
        .path()
        .join("data")
        .to_string_lossy()
        .into_owned();
    let columns = "image=image,patient=patient,report=report";
    let words = ["train", "contrastive", "--name", "pairs"];
    let map = [
        "--data",
        &data,
        "--table",
        "films.csv",
        "--columns",
        columns,
    ];
    place.json(&[&words[..], &map].concat());
    let twin = place.twin(4);
    let search = ["search", "--image", &twin, "-k", "3"];
    let before = place.json(&search);
    assert_eq!(before["hits"].as_array().map(Vec::len), Some(3));

    // A dozen cases teach too little to pass the gate of `adapters activate`: its record is written here.
    let in_use = place.home.path().join("adapters/active.json");
    let hash = text(&place.json(&["packs", "list"])[0], "hash");
    let record = serde_json::json!({ "packs": { hash: ["pairs"] } });
    fs::write(&in_use, record.to_string()).expect("a record");
    let unembedded = place.json(&search);
    assert_eq!(unembedded["hits"], serde_json::json!([]), "nothing stale");
    let notes = unembedded["notes"].to_string();
    assert!(
        notes.contains("12 of 12 images") && notes.contains("pairs"),
        "{notes}"
    );
    let meant = ["search", "pleural effusion", "--by", "meaning"];
    assert_eq!(place.json(&meant)["hits"], serde_json::json!([]));

    let done = place.json(&["library", "embed"]);
    assert_eq!(
        (&done["images"], &done["reports"]),
        (&STUDIES.into(), &STUDIES.into())
    );
    let own = place.json(&search);
    assert_eq!(own["hits"][0]["case_id"], place.case(4));
    assert_eq!(own["provenance"]["adapter"], "pairs");
    let cosine = |found: &Value| found["hits"][0]["by_image"]["score"].as_f64();
    assert_ne!(cosine(&own), cosine(&before), "in its own space");
    assert_eq!(place.json(&["library", "stats"])["embeddings"], 4 * STUDIES);

    // The pack's own embeddings are still there, and are answered from when it works alone again.
    fs::remove_file(&in_use).expect("the record");
    let after = place.json(&search);
    assert_eq!(after["hits"], before["hits"]);
    assert_eq!(after["notes"], before["notes"]);
}

#[test]
fn an_embedding_that_is_killed_goes_on_and_unreadable_images_are_counted() {
    let place = Place::new();
    let home = place.home.path();
    assert_eq!(error_of(&run(home, &["library", "embed"])).0, "no_library");
    place.import(&[]);
    let hits = place.json(&["search", "--image", &place.twin(0)]);
    assert_eq!(hits["hits"], serde_json::json!([]));
    assert_eq!(hits["notes"].as_array().map(Vec::len), Some(2), "{hits}");
    // More films than fit a batch, so that a kill can come between two.
    let words = [
        "library", "import", "dicom", "--data", "data", "--source", "all",
    ];
    place.json(&words);
    let images = place.json(&["library", "stats"])["images"]
        .as_u64()
        .expect("a count");
    assert!(images > 32, "{images}");
    let embeddings = || place.json(&["library", "stats"])["embeddings"].as_u64();
    let mut child = lucency(home)
        .args(["library", "embed"])
        .stdout(Stdio::null())
        .spawn()
        .expect("lucency runs");
    while embeddings() == Some(0) && child.try_wait().expect("a status").is_none() {
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().expect("SIGKILL");
    child.wait().expect("a status");
    let kept = embeddings().expect("a count");
    assert!(kept >= 16, "the first batch was written: {kept}");
    fs::write(place.film(7), b"no image any more").expect("a file");
    let done = place.json(&["library", "embed"]);
    let count = |key: &str| done[key].as_u64().expect("a count");
    // The film of study 7 is in two cases, unless the killed run had embedded it already.
    assert!(count("unreadable") <= 2, "{done}");
    assert_eq!(
        embeddings(),
        Some(kept + count("images") + count("reports"))
    );
    let stats = place.json(&["library", "stats"]);
    let wanted = images - count("unreadable") + STUDIES as u64;
    assert_eq!(stats["embeddings"], wanted, "{done}");
    let again = place.json(&["library", "embed"]);
    assert_eq!(
        (&again["images"], &again["reports"]),
        (&Value::from(0), &Value::from(0))
    );
    assert_eq!(place.json(&["library", "verify"])["ok"], true);
}

#[test]
fn a_preview_shows_what_an_import_would_do_and_writes_nothing() {
    let place = Place::new();
    let words = [
        "library",
        "preview",
        "table",
        "--data",
        "data",
        "--table",
        "films.csv",
    ];
    let seen = place.json(&words);
    assert!(!place.home.path().join("library").exists());
    let columns = seen["columns"].as_array().expect("columns").iter();
    let roles: Vec<&str> = columns.filter_map(|c| c["suggested"].as_str()).collect();
    assert_eq!(
        roles,
        ["id", "image", "patient", "sex", "report"]
            .map(|r| r)
            .to_vec()
    );
    assert_eq!(seen["total"], STUDIES);
    assert_eq!(seen["rows"][0]["images"], 1);
    assert!(seen["problem"].is_null());
    let bad = [&words[..], &["--columns", "image=nothing"]].concat();
    assert!(text(&place.json(&bad), "problem").contains("no column"));
}

#[test]
fn retrieval_is_measured_both_ways_with_intervals_and_scores() {
    let place = Place::new();
    let words = [
        "eval",
        "retrieval",
        "--data",
        "data",
        "--table",
        "data/films.csv",
    ];
    let columns = ["--columns", "image=image,report=report,patient=patient"];
    let scores = ["--scores", "scores.csv"];
    let measured = place.json(&[&words[..], &columns, &scores].concat());
    assert_eq!(
        (measured["n"].as_u64(), measured["patients"].as_u64()),
        (Some(12), Some(12))
    );
    for way in ["image_to_report", "report_to_image"] {
        let recall = |at: &str| {
            let [low, value, high] = ["low", "value", "high"]
                .map(|key| measured[way][at][key].as_f64().expect("a share"));
            assert!(low <= value && value <= high, "{way} {at}");
            value
        };
        let (one, five, ten) = (
            recall("recall_at_1"),
            recall("recall_at_5"),
            recall("recall_at_10"),
        );
        assert!(one <= five && five <= ten && ten <= 1.0, "{way}");
    }
    let scores = fs::read_to_string(place.home.path().join("scores.csv")).expect("scores");
    assert_eq!(scores.lines().count(), 1 + 2 * STUDIES);
    let firsts = scores.lines().filter(|l| l.starts_with("image_to_report"));
    let firsts = firsts.filter(|l| l.split(',').nth(2) == Some("1")).count();
    let recall = measured["image_to_report"]["recall_at_1"]["value"].as_f64();
    assert_eq!(
        recall,
        Some(firsts as f64 / STUDIES as f64),
        "the scores are those measured"
    );
}
