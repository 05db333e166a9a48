//! Embeddings through the store: what is missing, what changed, what a filter leaves; and libraries of earlier versions.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use common::{Place, cases, run};
use half::f16;
use lucency_library::import::{Format, ImportPlan};
use lucency_library::{
    Coverage, EmbeddingKind, Filter, NewEmbedding, Space, SqliteStore, Storage, Unreadable,
};

fn images() -> Space {
    Space {
        pack: "pack".into(),
        kind: EmbeddingKind::Image,
    }
}

fn reports() -> Space {
    Space {
        kind: EmbeddingKind::Report,
        ..images()
    }
}

fn plan(place: &Place) -> ImportPlan {
    ImportPlan {
        table: Some("cases.csv".into()),
        columns: "image=image,patient=patient,report=report,label=label"
            .parse()
            .unwrap(),
        ..place.plan(Format::Table)
    }
}

/// Four cases of two patients; the last has no report.
fn filled(place: &Place) -> SqliteStore {
    for i in 1..=4 {
        place.picture(&format!("{i}.png"), i);
    }
    place.write(
        "cases.csv",
        "image,patient,report,label\n1.png,a,Cyst on the left,cyst\n2.png,a,Nothing seen,\n\
         3.png,b,Pleural effusion,effusion\n4.png,b,,cyst\n",
    );
    let store = place.open();
    assert_eq!(run(&store, &plan(place)).taken, 4);
    store
}

fn embed(store: &SqliteStore, from: usize) {
    let all = cases(store);
    let image = |(i, case): (usize, &lucency_library::CaseRecord)| NewEmbedding {
        case_id: case.id.clone(),
        image: Some(case.images[0].path.clone()),
        pixels: Some([i as u8; 32]),
        vector: vec![f16::ONE, f16::from_f32(i as f32)],
    };
    let rows: Vec<_> = all.iter().enumerate().skip(from).map(image).collect();
    store.put_embeddings(&images(), &rows).unwrap();
    embed_reports(store);
}

fn embed_reports(store: &SqliteStore) {
    let all = cases(store);
    let report = |case: &lucency_library::CaseRecord| NewEmbedding {
        case_id: case.id.clone(),
        image: None,
        pixels: None,
        vector: vec![f16::ONE; 2],
    };
    let with_report = all.iter().filter(|case| !case.texts.is_empty());
    let rows: Vec<_> = with_report.map(report).collect();
    store.put_embeddings(&reports(), &rows).unwrap();
}

fn coverage(embedded: u64, missing: u64, unreadable: u64) -> Coverage {
    Coverage {
        embedded,
        missing,
        unreadable,
    }
}

#[test]
fn what_is_missing_is_counted_and_an_unreadable_image_is_asked_for_once() {
    let place = Place::new();
    let store = filled(&place);
    assert_eq!(store.coverage(&images()).unwrap(), coverage(0, 4, 0));
    assert_eq!(store.coverage(&reports()).unwrap(), coverage(0, 3, 0));
    embed(&store, 1);
    assert_eq!(store.coverage(&images()).unwrap(), coverage(3, 1, 0));
    let missing = store.unembedded(&images(), 0, 10).unwrap();
    let image = missing[0].image.clone().unwrap();
    assert_eq!((missing.len(), image.path.as_str()), (1, "1.png"));
    let bytes = fs::metadata(place.data().join("1.png")).unwrap().len();
    assert_eq!(image.bytes, bytes, "so that a changed file is noticed");
    let bad = Unreadable {
        case_id: missing[0].case_id.clone(),
        path: image.path,
        code: "damaged".into(),
    };
    store.put_unreadable(&images(), 2, &[bad]).unwrap();
    assert!(store.unembedded(&images(), 0, 10).unwrap().is_empty());
    assert_eq!(store.coverage(&images()).unwrap(), coverage(3, 0, 1));

    // Another file under the same name, and another report, are asked for again.
    place.picture("1.png", 77);
    place.picture("2.png", 78);
    let table = fs::read_to_string(place.data().join("cases.csv")).unwrap();
    place.write(
        "cases.csv",
        table.replace("Nothing seen", "A nodule after all"),
    );
    run(&store, &plan(&place));
    let paths: Vec<_> = store.unembedded(&images(), 0, 10).unwrap();
    let paths: Vec<_> = paths
        .iter()
        .map(|u| &u.image.as_ref().unwrap().path)
        .collect();
    assert_eq!(paths, ["1.png", "2.png"]);
    let texts = store.unembedded(&reports(), 0, 10).unwrap();
    assert_eq!(texts.len(), 1);
    assert!(texts[0].text.as_ref().unwrap().contains("nodule"));
    assert_eq!(
        store.cases_with_image(None, Some(&[1; 32])).unwrap(),
        [""; 0]
    );
}

