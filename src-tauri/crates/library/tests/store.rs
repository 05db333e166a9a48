//! The library survives what happens to databases, and forgets what is deleted.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::time::Duration;

use common::{Place, cases, run};
use half::f16;
use lucency_library::import::{Format, ImportPlan, SITE, import};
use lucency_library::search::WordQuery;
use lucency_library::{
    EmbeddingKind, Embeddings, Filter, LibraryError, NewEmbedding, Page, Space, SqliteStore,
    Storage, StoreOptions,
};

fn space() -> Space {
    Space {
        pack: "pack".into(),
        kind: EmbeddingKind::Image,
    }
}

/// Three cases of two patients, in a table.
fn filled(place: &Place) -> SqliteStore {
    for i in 1..=3 {
        place.picture(&format!("{i}.png"), i);
    }
    place.write(
        "cases.csv",
        "image,patient,report,label\n1.png,Miller-77,Zystische Läsion im Oberlappen,cyst\n\
         2.png,Miller-77,Keine Läsion,\n3.png,Smith-8,Pleural effusion on the left,effusion\n",
    );
    let store = place.open();
    let report = run(&store, &plan(place));
    assert_eq!(report.taken, 3, "{report:?}");
    store
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

fn embed(store: &SqliteStore) {
    let rows: Vec<NewEmbedding> = cases(store)
        .iter()
        .enumerate()
        .map(|(i, case)| NewEmbedding {
            case_id: case.id.clone(),
            image: Some(case.images[0].path.clone()),
            pixels: None,
            vector: vec![f16::from_f32(1.0), f16::from_f32(i as f32)],
        })
        .collect();
    store.put_embeddings(&space(), &rows).unwrap();
}

fn found(store: &SqliteStore, text: &str) -> usize {
    let query = WordQuery {
        text: text.into(),
        k: 10,
        ..WordQuery::default()
    };
    store.search_words(&query).unwrap().hits.len()
}

#[test]
fn the_database_is_built_and_set_as_promised() {
    let place = Place::new();
    let store = filled(&place);
    let connection = rusqlite::Connection::open(store.path()).unwrap();
    let one = |sql: &str| {
        connection
            .query_row(sql, [], |row| row.get::<_, i64>(0))
            .unwrap()
    };
    assert_eq!(one("SELECT sqlite_compileoption_used('ENABLE_FTS5')"), 1);
    let mode: String = connection
        .query_row("PRAGMA journal_mode", [], |row| row.get(0))
        .unwrap();
    assert_eq!(mode, "wal");
    assert!(store.verify(true, &|| false).unwrap().ok);
    let audit = connection.execute("DELETE FROM audit", []);
    let audit = audit.and(connection.execute("UPDATE audit SET action = ''", []));
    // An empty log refuses nothing: something must be in it first.
    assert!(audit.is_ok() || audit.unwrap_err().to_string().contains("append-only"));
    store.delete(&[cases(&store)[0].id.clone()]).unwrap();
    for sql in ["DELETE FROM audit", "UPDATE audit SET action = ''"] {
        let error = connection.execute(sql, []).unwrap_err().to_string();
        assert!(error.contains("append-only"), "{error}");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        for name in ["library.db", "patient.key"] {
            let mode = fs::metadata(place.library().join(name))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600, "{name} is for its owner alone");
        }
    }
}

#[test]
fn no_identifier_of_a_patient_is_in_the_file() {
    let place = Place::new();
    drop(filled(&place));
    let bytes = fs::read(place.library().join("library.db")).unwrap();
    let has = |text: &str| bytes.windows(text.len()).any(|w| w == text.as_bytes());
    assert!(has("effusion"), "reports are there");
    assert!(!has("Miller") && !has("Smith"), "patients are not");
}

