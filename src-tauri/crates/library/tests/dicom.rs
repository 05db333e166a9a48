//! Archives of DICOM files with structured reports among them. Sources: PS3.3 A.35.1 (Basic Text SR), A.35.2 (Enhanced SR).
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;

use common::{Place, cases, run};
use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use lucency_library::import::{Format, ImportPlan, SITE};
use lucency_library::search::WordQuery;
use lucency_library::{Filter, Storage, TextKind};

const EXPLICIT_LITTLE: &str = "1.2.840.10008.1.2.1";
const BASIC_TEXT: &str = "1.2.840.10008.5.1.4.1.1.88.11";
const ENHANCED: &str = "1.2.840.10008.5.1.4.1.1.88.22";
const DX: &str = "1.2.840.10008.5.1.4.1.1.1.1";

fn text(object: &mut InMemDicomObject, tag: dicom_core::Tag, vr: VR, value: &str) {
    object.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
}

fn sequence(object: &mut InMemDicomObject, tag: dicom_core::Tag, items: Vec<InMemDicomObject>) {
    object.put(DataElement::new(tag, VR::SQ, DataSetSequence::from(items)));
}

fn code(meaning: &str) -> InMemDicomObject {
    let mut item = InMemDicomObject::new_empty();
    text(&mut item, tags::CODE_VALUE, VR::SH, "121071");
    text(&mut item, tags::CODING_SCHEME_DESIGNATOR, VR::SH, "DCM");
    text(&mut item, tags::CODE_MEANING, VR::LO, meaning);
    item
}

fn item(kind: &str, concept: &str) -> InMemDicomObject {
    let mut item = InMemDicomObject::new_empty();
    text(&mut item, tags::RELATIONSHIP_TYPE, VR::CS, "CONTAINS");
    text(&mut item, tags::VALUE_TYPE, VR::CS, kind);
    sequence(
        &mut item,
        tags::CONCEPT_NAME_CODE_SEQUENCE,
        vec![code(concept)],
    );
    item
}

fn words(concept: &str, value: &str) -> InMemDicomObject {
    let mut item = item("TEXT", concept);
    text(&mut item, tags::TEXT_VALUE, VR::UT, value);
    item
}

fn root(class: &str, study: &str) -> InMemDicomObject {
    let mut object = InMemDicomObject::new_empty();
    text(
        &mut object,
        tags::SPECIFIC_CHARACTER_SET,
        VR::CS,
        "ISO_IR 100",
    );
    text(&mut object, tags::SOP_CLASS_UID, VR::UI, class);
    text(&mut object, tags::STUDY_INSTANCE_UID, VR::UI, study);
    text(&mut object, tags::STUDY_DATE, VR::DA, "20210304");
    text(&mut object, tags::PATIENT_NAME, VR::PN, "ROE^RICHARD");
    text(&mut object, tags::PATIENT_ID, VR::LO, "HOSP-4711");
    text(&mut object, tags::PATIENT_SEX, VR::CS, "M");
    text(&mut object, tags::PATIENT_AGE, VR::AS, "064Y");
    object
}

fn save(object: InMemDicomObject, class: &str, path: &Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let meta = FileMetaTableBuilder::new()
        .transfer_syntax(EXPLICIT_LITTLE)
        .media_storage_sop_class_uid(class)
        .media_storage_sop_instance_uid("1.2.3.4");
    object.with_meta(meta).unwrap().write_to_file(path).unwrap();
}

fn report(class: &str, study: &str, content: Vec<InMemDicomObject>) -> InMemDicomObject {
    let mut object = root(class, study);
    text(&mut object, tags::MODALITY, VR::CS, "SR");
    text(&mut object, tags::VALUE_TYPE, VR::CS, "CONTAINER");
    sequence(&mut object, tags::CONTENT_SEQUENCE, content);
    object
}

fn radiograph(study: &str) -> InMemDicomObject {
    let mut object = root(DX, study);
    text(&mut object, tags::MODALITY, VR::CS, "DX");
    text(&mut object, tags::BODY_PART_EXAMINED, VR::CS, "CHEST");
    text(&mut object, tags::VIEW_POSITION, VR::CS, "PA");
    text(
        &mut object,
        tags::PHOTOMETRIC_INTERPRETATION,
        VR::CS,
        "MONOCHROME2",
    );
    for (tag, value) in [
        (tags::SAMPLES_PER_PIXEL, 1_u16),
        (tags::ROWS, 20),
        (tags::COLUMNS, 24),
        (tags::BITS_ALLOCATED, 8),
        (tags::BITS_STORED, 8),
        (tags::HIGH_BIT, 7),
        (tags::PIXEL_REPRESENTATION, 0),
    ] {
        object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
    }
    let pixels: Vec<u8> = (0..480_u32).map(|i| (i * 37 % 251) as u8).collect();
    object.put(DataElement::new(
        tags::PIXEL_DATA,
        VR::OB,
        PrimitiveValue::from(pixels),
    ));
    object
}

