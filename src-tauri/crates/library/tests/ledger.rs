//! The record of runs and adapters: which cases they saw, what is left of it when a case goes, and folders that are missing.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Place, cases};
use lucency_library::import::Format;
use lucency_library::{
    AdapterRecord, CasePart, Ledger, LibraryError, Run, RunKind, SqliteStore, Storage,
};
use serde_json::json;

const BEGUN: &str = "2026-01-02T03:04:05Z";
const ENDED: &str = "2026-01-02T04:00:00Z";

/// Three cases, a picture each.
fn filled(place: &Place) -> (SqliteStore, Vec<String>) {
    for seed in 1..=3 {
        place.picture(&format!("normal/{seed}.png"), seed);
    }
    place.import(Format::Classes);
    let store = place.open();
    let ids = cases(&store).into_iter().map(|case| case.id).collect();
    (store, ids)
}

fn training(name: &str) -> Run {
    Run {
        kind: RunKind::Training,
        pack: "hash".into(),
        adapter: Some(name.into()),
        started: BEGUN.into(),
        finished: None,
        settings: json!({ "preset": "probe" }),
        outcome: None,
        path: Some(format!("runs/{name}")),
    }
}

fn adapter(name: &str) -> AdapterRecord {
    AdapterRecord {
        name: name.into(),
        pack: "hash".into(),
        path: format!("adapters/{name}"),
        sha256: "00".repeat(32),
        created: BEGUN.into(),
    }
}

fn folder(place: &Place, path: &str) {
    std::fs::create_dir_all(place.folder.path().join(path)).unwrap();
}

#[test]
fn a_run_says_which_cases_it_saw_and_a_case_which_runs() {
    let place = Place::new();
    let (store, ids) = filled(&place);
    let of = |part: &[CasePart]| -> Vec<(String, CasePart)> {
        ids.iter().cloned().zip(part.iter().copied()).collect()
    };
    use CasePart::{Judged, Trained};
    let before = store.generation().unwrap();
    store
        .put_run(&training("ward"), &of(&[Trained; 3]))
        .unwrap();
    assert_eq!(
        store.generation().unwrap(),
        before,
        "what is made of the cases is not stale"
    );
    let begun = &store.runs(9).unwrap()[0];
    assert_eq!((begun.trained, begun.judged, begun.deleted), (3, 0, 0));
    assert_eq!(begun.run, training("ward"), "as it was written");
    let ended = Run {
        finished: Some(ENDED.into()),
        outcome: Some(json!({ "state": "finished" })),
        ..training("ward")
    };
    store
        .put_run(&ended, &of(&[Trained, Judged, Trained]))
        .unwrap();
    store.put_adapter(&adapter("ward")).unwrap();
    let runs = store.runs(9).unwrap();
    assert_eq!(runs.len(), 1, "the same run, not a second one");
    assert_eq!((runs[0].trained, runs[0].judged), (2, 1));
    assert_eq!(runs[0].run, ended);

    let seen = |id: &String| store.seen_by(std::slice::from_ref(id)).unwrap().remove(0);
    let first = seen(&ids[0]);
    assert_eq!((first.trained, first.judged), (1, 0));
    assert!(first.finished && first.adapter_there);
    assert_eq!((seen(&ids[1]).trained, seen(&ids[1]).judged), (0, 1));
    let unknown = store.seen_by(&["no-such".into()]).unwrap_err();
    assert!(matches!(unknown, LibraryError::NoCase { .. }));

    // An adapter of the same name that was made later is not the one that learned from the case.
    let later = AdapterRecord {
        created: ENDED.into(),
        ..adapter("ward")
    };
    store.put_adapter(&later).unwrap();
    assert!(!seen(&ids[0]).adapter_there);
    assert!(store.forget_adapter("ward").unwrap() && !store.forget_adapter("ward").unwrap());
    assert!(store.adapters().unwrap().is_empty());
    assert_eq!(seen(&ids[0]).trained, 1, "the run stays in the record");
}

