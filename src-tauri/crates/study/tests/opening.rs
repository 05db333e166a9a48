//! Folders, archives, DICOMDIRs and rasters to studies; grouping and sorting.

mod common;

use std::io::Write;
use std::path::{Path, PathBuf};

use dicom_core::{DataElement, PrimitiveValue, VR, dicom_value};
use dicom_dictionary_std::tags;
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use lucency_study::{Format, ImageFile, OpenOptions, OpenReport, Source, SpacingKind, Voi, decode};

/// What one synthetic slice says about itself.
#[derive(Clone)]
struct Slice {
    study: &'static str,
    series: &'static str,
    uid: String,
    number: i32,
    position: Option<[f64; 3]>,
    orientation: [f64; 6],
    size: u16,
}

const AXIAL: [f64; 6] = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
const CORONAL: [f64; 6] = [1.0, 0.0, 0.0, 0.0, 0.0, -1.0];

impl Slice {
    fn new(number: i32) -> Self {
        Self {
            study: "1.2.3",
            series: "1.2.3.4",
            uid: format!("1.2.3.4.{number}"),
            number,
            position: Some([0.0, 0.0, f64::from(number)]),
            orientation: AXIAL,
            size: 4,
        }
    }

    fn object(&self) -> InMemDicomObject {
        let decimals = |values: &[f64]| {
            let text: Vec<String> = values.iter().map(f64::to_string).collect();
            PrimitiveValue::from(text.join("\\"))
        };
        let mut object = InMemDicomObject::from_element_iter([
            DataElement::new(tags::SOP_CLASS_UID, VR::UI, "1.2.840.10008.5.1.4.1.1.2"),
            DataElement::new(tags::SOP_INSTANCE_UID, VR::UI, self.uid.as_str()),
            DataElement::new(tags::MODALITY, VR::CS, "CT"),
            DataElement::new(tags::PATIENT_NAME, VR::PN, "Phantom^Test"),
            DataElement::new(tags::STUDY_DATE, VR::DA, "20240229"),
            DataElement::new(tags::STUDY_INSTANCE_UID, VR::UI, self.study),
            DataElement::new(tags::SERIES_INSTANCE_UID, VR::UI, self.series),
            DataElement::new(tags::INSTANCE_NUMBER, VR::IS, self.number.to_string()),
            DataElement::new(tags::SAMPLES_PER_PIXEL, VR::US, dicom_value!(U16, [1])),
            DataElement::new(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2"),
            DataElement::new(tags::ROWS, VR::US, dicom_value!(U16, [self.size])),
            DataElement::new(tags::COLUMNS, VR::US, dicom_value!(U16, [self.size])),
            DataElement::new(tags::PIXEL_SPACING, VR::DS, "0.5\\0.25"),
            DataElement::new(tags::BITS_ALLOCATED, VR::US, dicom_value!(U16, [16])),
            DataElement::new(tags::BITS_STORED, VR::US, dicom_value!(U16, [12])),
            DataElement::new(tags::HIGH_BIT, VR::US, dicom_value!(U16, [11])),
            DataElement::new(tags::PIXEL_REPRESENTATION, VR::US, dicom_value!(U16, [1])),
            DataElement::new(tags::RESCALE_INTERCEPT, VR::DS, "-1000"),
            DataElement::new(tags::RESCALE_SLOPE, VR::DS, "2"),
            DataElement::new(tags::WINDOW_CENTER, VR::DS, "40\\-600"),
            DataElement::new(tags::WINDOW_WIDTH, VR::DS, "400\\1500"),
            DataElement::new(tags::WINDOW_CENTER_WIDTH_EXPLANATION, VR::LO, "SOFT\\LUNG"),
            DataElement::new(
                tags::IMAGE_ORIENTATION_PATIENT,
                VR::DS,
                decimals(&self.orientation),
            ),
        ]);
        if let Some(position) = self.position {
            let position = decimals(&position);
            object.put(DataElement::new(
                tags::IMAGE_POSITION_PATIENT,
                VR::DS,
                position,
            ));
        }
        // Values -8, -7, …; the four unused bits hold an overlay.
        let pixels = u32::from(self.size) * u32::from(self.size);
        let words: Vec<u16> = (0..pixels)
            .map(|i| (i as i16 - 8) as u16 & 0x0FFF | 0xA000)
            .collect();
        let pixels = PrimitiveValue::U16(words.into());
        object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, pixels));
        object
    }

    fn write(&self, path: &Path) {
        self.write_as(path, "1.2.840.10008.1.2.1");
    }

    fn write_as(&self, path: &Path, syntax: &str) {
        let meta = FileMetaTableBuilder::new()
            .transfer_syntax(syntax)
            .media_storage_sop_class_uid("1.2.840.10008.5.1.4.1.1.2")
            .media_storage_sop_instance_uid(self.uid.as_str());
        let file = self.object().with_meta(meta).expect("a valid meta group");
        file.write_to_file(path).expect("written");
    }
}

