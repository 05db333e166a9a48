//! What is wrong in a data set is refused and told, the rest is taken; an import that stops goes on.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Place, cases, external, pattern, run};
use lucency_library::import::{Format, Identifying, ImportPlan, import};
use lucency_library::search::WordQuery;
use lucency_library::{Filter, Storage};

fn table(place: &Place, columns: &str) -> ImportPlan {
    ImportPlan {
        table: Some("cases.csv".into()),
        columns: columns.parse().unwrap(),
        ..place.plan(Format::Table)
    }
}

#[test]
fn bad_rows_are_refused_one_by_one_with_their_cause() {
    let place = Place::new();
    place.picture("1.png", 1);
    place.write("text.png", "no image at all");
    let whole = std::fs::read(place.picture("cut.png", 2)).unwrap();
    place.write("cut.png", &whole[..whole.len() / 2]);
    let mut rows =
        b"image,report\n1.png,good\n1.png,one,too many\ngone.png,x\n../../etc/passwd,x\n".to_vec();
    rows.extend(b"1.png,caf\xe9\ntext.png,x\ncut.png,x\n,x\n1.png,also good\n");
    place.write("cases.csv", rows);
    let report = run(&place.open(), &table(&place, "image=image,report=report"));
    assert_eq!((report.rows, report.taken, report.joined), (9, 1, 1));
    let refused: Vec<(u64, &str)> = report
        .rejects
        .iter()
        .map(|r| (r.row, r.code.as_str()))
        .collect();
    let wanted = [
        (2, "malformed_row"),
        (3, "missing_image"),
        (4, "bad_path"),
        (5, "encoding"),
        (6, "not_an_image"),
        (7, "damaged_image"),
        (8, "missing_field"),
    ];
    assert_eq!(refused, wanted);
    let told = serde_json::to_string(&report).unwrap();
    assert!(
        !told.contains("passwd") && !told.contains("gone"),
        "no content of rows: {told}"
    );
}

#[test]
fn a_table_in_another_encoding_is_read_when_it_is_named() {
    let place = Place::new();
    place.write("cases.csv", b"id,report\n1,L\xe4sion\n");
    let plan = table(&place, "id=id,report=report");
    assert_eq!(run(&place.open(), &plan).rejected, 1);
    let latin = ImportPlan {
        encoding: Some("latin1".into()),
        ..plan.clone()
    };
    let store = place.open();
    assert_eq!(run(&store, &latin).taken, 1);
    assert_eq!(cases(&store)[0].texts[0].body, "Läsion");
    place.write("cases.csv", b"\xff\xfei\0d\0");
    let error = import(&store, &plan, &|| false, &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("UTF-16"), "{error}");
}

#[test]
fn lines_that_name_a_patient_are_taken_out_or_refuse_the_row() {
    let place = Place::new();
    place.write(
        "cases.csv",
        "id,report\n1,\"Patient Name: Roe, Richard\nMRN: 99812\nImpression: stable nodule\"\n2,Clear\n",
    );
    let plan = table(&place, "id=id,report=report");
    let store = place.open();
    let report = run(&store, &plan);
    assert_eq!((report.taken, report.redacted), (2, 2));
    assert_eq!(cases(&store)[0].texts[0].body, "Impression: stable nodule");
    let bytes = std::fs::read(store.path()).unwrap();
    assert!(!bytes.windows(7).any(|w| w == b"Richard"), "never written");
    let strict = ImportPlan {
        identifying: Identifying::Refuse,
        source: Some("strict".into()),
        ..plan
    };
    let report = run(&store, &strict);
    assert_eq!((report.taken, report.rejected), (1, 1));
    assert_eq!(report.causes[0].code, "identifying");
}

#[test]
fn the_same_import_again_doubles_nothing() {
    let place = Place::new();
    for i in 0..5 {
        place.picture(&format!("{i}.png"), i);
    }
    let rows: Vec<String> = (0..5).map(|i| format!("{i}.png,report {i},p{i}")).collect();
    place.write(
        "cases.csv",
        format!("image,report,label\n{}\n", rows.join("\n")),
    );
    let plan = table(&place, "image=image,report=report,label=label");
    let store = place.open();
    run(&store, &plan);
    let before = cases(&store);
    let again = run(&store, &plan);
    assert_eq!((again.taken, again.joined, again.began_with), (0, 5, 1));
    assert_eq!(cases(&store), before);
}