#[test]
fn the_state_of_a_space_changes_with_its_embeddings_and_with_nothing_else() {
    let place = Place::new();
    let store = filled(&place);
    assert_eq!(store.space_state(&images()).unwrap().count, 0);
    embed(&store, 0);
    let first = store.space_state(&images()).unwrap();
    assert_eq!((first.count, first.dim), (4, 2));
    place.write(
        "cases.csv",
        "image,patient,report,label\n4.png,b,Now with words,\n",
    );
    run(&store, &plan(&place));
    assert_eq!(
        store.space_state(&images()).unwrap(),
        first,
        "an import of words alone leaves an index of images fresh"
    );
    embed(&store, 3);
    let second = store.space_state(&images()).unwrap();
    assert!(second.changed > first.changed, "an embedding was replaced");
    store.delete(&[cases(&store)[0].id.clone()]).unwrap();
    let third = store.space_state(&images()).unwrap();
    assert!(third.changed > second.changed && third.count == 3);
}

#[test]
fn filters_and_images_lead_to_rows_and_rows_to_cases() {
    let place = Place::new();
    let store = filled(&place);
    embed(&store, 0);
    let all = cases(&store);
    let rows = |filter: &[&str]| {
        let filter = Filter::parse(filter).unwrap();
        let rows = store.embedding_rows(&images(), &filter).unwrap();
        assert!(rows.is_sorted());
        let found = store.embedded(&rows).unwrap();
        assert!(found.iter().all(|e| e.image == Some(0)));
        found.into_iter().map(|e| e.case_id).collect::<Vec<_>>()
    };
    assert_eq!(rows(&[]).len(), 4);
    assert_eq!(
        rows(&["label=CYST"]),
        [all[0].id.clone(), all[3].id.clone()]
    );
    let patient = all[2].patient.clone().unwrap();
    assert_eq!(
        rows(&[&format!("patient={patient}"), "label=cyst"]),
        [all[3].id.clone()]
    );
    assert_eq!(rows(&["modality=CT"]), [""; 0]);
    let text = store
        .embedding_rows(&reports(), &Filter::default())
        .unwrap();
    let text = store.embedded(&text).unwrap();
    assert!(text.len() == 3 && text.iter().all(|e| e.image.is_none()));

    let file = all[1].images[0].sha256;
    let by_file = store.cases_with_image(Some(&file), None).unwrap();
    assert_eq!(by_file, [all[1].id.clone()]);
    let by_pixels = store.cases_with_image(None, Some(&[2; 32])).unwrap();
    assert_eq!(by_pixels, [all[2].id.clone()]);

    store.delete(&[all[0].id.clone()]).unwrap();
    let left = store.embedding_rows(&images(), &Filter::default()).unwrap();
    assert_eq!(left.len(), 3, "a deleted case has no rows");
}

