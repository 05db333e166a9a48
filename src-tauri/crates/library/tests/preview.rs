//! What an import would do, shown before anything is written.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Place, run};
use lucency_library::SqliteStore;
use lucency_library::import::{Format, ImportPlan, Role, RowSeen, import, preview};

const TABLE: &str = "patientid,filename,finding,clinical_notes,Edema\n\
    7,1.png,Pneumonia,Opacity in the left lower lobe.,1\n\
    8,gone.png,Normal,No finding at all.,0\n\
    9,2.png\n";

fn place() -> Place {
    let place = Place::new();
    place.picture("1.png", 1);
    place.picture("2.png", 2);
    place.write("cases.csv", TABLE);
    place
}

fn plan(place: &Place, columns: &str) -> ImportPlan {
    ImportPlan {
        table: Some("cases.csv".into()),
        columns: columns.parse().unwrap(),
        ..place.plan(Format::Table)
    }
}

#[test]
fn a_table_is_shown_with_roles_examples_and_its_first_rows_and_nothing_is_written() {
    let place = place();
    let seen = preview(None, &plan(&place, ""), 20).unwrap();
    assert!(!SqliteStore::exists(&place.library()));
    let suggested: Vec<_> = seen.columns.iter().map(|c| c.suggested).collect();
    let wanted = [
        Some(Role::Patient),
        Some(Role::Image),
        Some(Role::Label),
        Some(Role::Report),
        Some(Role::Label),
    ];
    assert_eq!(suggested, wanted);
    assert_eq!(seen.columns[1].examples, ["1.png", "gone.png"]);
    assert_eq!((seen.total, seen.problem.as_deref()), (Some(3), None));
    let RowSeen::Taken(1, first) = &seen.rows[0] else {
        panic!("the first row is sound: {:?}", seen.rows[0])
    };
    assert_eq!((first.images.len(), first.images[0].width), (1, 64));
    let labels: Vec<_> = first.labels.iter().map(|l| l.name.as_str()).collect();
    assert_eq!(labels, ["Pneumonia", "Edema"]);
    let refused: Vec<_> = seen.rows[1..]
        .iter()
        .map(|row| match row {
            RowSeen::Refused(reject) => (reject.row, reject.code.as_str()),
            RowSeen::Taken(row, _) => panic!("row {row} is not sound"),
        })
        .collect();
    assert_eq!(refused, [(2, "missing_image"), (3, "malformed_row")]);

    // What is shown is what an import does.
    let store = place.open();
    let columns =
        "patient=patientid,image=filename,label=finding,report=clinical_notes,label=Edema";
    let report = run(&store, &plan(&place, columns));
    assert_eq!((report.taken, report.rejected), (1, 2));
}

#[test]
fn a_map_that_cannot_work_says_so() {
    let place = place();
    let problem = |columns: &str| preview(None, &plan(&place, columns), 5).unwrap().problem;
    assert!(problem("age=finding").unwrap().contains("image"));
    assert!(problem("image=file").unwrap().contains("no column"));
    let no_table = ImportPlan {
        table: None,
        ..plan(&place, "")
    };
    assert!(preview(None, &no_table, 5).unwrap().problem.is_some());
    let wrong = place.plan(Format::Chexpert);
    assert!(preview(None, &wrong, 5).unwrap().problem.is_some());
}

#[test]
fn an_interrupted_import_is_announced() {
    let place = Place::new();
    let rows: String = (0..500)
        .map(|i| format!("{i},text {i} and words\n"))
        .collect();
    place.write("cases.csv", format!("id,report\n{rows}"));
    let store = place.open();
    let plan = plan(&place, "id=id,report=report");
    let resumes = || preview(Some(&store), &plan, 5).unwrap().resumes;
    assert!(!resumes(), "nothing was begun");
    let mut batches = 0;
    let stop = std::cell::Cell::new(false);
    let report = import(&store, &plan, &|| stop.get(), &mut |_| {
        batches += 1;
        stop.set(batches == 1);
    });
    assert!(report.unwrap().cancelled);
    assert!(resumes());
    assert!(!run(&store, &plan).cancelled);
    assert!(!resumes(), "it is finished");
}