#[test]
fn an_import_that_was_stopped_goes_on_where_it_was() {
    let place = Place::new();
    let rows: Vec<String> = (0..1000)
        .map(|i| format!("{i},report number {i}"))
        .collect();
    place.write("cases.csv", format!("id,report\n{}\n", rows.join("\n")));
    let plan = table(&place, "id=id,report=report");
    let store = place.open();
    let asked = std::cell::Cell::new(0);
    let stop = || {
        asked.set(asked.get() + 1);
        asked.get() > 2
    };
    let first = import(&store, &plan, &stop, &mut |_| {}).unwrap();
    assert!(first.cancelled);
    assert_eq!((first.rows, first.taken), (400, 400));
    let second = run(&store, &plan);
    assert_eq!(
        (second.began_with, second.rows, second.taken),
        (401, 1000, 1000)
    );
    assert!(!second.cancelled);

    // A table that was changed meanwhile begins again, and nothing is doubled.
    let asked = std::cell::Cell::new(0);
    let stop = || {
        asked.set(asked.get() + 1);
        asked.get() > 2
    };
    import(&store, &plan, &stop, &mut |_| {}).unwrap();
    place.write(
        "cases.csv",
        format!("id,report\n{}\n1000,new\n", rows.join("\n")),
    );
    let third = run(&store, &plan);
    assert_eq!((third.began_with, third.taken, third.joined), (1, 1, 1000));
}

#[test]
fn leaks_between_splits_are_found() {
    let place = Place::new();
    place.picture("a.png", 1);
    place.picture("copy.png", 1);
    // The same image, smaller and compressed.
    pattern(1, 64, 48)
        .save(place.data().join("like.jpg"))
        .unwrap();
    place.picture("other.png", 9);
    place.write(
        "cases.csv",
        "image,patient,split\na.png,P,train\ncopy.png,Q,test\nlike.jpg,R,test\nother.png,P,test\n",
    );
    let report = run(
        &place.open(),
        &table(&place, "image=image,patient=patient,split=split"),
    );
    let leaks = report.leaks;
    assert_eq!(
        (leaks.same_image.count, leaks.same_image.across_splits),
        (1, 1)
    );
    assert_eq!(
        leaks.near_image.count, 1,
        "the compressed one is like the file that is there twice: {leaks:?}"
    );
    assert_eq!(leaks.patients_in_two_splits, 1);
}

#[test]
fn the_chest_radiographs_come_in_through_the_table_importer() {
    let Some(data) = external("cxr-notes") else {
        return;
    };
    let place = Place::new();
    let store = place.open();
    let plan = ImportPlan {
        table: Some("train.csv".into()),
        columns: "image=filename,patient=patientid,report=clinical_notes,label=finding,view=view,sex=sex,age=age,date=date"
            .parse()
            .unwrap(),
        modality: Some("DX".into()),
        body_part: Some("CHEST".into()),
        source: Some("cxr-notes".into()),
        ..ImportPlan::new(Format::Table, data)
    };
    let report = run(&store, &plan);
    println!(
        "{} taken, {} refused, {:.1} s, leaks: {} same, {} alike",
        report.taken,
        report.rejected,
        report.elapsed_s,
        report.leaks.same_image.count,
        report.leaks.near_image.count
    );
    assert_eq!(
        (report.taken, report.rejected),
        (272, 0),
        "{:?}",
        report.rejects
    );
    assert!(
        report.taken as f64 / report.elapsed_s > 5.0,
        "300 radiographs a minute: {} in {} s",
        report.taken,
        report.elapsed_s
    );
    let women = Filter::parse(&["sex=F", "view=PA"]).unwrap();
    assert!(store.count(&women).unwrap() > 20);
    let query = WordQuery {
        text: "bilateral consolidation".into(),
        filter: women,
        k: 5,
        ..WordQuery::default()
    };
    let hits = store.search_words(&query).unwrap().hits;
    assert!(!hits.is_empty() && hits[0].excerpt.iter().any(|piece| piece.matched));
    assert!(store.verify(true, &|| false).unwrap().ok);
}

#[test]
fn the_vqa_rad_questions_come_in() {
    let Some(data) = external("vqa-rad") else {
        return;
    };
    let place = Place::new();
    let store = place.open();
    let report = run(&store, &ImportPlan::new(Format::VqaRad, data));
    let stats = store.stats().unwrap();
    println!(
        "{} rows, {} cases, {} refused: {:?}",
        report.rows, stats.cases, report.rejected, report.causes
    );
    assert_eq!(report.rows, 3064);
    assert!(stats.cases >= 313, "one case an image");
    assert!(stats.questions >= 3000, "{} questions", stats.questions);
}

#[test]
fn a_folder_of_dicom_files_comes_in_by_study() {
    let Some(data) = external("dicom") else {
        return;
    };
    let place = Place::new();
    let store = place.open();
    let report = run(&store, &ImportPlan::new(Format::Dicom, data));
    println!(
        "{} files, {} studies, {:?}",
        report.rows, report.taken, report.causes
    );
    assert!(report.rows - report.rejected >= 60, "{:?}", report.causes);
    assert!(store.verify(true, &|| false).unwrap().ok);
}

#[test]
fn a_folder_per_class_comes_in() {
    let Some(data) = external("mednist") else {
        return;
    };
    let place = Place::new();
    let store = place.open();
    let report = run(&store, &ImportPlan::new(Format::Classes, data));
    assert_eq!((report.taken, report.rejected), (3000, 0));
    println!(
        "{:.1} s, {} same, {} alike",
        report.elapsed_s, report.leaks.same_image.count, report.leaks.near_image.count
    );
    let hands = Filter::parse(&["label=hand"]).unwrap();
    assert_eq!(store.count(&hands).unwrap(), 500);
}