#[test]
fn a_filter_that_leaves_few_cases_finds_the_same_as_one_that_leaves_many() {
    let place = Place::new();
    let store = place.open();
    let rows: String = (0..60)
        .map(|i| {
            format!(
                "{i},text {i},{}\n",
                if i == 7 || i == 41 { "rare" } else { "common" }
            )
        })
        .collect();
    place.write("cases.csv", format!("id,report,label\n{rows}"));
    let plan = ImportPlan {
        columns: "id=id,report=report,label=label".parse().unwrap(),
        ..plan(&place)
    };
    assert_eq!(run(&store, &plan).taken, 60);
    embed_reports(&store);
    let rows = |filter: &str| {
        let filter = Filter::parse(&[filter]).unwrap();
        store.embedding_rows(&reports(), &filter).unwrap()
    };
    let (rare, common) = (rows("label=rare"), rows("label=common"));
    assert_eq!((rare.len(), common.len()), (2, 58));
    let mut all = [rare.clone(), common].concat();
    all.sort_unstable();
    assert_eq!(
        all,
        store
            .embedding_rows(&reports(), &Filter::default())
            .unwrap()
    );
    for owner in store.embedded(&rare).unwrap() {
        let case = store.get(&owner.case_id).unwrap();
        assert_eq!(case.labels[0].name, "rare");
    }
}

#[test]
fn the_statistics_name_no_source_that_was_emptied() {
    let place = Place::new();
    let store = filled(&place);
    assert_eq!(store.stats().unwrap().sources.len(), 1);
    let ids: Vec<_> = cases(&store).into_iter().map(|case| case.id).collect();
    store.delete(&ids).unwrap();
    assert!(store.stats().unwrap().sources.is_empty());
}

/// Makes a library what it was at schema 1: what came since is taken away, but for columns of labels that the way forward does not read.
fn set_back(place: &Place) {
    let connection = rusqlite::Connection::open(place.library().join("library.db")).unwrap();
    connection
        .execute_batch(
            "DROP TRIGGER embeddings_inserted; DROP TRIGGER embeddings_deleted; DROP TRIGGER images_changed;
             DROP TRIGGER reports_added; DROP INDEX images_pixels; DROP INDEX texts_reports; DROP TABLE unreadable;
             ALTER TABLE spaces DROP COLUMN changed; ALTER TABLE images DROP COLUMN pixels;
             DROP TABLE text_blocks; DROP INDEX cases_modality; DROP INDEX cases_body_part; DROP INDEX cases_sex;
             DROP INDEX cases_age;
             DROP TABLE label_sets; DROP TABLE label_actions; DROP INDEX labels_name; DROP INDEX labels_reader;
             DROP TABLE run_cases; ALTER TABLE runs DROP COLUMN path; ALTER TABLE runs DROP COLUMN deleted;
             PRAGMA user_version = 1;",
        )
        .unwrap();
}

#[test]
fn a_library_of_the_first_version_is_brought_forward_after_a_backup() {
    let place = Place::new();
    let store = filled(&place);
    embed(&store, 0);
    let before = cases(&store);
    drop(store);
    set_back(&place);

    let store = place.open();
    assert_eq!(cases(&store), before, "every case is as it was");
    let state = store.space_state(&images()).unwrap();
    assert!(state.count == 4 && state.changed > 0, "{state:?}");
    assert!(store.verify(true, &|| false).unwrap().ok);
    embed(&store, 0);
    assert!(store.space_state(&images()).unwrap().changed > state.changed);
    let backup = place.library().join("library.schema1.backup");
    let version: i64 = rusqlite::Connection::open(&backup)
        .unwrap()
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert_eq!(version, 1, "the backup is the library before");
    drop(store);
    assert!(
        place.open().verify(false, &|| false).unwrap().ok,
        "once is enough"
    );
}

#[test]
fn a_library_that_claims_to_have_no_schema_is_not_built_over() {
    let place = Place::new();
    drop(filled(&place));
    let path = place.library().join("library.db");
    rusqlite::Connection::open(&path)
        .unwrap()
        .pragma_update(None, "user_version", 0)
        .unwrap();
    let error = SqliteStore::open(&place.library()).unwrap_err();
    assert_eq!(error.code(), "library_database", "{error}");
    let connection = rusqlite::Connection::open(&path).unwrap();
    let cases: i64 = connection
        .query_row("SELECT count(*) FROM cases", [], |row| row.get(0))
        .unwrap();
    assert_eq!(cases, 4, "nothing was changed");
}
