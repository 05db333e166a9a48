//! Written studies are DICOM files that say what they are.

use dicom_dictionary_std::tags;
use dicom_object::open_file;
use lucency_phantom::export::{Content, ExportPlan, Truth, VqaRecord, export};
use lucency_phantom::{
    Encoding, Finding, PhantomError, Region, Site, Spec, StudyOptions, View, write_study,
};

fn options(encoding: Encoding) -> StudyOptions {
    StudyOptions {
        film_side: 96,
        slice_side: 64,
        encoding,
    }
}

#[test]
fn a_radiograph_reads_back_with_its_tags_and_pixels() {
    let folder = tempfile::tempdir().expect("a folder");
    for encoding in [Encoding::Plain, Encoding::Deflated] {
        let spec = Spec::normal_chest(5, Site::A)
            .with(Finding::Nodule)
            .with_views(vec![View::Pa, View::Lateral]);
        let files =
            write_study(&spec, folder.path(), options(encoding), &|| false).expect("written");
        assert_eq!(files.len(), 2, "one file a view");
        let mut uids = Vec::new();
        for file in &files {
            let object = open_file(&file.path).expect("a DICOM file");
            let text = |tag| {
                object
                    .element(tag)
                    .expect("the tag")
                    .to_str()
                    .expect("text")
                    .trim()
                    .to_string()
            };
            assert_eq!(text(tags::SOP_CLASS_UID), "1.2.840.10008.5.1.4.1.1.1.1");
            assert_eq!(text(tags::PRESENTATION_INTENT_TYPE), "FOR PRESENTATION");
            assert_eq!(text(tags::MODALITY), "DX");
            assert_eq!(text(tags::PATIENT_NAME), "Phantom^A0005");
            assert!(
                text(tags::STUDY_DESCRIPTION).contains("SYNTHETIC"),
                "the study says what it is"
            );
            assert!(text(tags::IMAGE_COMMENTS).contains("SYNTHETIC"));
            assert_eq!(text(tags::VIEW_POSITION), file.view.code());
            let orientation = if file.view == View::Pa {
                "L\\F"
            } else {
                "P\\F"
            };
            assert_eq!(text(tags::PATIENT_ORIENTATION), orientation);
            assert!(
                text(tags::SOP_INSTANCE_UID).starts_with("2.25.")
                    && text(tags::SOP_INSTANCE_UID).len() <= 64
            );
            let bytes = object
                .element(tags::PIXEL_DATA)
                .expect("pixels")
                .to_bytes()
                .expect("bytes")
                .len();
            assert_eq!(bytes, 2 * file.width * file.height);
            uids.push((
                text(tags::STUDY_INSTANCE_UID),
                text(tags::SERIES_INSTANCE_UID),
                text(tags::SOP_INSTANCE_UID),
            ));
        }
        assert_eq!(uids[0].0, uids[1].0, "one study");
        assert_ne!(uids[0].1, uids[1].1, "a series a view");
        assert_ne!(uids[0].2, uids[1].2, "two instances");
    }
}

#[test]
fn a_head_is_a_series_of_slices_in_hounsfield_units() {
    let folder = tempfile::tempdir().expect("a folder");
    let spec = Spec::normal_head(6, Site::B).with(Finding::Mass);
    let files =
        write_study(&spec, folder.path(), options(Encoding::Plain), &|| false).expect("written");
    assert_eq!(files.len(), 24);
    let mut heights = Vec::new();
    let mut series = std::collections::BTreeSet::new();
    for file in &files {
        let object = open_file(&file.path).expect("a DICOM file");
        let text = |tag| {
            object
                .element(tag)
                .expect("the tag")
                .to_str()
                .expect("text")
                .trim()
                .to_string()
        };
        assert_eq!(text(tags::SOP_CLASS_UID), "1.2.840.10008.5.1.4.1.1.2");
        assert_eq!(text(tags::RESCALE_INTERCEPT), "-1024");
        assert_eq!(text(tags::WINDOW_CENTER), "40\\600");
        assert_eq!(text(tags::IMAGE_ORIENTATION_PATIENT), "1\\0\\0\\0\\1\\0");
        let position = object
            .element(tags::IMAGE_POSITION_PATIENT)
            .expect("position")
            .to_multi_float64()
            .expect("numbers");
        heights.push(position[2]);
        series.insert(text(tags::SERIES_INSTANCE_UID));
        let corner = object
            .element(tags::PIXEL_DATA)
            .expect("pixels")
            .to_multi_int::<u16>()
            .expect("numbers")[0];
        assert!(corner < 60, "the corner is air: {corner}");
    }
    assert_eq!(series.len(), 1);
    assert!(
        heights.windows(2).all(|w| (w[1] - w[0] - 5.0).abs() < 1e-6),
        "slices are 5 mm apart"
    );
}

fn plan(count: u64) -> ExportPlan {
    ExportPlan {
        seed: 40,
        count,
        site: Site::A,
        content: Content::Each(Region::Chest),
        dicom: Some(options(Encoding::Plain)),
        png_side: Some(64),
        questions: true,
        classes: true,
    }
}

#[test]
fn an_export_holds_truth_tables_questions_and_classes() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut last = 0;
    let summary =
        export(&plan(8), folder.path(), &|| false, &mut |a| last = a.done).expect("written");
    assert_eq!((summary.studies, last), (8, 8));
    let text = std::fs::read_to_string(folder.path().join("A0040/truth.json")).expect("truth");
    let truth: Truth = serde_json::from_str(&text).expect("truth parses");
    assert!(truth.synthetic && truth.labels.has(Finding::Cardiomegaly));
    let text = std::fs::read_to_string(folder.path().join("questions.json")).expect("questions");
    let records: Vec<VqaRecord> = serde_json::from_str(&text).expect("questions parse");
    assert_eq!(records.len() as u64, summary.questions);
    assert!(
        records
            .iter()
            .all(|r| folder.path().join("images").join(&r.image_name).exists())
    );
    assert!(
        folder.path().join("classes/normal").is_dir()
            && folder.path().join("classes/nodule").is_dir()
    );
    let manifest = std::fs::read_to_string(folder.path().join("manifest.jsonl")).expect("manifest");
    assert_eq!(manifest.lines().count(), 8);
}

#[test]
fn an_export_stops_when_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let result = export(&plan(8), folder.path(), &|| true, &mut |_| {});
    assert!(matches!(result, Err(PhantomError::Stopped)));
    assert!(!folder.path().join("manifest.jsonl").exists());
}