#[test]
fn a_deleted_case_leaves_a_number_and_nothing_else() {
    let place = Place::new();
    let (store, ids) = filled(&place);
    let all: Vec<(String, CasePart)> = ids
        .iter()
        .map(|id| (id.clone(), CasePart::Trained))
        .collect();
    store.put_run(&training("ward"), &all).unwrap();
    store.delete(&ids[..2]).unwrap();
    let run = &store.runs(9).unwrap()[0];
    assert_eq!((run.trained, run.deleted), (1, 2));
    assert_eq!(
        store.put_run(&training("ward"), &all).unwrap(),
        2,
        "a run that ends later is told what went meanwhile"
    );
    let run = &store.runs(9).unwrap()[0];
    assert_eq!((run.trained, run.deleted), (1, 2), "counted once");
    drop(store);
    let connection = rusqlite::Connection::open(place.library().join("library.db")).unwrap();
    let left: i64 = connection
        .query_row("SELECT count(*) FROM run_cases", [], |row| row.get(0))
        .unwrap();
    assert_eq!(left, 1);
}

#[test]
fn verify_names_folders_that_are_missing_until_they_are_taken_out_of_the_record() {
    let place = Place::new();
    let (store, _) = filled(&place);
    store.put_run(&training("ward"), &[]).unwrap();
    store.put_adapter(&adapter("ward")).unwrap();
    let embedding = Run {
        kind: RunKind::Embedding,
        path: None,
        ..training("none")
    };
    store.put_run(&embedding, &[]).unwrap();
    store.put_run(&embedding, &[]).unwrap();
    assert_eq!(
        store.runs(9).unwrap().len(),
        3,
        "runs without a folder are told apart"
    );
    folder(&place, "runs/ward");
    folder(&place, "adapters/ward");
    assert!(store.verify(false, &|| false).unwrap().ok);
    std::fs::remove_dir_all(place.folder.path().join("runs")).unwrap();
    std::fs::remove_dir_all(place.folder.path().join("adapters")).unwrap();
    let found = store.verify(false, &|| false).unwrap();
    assert!(!found.ok && found.problem_count == 2, "{found:?}");
    assert!(found.problems[0].contains("adapters/ward"), "{found:?}");
    assert!(found.problems[1].contains("runs/ward"), "{found:?}");
    assert!(store.forget_adapter("ward").unwrap());
    assert!(store.forget_run("runs/ward").unwrap() && !store.forget_run("runs/ward").unwrap());
    assert!(store.verify(false, &|| false).unwrap().ok);
    assert_eq!(store.runs(9).unwrap().len(), 3, "the record keeps the runs");
}

#[test]
fn a_library_of_the_fourth_version_keeps_its_runs() {
    let place = Place::new();
    let (store, ids) = filled(&place);
    drop(store);
    let connection = rusqlite::Connection::open(place.library().join("library.db")).unwrap();
    connection
        .execute_batch(
            "DROP TABLE run_cases; ALTER TABLE runs DROP COLUMN path; ALTER TABLE runs DROP COLUMN deleted;
             INSERT INTO runs (kind, pack, started, settings) VALUES ('training', 'old', '2025', '{}');
             PRAGMA user_version = 4;",
        )
        .unwrap();
    drop(connection);
    let store = place.open();
    assert!(place.library().join("library.schema4.backup").is_file());
    let learned = [(ids[0].clone(), CasePart::Trained)];
    store.put_run(&training("ward"), &learned).unwrap();
    let packs: Vec<String> = store
        .runs(9)
        .unwrap()
        .into_iter()
        .map(|r| r.run.pack)
        .collect();
    assert_eq!(packs, ["hash", "old"], "the latest first");
    folder(&place, "runs/ward");
    assert!(store.verify(true, &|| false).unwrap().ok);
}
