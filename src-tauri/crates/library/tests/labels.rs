//! Labels of readers: beside each other and beside imported ones, undone, and through a migration.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Place, cases};
use lucency_library::import::Format;
use lucency_library::{Filter, LabelScheme, LabelValue, Labelling, Page, SqliteStore, Storage};

const AT: &str = "2026-01-02T03:04:05Z";

/// Two cases with an imported label each.
fn filled(place: &Place) -> (SqliteStore, Vec<String>) {
    place.picture("a.png", 1);
    place.picture("b.png", 2);
    place.write("t.csv", "image,label\na.png,Normal\nb.png,Effusion\n");
    let plan = lucency_library::import::ImportPlan {
        table: Some(place.data().join("t.csv")),
        columns: "image=image,label=label".parse().unwrap(),
        ..place.plan(Format::Table)
    };
    let store = place.open();
    common::run(&store, &plan);
    let ids = cases(&store).into_iter().map(|case| case.id).collect();
    (store, ids)
}

fn wanted(name: &str, value: LabelValue) -> (String, Option<LabelValue>) {
    (name.into(), Some(value))
}

/// Name, value and reader of a case's labels.
fn labels(store: &SqliteStore, id: &str) -> Vec<(String, i64, Option<String>)> {
    let case = store.get(id).unwrap();
    let plain = |l: lucency_library::Label| (l.name, l.value.number(), l.reader);
    case.labels.into_iter().map(plain).collect()
}

#[test]
fn nobodys_label_takes_anothers_place() {
    let place = Place::new();
    let (store, ids) = filled(&place);
    let before = store.generation().unwrap();
    let yes = [wanted("Normal", LabelValue::Positive)];
    let no = [wanted("normal", LabelValue::Negative)];
    store
        .give_labels(&ids[0], "Anna", &no, AT)
        .unwrap()
        .unwrap();
    store
        .give_labels(&ids[0], "Ben", &yes, AT)
        .unwrap()
        .unwrap();
    assert!(
        store.generation().unwrap() > before,
        "a filter by label finds other cases now"
    );
    let found = labels(&store, &ids[0]);
    let of = |reader: Option<&str>| {
        let same = |l: &&(String, i64, Option<String>)| l.2.as_deref() == reader;
        found.iter().find(same).map(|l| l.1)
    };
    assert_eq!(
        (of(None), of(Some("Anna")), of(Some("Ben"))),
        (Some(1), Some(0), Some(1))
    );
    // Taken in again, the case's own label is its own, and the readers' stay.
    let (store, _) = filled(&place);
    assert_eq!(labels(&store, &ids[0]), found);
    let same = store.give_labels(&ids[0], "anna", &no, AT).unwrap();
    assert!(same.is_none(), "it was so already");
    let stats = store.stats().unwrap();
    let normal = stats.labels.iter().find(|l| l.name == "Normal").unwrap();
    assert_eq!(
        normal.cases, 1,
        "a case counts once, however many readers say so"
    );
    let filter = Filter::parse(&["reader=BEN"]).unwrap();
    let page = Page {
        offset: 0,
        limit: 9,
    };
    let listed = store.list(&filter, page).unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].labels, ["Normal"], "named once");
    assert_eq!(store.readers(&["Normal".into()]).unwrap().len(), 2);
    let names = ["Normal".to_owned()];
    let left = |reader, by| {
        store
            .unread(&Filter::default(), reader, &names, by)
            .unwrap()
    };
    assert_eq!(
        left("Anna", None),
        [ids[1].clone()],
        "the source's own label is no reading"
    );
    assert_eq!(left("Carl", Some("Ben")), [ids[0].clone()]);
    assert!(left("Anna", Some("Ben")).is_empty());
    let readings = store.readings(Some("Anna"), &["Normal".into()]).unwrap();
    assert_eq!(readings[0].label.at.as_deref(), Some(AT));
    assert!(store.give_labels("no-such", "Anna", &yes, AT).is_err());
    assert!(store.give_labels(&ids[0], " ", &yes, AT).is_err());
}