#[test]
fn a_deleted_case_leaves_no_trace() {
    let place = Place::new();
    let store = filled(&place);
    embed(&store);
    let before = store.generation().unwrap();
    let case = cases(&store)
        .into_iter()
        .find(|c| c.labels.iter().any(|l| l.name == "cyst"))
        .unwrap();
    assert_eq!(found(&store, "zystische"), 1);
    assert_eq!(store.delete(std::slice::from_ref(&case.id)).unwrap(), 1);
    assert!(
        store.generation().unwrap() > before,
        "an index made before is stale"
    );
    assert_eq!(found(&store, "zystische"), 0);
    assert_eq!(store.count_embeddings(&space()).unwrap(), 2);
    assert!(matches!(
        store.get(&case.id),
        Err(LibraryError::NoCase { .. })
    ));
    assert!(store.verify(false, &|| false).unwrap().ok);
    let patient = case.patient.unwrap();
    for file in fs::read_dir(place.library()).unwrap() {
        let path = file.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        let has = |text: &str| {
            bytes
                .windows(text.len())
                .any(|w| w.eq_ignore_ascii_case(text.as_bytes()))
        };
        for trace in ["zystische", "oberlappen", "cyst", case.id.as_str()] {
            assert!(!has(trace), "{trace} is still in {}", path.display());
        }
    }
    let others = Filter {
        patient: Some(patient),
        ..Filter::default()
    };
    assert_eq!(
        store.count(&others).unwrap(),
        1,
        "the patient's other case stays"
    );
    assert!(store.delete(&["nobody".into()]).is_err());
}

#[test]
fn words_are_found_whatever_their_case_and_accents() {
    let place = Place::new();
    let store = filled(&place);
    let search = |text: &str, filter: &[&str]| {
        let query = WordQuery {
            text: text.into(),
            filter: Filter::parse(filter).unwrap(),
            k: 10,
            ..WordQuery::default()
        };
        store.search_words(&query).unwrap().hits
    };
    assert_eq!(search("LASION", &[]).len(), 2);
    assert_eq!(search("läsion -keine", &[]).len(), 1);
    assert_eq!(search("\"läsion im oberlappen\"", &[]).len(), 1);
    assert_eq!(search("lasion", &["label=CYST"]).len(), 1);
    let hit = &search("pleur*", &[])[0];
    let marked: Vec<_> = hit
        .excerpt
        .iter()
        .filter(|p| p.matched)
        .map(|p| p.text.as_str())
        .collect();
    assert_eq!(marked, ["Pleural"]);
    let whole: String = hit.excerpt.iter().map(|p| p.text.as_str()).collect();
    assert_eq!(whole, "Pleural effusion on the left");
    assert!(hit.score > 0.0);
    let miller = store.pseudonym(SITE, "Miller-77");
    assert!(
        search("läsion", &[&format!("not_patient={miller}")]).is_empty(),
        "a patient is left out"
    );
    assert_eq!(search("läsion", &[&format!("patient={miller}")]).len(), 2);
}

#[test]
fn rarer_words_rank_higher() {
    let place = Place::new();
    let rows: Vec<String> = (0..40)
        .map(|i| match i {
            7 => format!("{i},opacity and fracture"),
            _ => format!("{i},opacity opacity of the lung number {i}"),
        })
        .collect();
    place.write("cases.csv", format!("id,report\n{}\n", rows.join("\n")));
    let store = place.open();
    let plan = ImportPlan {
        columns: "id=id,report=report".parse().unwrap(),
        ..plan(&place)
    };
    assert_eq!(run(&store, &plan).taken, 40);
    let query = |text: &str| WordQuery {
        text: text.into(),
        k: 5,
        ..WordQuery::default()
    };
    let hits = store.search_words(&query("opacity")).unwrap().hits;
    assert_eq!(hits.len(), 5);
    assert!(
        hits.windows(2).all(|w| w[0].score >= w[1].score),
        "best first"
    );
    let both = store.search_words(&query("fracture opacity")).unwrap().hits;
    assert_eq!(both.len(), 1, "all words must occur");
}