#[test]
fn images_and_structured_reports_of_a_study_are_one_case() {
    let place = Place::new();
    let data = place.data();
    save(radiograph("1.2.1"), DX, &data.join("PAT/STUDY/IM1"));
    let mut person = item("PNAME", "Person Observer Name");
    text(&mut person, tags::PERSON_NAME, VR::PN, "SMITH^ANNA");
    let mut measured = InMemDicomObject::new_empty();
    text(&mut measured, tags::NUMERIC_VALUE, VR::DS, "14.5");
    let mut unit = code("millimeter");
    text(&mut unit, tags::CODE_VALUE, VR::SH, "mm");
    sequence(
        &mut measured,
        tags::MEASUREMENT_UNITS_CODE_SEQUENCE,
        vec![unit],
    );
    let mut diameter = item("NUM", "Diameter");
    sequence(&mut diameter, tags::MEASURED_VALUE_SEQUENCE, vec![measured]);
    let mut impression = item("CODE", "Impression");
    sequence(
        &mut impression,
        tags::CONCEPT_CODE_SEQUENCE,
        vec![code("Pulmonary nodule")],
    );
    let mut findings = item("CONTAINER", "Findings");
    let nodule = words("Finding", "Rundherd im rechten Oberfeld, keine Ergüsse");
    sequence(
        &mut findings,
        tags::CONTENT_SEQUENCE,
        vec![nodule, diameter],
    );
    let basic = report(BASIC_TEXT, "1.2.1", vec![person, findings, impression]);
    save(basic, BASIC_TEXT, &data.join("PAT/STUDY/SR1"));
    let enhanced = report(
        ENHANCED,
        "1.2.2",
        vec![words("Finding", "Follow-up: unchanged")],
    );
    save(enhanced, ENHANCED, &data.join("PAT/OTHER/SR2"));
    place.write("PAT/readme.txt", "not DICOM");

    let store = place.open();
    let done = run(&store, &ImportPlan::new(Format::Dicom, &data));
    assert_eq!(
        (done.rows, done.taken, done.joined, done.rejected),
        (4, 2, 1, 1),
        "{done:?}"
    );
    assert_eq!(done.causes[0].code, "not_an_image");
    let cases = cases(&store);
    let case = cases.iter().find(|case| !case.images.is_empty()).unwrap();
    assert_eq!(case.texts.len(), 1);
    assert_eq!(case.texts[0].kind, TextKind::Report);
    assert_eq!(
        case.texts[0].body,
        "Findings:\nFinding: Rundherd im rechten Oberfeld, keine Ergüsse\nDiameter: 14.5 mm\nImpression: Pulmonary nodule"
    );
    assert_eq!(
        case.patient.as_deref(),
        Some(store.pseudonym(SITE, "HOSP-4711").as_str())
    );
    assert_eq!(
        (case.facts.age, case.facts.sex.as_deref()),
        (Some(64), Some("M"))
    );
    assert_eq!(case.facts.date.as_deref(), Some("2021-03-04"));
    assert_eq!(case.images[0].view.as_deref(), Some("PA"));
    assert_eq!((case.images[0].width, case.images[0].height), (24, 20));
    let query = WordQuery {
        text: "rundherd ergusse".into(),
        filter: Filter::parse(&["modality=DX", "body_part=chest"]).unwrap(),
        k: 3,
        ..WordQuery::default()
    };
    assert_eq!(store.search_words(&query).unwrap().hits.len(), 1);
    let bytes = std::fs::read(store.path()).unwrap();
    for name in ["RICHARD", "4711", "SMITH"] {
        assert!(
            !bytes.windows(name.len()).any(|w| w == name.as_bytes()),
            "{name} is in the file"
        );
    }
}

#[test]
fn a_report_that_is_cut_short_is_refused() {
    let place = Place::new();
    let path = place.data().join("SR");
    let object = report(
        BASIC_TEXT,
        "1.2.3",
        vec![words("Finding", &"long text ".repeat(50))],
    );
    save(object, BASIC_TEXT, &path);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 100]).unwrap();
    let done = run(&place.open(), &ImportPlan::new(Format::Dicom, place.data()));
    assert_eq!((done.taken, done.rejected), (0, 1));
    assert_eq!(done.causes[0].code, "damaged_file");
}