fn open(paths: &[PathBuf]) -> OpenReport {
    lucency_study::open(paths, &OpenOptions::default(), &|| false, &mut |_| {})
}

fn open_folder(folder: &tempfile::TempDir) -> OpenReport {
    open(&[folder.path().to_owned()])
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

#[test]
fn slices_are_sorted_by_position_along_the_normal_not_by_name_or_number() {
    let folder = folder();
    for number in [3, 1, 2, 10] {
        let mut slice = Slice::new(number);
        slice.position = Some([5.0, 5.0, -f64::from(number)]);
        slice.write(&folder.path().join(format!("slice{number}")));
    }
    let report = open_folder(&folder);
    assert!(report.rejected.is_empty(), "{:?}", report.rejected);
    let series = &report.studies[0].series[0];
    let numbers: Vec<_> = series.instances.iter().map(|i| i.instance_number).collect();
    assert_eq!(numbers, [Some(10), Some(3), Some(2), Some(1)]);
    let positions: Vec<_> = series.frames.iter().map(|f| f.position_mm).collect();
    assert_eq!(positions, [Some(-10.0), Some(-3.0), Some(-2.0), Some(-1.0)]);
}

#[test]
fn one_slice_without_a_position_makes_instance_numbers_decide() {
    let folder = folder();
    for number in [3, 1, 2] {
        let mut slice = Slice::new(number);
        slice.position = (number != 2).then_some([0.0, 0.0, -f64::from(number)]);
        slice.write(&folder.path().join(format!("{number}")));
    }
    let series = &open_folder(&folder).studies[0].series[0];
    let numbers: Vec<_> = series.instances.iter().map(|i| i.instance_number).collect();
    assert_eq!(numbers, [Some(1), Some(2), Some(3)]);
}

#[test]
fn a_series_that_mixes_sizes_or_orientations_becomes_several() {
    let folder = folder();
    let mut slices = [Slice::new(1), Slice::new(2), Slice::new(3), Slice::new(4)];
    slices[1].size = 6;
    slices[2].orientation = CORONAL;
    for slice in &slices {
        slice.write(&folder.path().join(slice.number.to_string()));
    }
    let report = open_folder(&folder);
    let parts: Vec<_> = report.studies[0]
        .series
        .iter()
        .map(|s| s.instances.len())
        .collect();
    assert_eq!(parts, [2, 1, 1]);
}

#[test]
fn studies_and_series_are_told_apart_and_copies_are_shown_once() {
    let folder = folder();
    let mut other = Slice::new(2);
    other.study = "1.9";
    other.series = "1.9.1";
    Slice::new(1).write(&folder.path().join("a"));
    Slice::new(1).write(&folder.path().join("copy"));
    other.write(&folder.path().join("b"));
    let report = open_folder(&folder);
    assert_eq!(report.studies.len(), 2);
    assert_eq!(report.number_of_frames(), 2);
    assert_eq!(report.rejected[0].code, "duplicate");
    let study = &report.studies[0];
    assert_eq!(
        study.patient.display_name().as_deref(),
        Some("Phantom, Test")
    );
    assert_eq!(study.date.as_deref(), Some("2024-02-29"));
}

#[test]
fn stored_values_drop_overlays_and_extend_the_sign_in_every_byte_order() {
    for syntax in [
        "1.2.840.10008.1.2",
        "1.2.840.10008.1.2.1",
        "1.2.840.10008.1.2.2",
    ] {
        let folder = folder();
        let path = folder.path().join("x");
        Slice::new(1).write_as(&path, syntax);
        let report = open(&[path]);
        let instance = &report.studies[0].series[0].instances[0];
        let frame = decode(instance, 0).expect("decodes");
        let wanted: Vec<f64> = (-8..8).map(f64::from).collect();
        assert_eq!(frame.values.to_f64(), wanted, "{syntax}");
        assert_eq!(frame.modality_values()[0], -1016.0);
        let Voi::Window(window) = frame.default_voi() else {
            panic!("the file has windows");
        };
        assert_eq!((window.center, window.width), (40.0, 400.0));
        let labels: Vec<_> = frame.voi.iter().map(|v| v.label.as_str()).collect();
        assert_eq!(labels, ["SOFT", "LUNG"]);
        let spacing = frame.spacing.expect("stated");
        assert_eq!((spacing.row_mm, spacing.column_mm), (0.5, 0.25));
        assert_eq!(spacing.kind, SpacingKind::Calibrated);
    }
}

#[test]
fn a_data_set_without_preamble_or_meta_group_opens() {
    let folder = folder();
    let path = folder.path().join("whole");
    Slice::new(1).write(&path);
    let bytes = std::fs::read(&path).expect("readable");
    // The data set starts at its first element of group 8.
    let start = bytes
        .windows(6)
        .position(|w| w == [8, 0, 0x16, 0, b'U', b'I']);
    let bare = folder.path().join("bare");
    std::fs::write(&bare, &bytes[start.expect("a SOP class")..]).expect("written");
    let frame = ImageFile::open_path(&bare).and_then(|mut i| i.frame(0));
    let whole = ImageFile::open_path(&path).and_then(|mut i| i.frame(0));
    assert_eq!(frame, whole);
}

#[test]
fn every_rejected_file_is_reported_with_its_reason() {
    let folder = folder();
    std::fs::write(folder.path().join("notes.dcm"), "not an image").expect("written");
    std::fs::write(folder.path().join("empty.png"), "").expect("written");
    std::fs::write(folder.path().join("cut.png"), b"\x89PNG\r\n\x1a\n\0\0").expect("written");
    let path = folder.path().join("cut.dcm");
    Slice::new(1).write(&path);
    let bytes = std::fs::read(&path).expect("readable");
    std::fs::write(&path, &bytes[..400]).expect("written");
    let report = open_folder(&folder);
    let codes: Vec<_> = report
        .rejected
        .iter()
        .map(|r| {
            (
                r.path
                    .file_name()
                    .expect("a name")
                    .to_string_lossy()
                    .into_owned(),
                r.code,
            )
        })
        .collect();
    let wanted = [
        ("cut.dcm", "truncated"),
        ("cut.png", "truncated"),
        ("empty.png", "not_an_image"),
        ("notes.dcm", "not_an_image"),
    ];
    assert_eq!(codes, wanted.map(|(n, c)| (n.to_owned(), c)));
}

#[cfg(unix)]
#[test]
fn symbolic_links_that_lead_in_a_circle_end() {
    let folder = folder();
    let inner = folder.path().join("inner");
    std::fs::create_dir(&inner).expect("a folder");
    std::os::unix::fs::symlink(folder.path(), inner.join("up")).expect("a link");
    std::os::unix::fs::symlink(folder.path().join("gone"), inner.join("dangling")).expect("a link");
    Slice::new(1).write(&inner.join("x"));
    let report = open_folder(&folder);
    assert_eq!(report.number_of_frames(), 1);
    assert_eq!(report.rejected.len(), 1, "the dangling link");
}

#[test]
fn an_archive_opens_like_a_folder_and_its_names_stay_names() {
    let folder = folder();
    let slice = folder.path().join("slice");
    Slice::new(1).write(&slice);
    let archive = folder.path().join("study.bin");
    let mut zip = zip::ZipWriter::new(std::fs::File::create(&archive).expect("a file"));
    let options = zip::write::SimpleFileOptions::default();
    let mut add = |name: &str, bytes: &[u8]| {
        zip.start_file(name, options).expect("started");
        zip.write_all(bytes).expect("written");
    };
    add("../../escape", &std::fs::read(&slice).expect("readable"));
    add("readme.txt", b"hello");
    zip.finish().expect("finished");
    let report = open(std::slice::from_ref(&archive));
    let instance = &report.studies[0].series[0].instances[0];
    assert!(matches!(
        &instance.source,
        Source::ZipMember { index: 0, .. }
    ));
    assert_eq!(decode(instance, 0).expect("decodes").rows, 4);
    assert_eq!(report.rejected[0].code, "not_an_image");
    assert!(report.rejected[0].path.starts_with(&archive));
    assert!(
        !folder.path().join("../../escape").exists(),
        "nothing is unpacked"
    );
}

#[test]
fn a_dicomdir_brings_its_files_and_nothing_from_outside() {
    let folder = folder();
    let inside = folder.path().join("disc");
    std::fs::create_dir_all(inside.join("IMAGES")).expect("a folder");
    Slice::new(1).write(&inside.join("IMAGES").join("IM1"));
    Slice::new(2).write(&folder.path().join("SECRET"));
    let record = |id: &str| {
        InMemDicomObject::from_element_iter([DataElement::new(
            tags::REFERENCED_FILE_ID,
            VR::CS,
            id,
        )])
    };
    let records = vec![
        record("IMAGES\\IM1"),
        record("..\\SECRET"),
        record("/etc/passwd"),
        record("IMAGES\\GONE"),
    ];
    let object = InMemDicomObject::from_element_iter([DataElement::new(
        tags::DIRECTORY_RECORD_SEQUENCE,
        VR::SQ,
        dicom_core::value::DataSetSequence::from(records),
    )]);
    let meta = FileMetaTableBuilder::new()
        .transfer_syntax("1.2.840.10008.1.2.1")
        .media_storage_sop_class_uid("1.2.840.10008.1.3.10")
        .media_storage_sop_instance_uid("1.2.3");
    let path = inside.join("INDEX");
    object
        .with_meta(meta)
        .expect("a valid meta group")
        .write_to_file(&path)
        .expect("written");
    let report = open(&[path]);
    assert_eq!(report.number_of_frames(), 1);
    let codes: Vec<_> = report.rejected.iter().map(|r| r.code).collect();
    assert_eq!(codes, ["unsafe_path", "unsafe_path", "not_found"]);
}

#[test]
fn rasters_open_by_content_in_8_and_16_bit_grey_and_colour() {
    let folder = folder();
    let grey16: Vec<u16> = (0..12).map(|v| v * 5000).collect();
    let rgb: Vec<u8> = (0..36).collect();
    let save = |name: &str, format: image::ImageFormat, picture: image::DynamicImage| {
        let path = folder.path().join(name);
        picture.save_with_format(&path, format).expect("saved");
        path
    };
    let deep = image::ImageBuffer::from_raw(4, 3, grey16.clone()).expect("a buffer");
    let colour = image::RgbImage::from_raw(4, 3, rgb.clone()).expect("a buffer");
    let png = save(
        "wrong.dcm",
        image::ImageFormat::Png,
        image::DynamicImage::ImageLuma16(deep),
    );
    let tiff = save(
        "a",
        image::ImageFormat::Tiff,
        image::DynamicImage::ImageRgb8(colour.clone()),
    );
    let bmp = save(
        "b",
        image::ImageFormat::Bmp,
        image::DynamicImage::ImageRgb8(colour),
    );
    for (path, format, samples, values) in [
        (
            png,
            Format::Png,
            1,
            grey16.iter().map(|v| f64::from(*v)).collect::<Vec<_>>(),
        ),
        (
            tiff,
            Format::Tiff,
            3,
            rgb.iter().map(|v| f64::from(*v)).collect(),
        ),
        (
            bmp,
            Format::Bmp,
            3,
            rgb.iter().map(|v| f64::from(*v)).collect(),
        ),
    ] {
        let report = open(&[path]);
        let instance = &report.studies[0].series[0].instances[0];
        assert_eq!(instance.format, format);
        let frame = decode(instance, 0).expect("decodes");
        assert_eq!((frame.rows, frame.columns, frame.samples), (3, 4, samples));
        assert_eq!(frame.values.to_f64(), values, "{format:?}");
    }
}

#[test]
fn opening_stops_when_asked_and_keeps_what_it_has() {
    let folder = folder();
    for number in 1..=5 {
        Slice::new(number).write(&folder.path().join(number.to_string()));
    }
    let seen = std::cell::Cell::new(0);
    let report = lucency_study::open(
        &[folder.path().to_owned()],
        &OpenOptions::default(),
        &|| seen.get() >= 2,
        &mut |progress| seen.set(progress.done),
    );
    assert!(report.cancelled);
    assert_eq!(report.number_of_frames(), 2);
}

#[test]
fn the_collection_opens_as_studies_and_says_what_it_left_out() {
    let Some(folder) = common::collection() else {
        return;
    };
    let files = std::fs::read_dir(&folder).expect("the collection").count();
    let report = open(&[folder]);
    let series = report.studies.iter().flat_map(|s| &s.series);
    let shown: usize = series.map(|s| s.instances.len()).sum();
    assert_eq!(
        shown + report.rejected.len(),
        files,
        "every file is accounted for"
    );
    assert!(shown > 40, "{shown}");
    for rejected in &report.rejected {
        assert!(!rejected.message.is_empty());
        println!("{}: {}", rejected.path.display(), rejected.message);
    }
}

#[test]
fn a_film_keeps_its_orientation_in_letters_and_the_shape_of_its_pixels() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("film.dcm");
    let mut film = Slice::new(1).object();
    film.remove_element(tags::IMAGE_ORIENTATION_PATIENT);
    film.remove_element(tags::PIXEL_SPACING);
    film.put(DataElement::new(tags::MODALITY, VR::CS, "CR"));
    film.put(DataElement::new(
        tags::PATIENT_ORIENTATION,
        VR::CS,
        dicom_value!(Strs, ["L", "F"]),
    ));
    film.put(DataElement::new(tags::PIXEL_ASPECT_RATIO, VR::IS, "3\\2"));
    let meta = FileMetaTableBuilder::new()
        .transfer_syntax("1.2.840.10008.1.2.1")
        .media_storage_sop_class_uid("1.2.840.10008.5.1.4.1.1.1")
        .media_storage_sop_instance_uid("1.2.3.4.1");
    let file = film.with_meta(meta).expect("a valid meta group");
    file.write_to_file(&path).expect("written");

    let report = open(&[path]);
    let instance = &report.studies[0].series[0].instances[0];
    let lies = instance.patient_orientation.as_ref().expect("it is stated");
    assert_eq!((lies.row.as_str(), lies.column.as_str()), ("L", "F"));
    assert_eq!(instance.orientation, None);
    let spacing = instance.spacing.as_ref();
    let aspect = lucency_study::geometry::pixel_aspect(spacing, instance.aspect_ratio);
    assert_eq!(aspect, 1.5, "pixels half as high again as wide");
}