#[test]
fn embeddings_come_back_in_order_and_change_the_generation() {
    let place = Place::new();
    let store = filled(&place);
    assert_eq!(store.unembedded(&space(), 0, 10).unwrap().len(), 3);
    let before = store.generation().unwrap();
    embed(&store);
    assert!(store.generation().unwrap() > before);
    assert!(store.unembedded(&space(), 0, 10).unwrap().is_empty());
    let all: Vec<_> = Embeddings::new(&store, space(), 0)
        .map(Result::unwrap)
        .collect();
    assert_eq!(all.len(), 3);
    assert!(all.windows(2).all(|w| w[0].row < w[1].row));
    assert_eq!(all[2].vector, [f16::from_f32(1.0), f16::from_f32(2.0)]);
    assert_eq!(all[2].case_id, cases(&store)[2].id);
    embed(&store);
    let again = store.embeddings_after(&space(), all[2].row, 10).unwrap();
    assert_eq!(
        again.len(),
        3,
        "new rows for new vectors, above every earlier one"
    );
    assert_eq!(store.count_embeddings(&space()).unwrap(), 3);
    let text = Space {
        kind: EmbeddingKind::Report,
        ..space()
    };
    assert_eq!(store.unembedded(&text, 0, 10).unwrap().len(), 3);
    let bad = NewEmbedding {
        case_id: cases(&store)[0].id.clone(),
        image: Some("1.png".into()),
        pixels: None,
        vector: vec![f16::from_f32(1.0)],
    };
    let error = store.put_embeddings(&space(), &[bad]).unwrap_err();
    assert_eq!(error.code(), "bad_embeddings", "another dimension");
}