#[test]
fn what_a_reader_did_is_undone_and_done_again_by_that_reader_alone() {
    let place = Place::new();
    let (store, ids) = filled(&place);
    let set = |name: &str, reader: &str, case: &str| {
        let wanted = [wanted(name, LabelValue::Positive)];
        store.give_labels(case, reader, &wanted, AT).unwrap();
    };
    set("A", "Anna", &ids[0]);
    set("B", "Anna", &ids[1]);
    set("A", "Ben", &ids[1]);
    let undone = store.undo_labels("Anna", AT).unwrap().unwrap();
    assert_eq!(undone.case_id, ids[1], "the last of hers, not of his");
    assert_eq!(undone.labels, [("B".to_owned(), None)]);
    drop(store);
    let store = place.open();
    assert_eq!(
        store.undoable_labels("Anna").unwrap(),
        (1, 1),
        "a restart forgets nothing"
    );
    let again = store.redo_labels("Anna", AT).unwrap().unwrap();
    assert_eq!(again.labels, [("B".to_owned(), Some(LabelValue::Positive))]);
    store.undo_labels("Anna", AT).unwrap();
    store.undo_labels("Anna", AT).unwrap();
    assert!(store.undo_labels("Anna", AT).unwrap().is_none());
    let first = store.redo_labels("Anna", AT).unwrap().unwrap();
    assert_eq!(first.case_id, ids[0], "in the order in which it was done");
    let other = [wanted("C", LabelValue::Uncertain)];
    store.give_labels(&ids[0], "Anna", &other, AT).unwrap();
    assert!(
        store.redo_labels("Anna", AT).unwrap().is_none(),
        "a new label ends the way forward"
    );
    store.delete(&[ids[0].clone()]).unwrap();
    assert_eq!(
        store.undoable_labels("Anna").unwrap(),
        (0, 0),
        "nothing of a deleted case is left"
    );
    assert_eq!(store.undoable_labels("Ben").unwrap(), (1, 0));
}

#[test]
fn a_set_of_labels_is_kept_and_replaced_by_its_name() {
    let place = Place::new();
    let store = place.open();
    let set = |name: &str, classes: &[&str]| LabelScheme {
        name: name.into(),
        exclusive: true,
        classes: classes.iter().map(|c| (*c).into()).collect(),
    };
    assert!(
        store
            .label_set("chest")
            .unwrap_err()
            .to_string()
            .contains("define one")
    );
    store.put_label_set(&set("Chest", &["a", "b"])).unwrap();
    store
        .put_label_set(&set("chest", &["a", "b", "c"]))
        .unwrap();
    assert_eq!(
        store.label_sets().unwrap(),
        [set("chest", &["a", "b", "c"])]
    );
    let error = store.label_set("knee").unwrap_err().to_string();
    assert!(error.contains("it has chest"), "{error}");
    assert!(store.put_label_set(&set("one", &["a"])).is_err());
    assert!(store.remove_label_set("CHEST").unwrap() && !store.remove_label_set("chest").unwrap());
}

#[test]
fn labels_of_a_library_of_the_third_version_become_those_that_came_with_the_case() {
    let place = Place::new();
    let (store, ids) = filled(&place);
    let before = labels(&store, &ids[1]);
    drop(store);
    let connection = rusqlite::Connection::open(place.library().join("library.db")).unwrap();
    connection
        .execute_batch(
            "DROP TABLE label_sets; DROP TABLE label_actions; DROP INDEX labels_name; DROP INDEX labels_reader;
             ALTER TABLE labels RENAME TO new_labels;
             CREATE TABLE labels (
                 case_row INTEGER NOT NULL REFERENCES cases (row) ON DELETE CASCADE,
                 name TEXT NOT NULL COLLATE NOCASE,
                 value INTEGER NOT NULL CHECK (value IN (1, 0, -1)),
                 PRIMARY KEY (case_row, name)
             ) WITHOUT ROWID;
             CREATE INDEX labels_name ON labels (name, value);
             INSERT INTO labels SELECT case_row, name, value FROM new_labels;
             DROP TABLE new_labels;
             DROP TABLE run_cases; ALTER TABLE runs DROP COLUMN path; ALTER TABLE runs DROP COLUMN deleted;
             PRAGMA user_version = 3;",
        )
        .unwrap();
    drop(connection);
    let store = place.open();
    assert_eq!(labels(&store, &ids[1]), before);
    assert_eq!(before[0].2, None, "nobody gave it");
    assert!(store.verify(true, &|| false).unwrap().ok);
    assert!(place.library().join("library.schema3.backup").is_file());
    let no = [wanted("Effusion", LabelValue::Negative)];
    store.give_labels(&ids[1], "Anna", &no, AT).unwrap();
    assert_eq!(labels(&store, &ids[1]).len(), 2);
}