#[test]
fn a_newer_library_is_refused_and_left_alone() {
    let place = Place::new();
    drop(filled(&place));
    let path = place.library().join("library.db");
    rusqlite::Connection::open(&path)
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    let before = fs::read(&path).unwrap();
    let error = SqliteStore::open(&place.library()).unwrap_err();
    assert_eq!(error.code(), "library_newer");
    assert!(error.to_string().contains("newer version"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before, "nothing was changed");
}

#[test]
fn another_programs_database_is_not_taken_for_a_library() {
    let place = Place::new();
    fs::create_dir_all(place.library()).unwrap();
    let path = place.library().join("library.db");
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE t (x)")
        .unwrap();
    assert_eq!(
        SqliteStore::open(&place.library()).unwrap_err().code(),
        "library_damaged"
    );
    fs::write(
        &path,
        "this is no database, only a text that is long enough to be looked at",
    )
    .unwrap();
    assert_eq!(
        SqliteStore::open(&place.library()).unwrap_err().code(),
        "library_damaged"
    );
}

#[test]
fn a_locked_library_says_so_and_can_be_read() {
    let place = Place::new();
    drop(filled(&place));
    let options = StoreOptions {
        busy_timeout: Duration::from_millis(50),
        ..StoreOptions::default()
    };
    let store = SqliteStore::open_with(&place.library(), &options).unwrap();
    let other = rusqlite::Connection::open(store.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = store.delete(&[cases(&store)[0].id.clone()]).unwrap_err();
    assert_eq!(error.code(), "library_busy");
    assert_eq!(found(&store, "effusion"), 1, "readers go on");
    other.execute_batch("ROLLBACK").unwrap();
    assert!(store.delete(&[cases(&store)[0].id.clone()]).is_ok());
}

#[test]
fn a_full_disk_keeps_what_was_done_and_the_import_goes_on() {
    let place = Place::new();
    let rows: Vec<String> = (0..3000)
        .map(|i| format!("{i},report number {i} {}", "with many words ".repeat(20)))
        .collect();
    place.write("cases.csv", format!("id,report\n{}\n", rows.join("\n")));
    let plan = ImportPlan {
        columns: "id=id,report=report".parse().unwrap(),
        ..plan(&place)
    };
    let small = StoreOptions {
        max_bytes: Some(1 << 20),
        ..StoreOptions::default()
    };
    let store = SqliteStore::open_with(&place.library(), &small).unwrap();
    let mut reported = 0;
    let error = import(&store, &plan, &|| false, &mut |p| reported = p.rows).unwrap_err();
    assert_eq!(error.code(), "library_full");
    assert!(error.to_string().contains("is kept"), "{error}");
    assert!(reported > 0 && reported < 3000, "{reported} rows were done");
    assert_eq!(
        store.stats().unwrap().cases,
        reported,
        "what was reported is there"
    );
    assert!(store.verify(false, &|| false).unwrap().ok);
    drop(store);
    let store = place.open();
    let report = run(&store, &plan);
    assert_eq!(report.began_with, reported + 1);
    assert_eq!((report.rows, report.taken, report.joined), (3000, 3000, 0));
}

#[test]
fn a_backup_is_restored_and_what_was_there_is_kept() {
    let place = Place::new();
    let store = filled(&place);
    let backup = place.folder.path().join("backup.db");
    store.backup(&backup).unwrap();
    assert_eq!(store.backup(&backup).unwrap_err().code(), "library_exists");
    let all: Vec<String> = cases(&store).into_iter().map(|c| c.id).collect();
    store.delete(&all).unwrap();
    drop(store);
    let restored = SqliteStore::restore(&place.library(), &backup).unwrap();
    assert_eq!(restored.cases, 3);
    assert!(restored.previous.unwrap().is_file());
    let store = place.open();
    assert_eq!(found(&store, "effusion"), 1);
    assert!(store.verify(true, &|| false).unwrap().ok);
    let actions: Vec<String> = store
        .audit(10)
        .unwrap()
        .into_iter()
        .map(|a| a.action)
        .collect();
    assert_eq!(actions[0], "restore");

    // A backup that is cut short or of another library is refused, and the library stays as it is.
    let bytes = fs::read(&backup).unwrap();
    let short = place.folder.path().join("short.db");
    fs::write(&short, &bytes[..bytes.len() / 2]).unwrap();
    drop(store);
    assert_eq!(
        SqliteStore::restore(&place.library(), &short)
            .unwrap_err()
            .code(),
        "library_damaged"
    );
    let other = Place::new();
    drop(filled(&other));
    assert_eq!(
        SqliteStore::restore(&other.library(), &backup)
            .unwrap_err()
            .code(),
        "patient_key"
    );
    assert_eq!(place.open().stats().unwrap().cases, 3);
    assert_eq!(other.open().stats().unwrap().cases, 3);
}

#[test]
fn the_key_of_the_pseudonyms_must_be_there_and_private() {
    let place = Place::new();
    drop(filled(&place));
    let key = place.library().join("patient.key");
    let kept = fs::read(&key).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(
            SqliteStore::open(&place.library()).unwrap_err().code(),
            "patient_key"
        );
    }
    fs::remove_file(&key).unwrap();
    let error = SqliteStore::open(&place.library()).unwrap_err();
    assert_eq!(error.code(), "patient_key");
    assert!(!key.exists(), "no new key is made for old pseudonyms");
    assert!(
        !error
            .to_string()
            .contains(&String::from_utf8_lossy(&kept)[..8])
    );
}

#[test]
fn filters_narrow_lists() {
    let place = Place::new();
    place.write(
        "cases.csv",
        "id,mod,part,v,s,a,d,sp,l\n1,CT,CHEST,,F,40,2020-01-05,train,mass\n2,DX,CHEST,PA,M,60,2020-12-31,test,mass\n\
         3,DX,HAND,,M,8,2021,train,fracture\n",
    );
    let plan = ImportPlan {
        columns: "id=id,modality=mod,body_part=part,view=v,sex=s,age=a,date=d,split=sp,label=l"
            .parse()
            .unwrap(),
        ..plan(&place)
    };
    let store = place.open();
    run(&store, &plan);
    let count = |filter: &[&str]| store.count(&Filter::parse(filter).unwrap()).unwrap();
    let wanted: [(&[&str], u64); 10] = [
        (&[], 3),
        (&["modality=dx"], 2),
        (&["body_part=chest", "label=MASS"], 2),
        (&["view=pa"], 1),
        (&["sex=m", "age=..10"], 1),
        (&["age=40..60"], 2),
        (&["date=2020"], 2),
        (&["date=2020-12..2021"], 2),
        (&["split=train"], 2),
        (&["source=test", "not_patient=x"], 3),
    ];
    for (filter, cases) in wanted {
        assert_eq!(count(filter), cases, "{filter:?}");
    }
    let page = |offset| {
        store
            .list(&Filter::default(), Page { offset, limit: 2 })
            .unwrap()
            .len()
    };
    assert_eq!((page(0), page(2)), (2, 1));
}
