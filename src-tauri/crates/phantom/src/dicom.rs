//! Studies as DICOM files: Digital X-Ray Image Storage – For Presentation (PS3.3 A.26) and CT
//! Image Storage (PS3.3 A.3).

use std::path::{Path, PathBuf};

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR, dicom_value};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::chest::{Radiograph, film_size, render_chest};
use crate::error::{PhantomError, Result};
use crate::files;
use crate::head::{SLICE_STEP_MM, render_head, slice_positions};
use crate::random::{Purpose, mix, stream};
use crate::spec::{Region, Sex, Site, Spec, View};

/// How pixel data are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// Explicit VR Little Endian.
    Plain,
    /// Deflated Explicit VR Little Endian: small, for what is shipped.
    Deflated,
}

/// What [`write_study`] writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StudyOptions {
    /// Pixels of the short side of a radiograph.
    pub film_side: usize,
    /// Rows and columns of a slice.
    pub slice_side: usize,
    /// How pixel data are stored.
    pub encoding: Encoding,
}

impl Default for StudyOptions {
    fn default() -> Self {
        Self {
            film_side: 1024,
            slice_side: 256,
            encoding: Encoding::Plain,
        }
    }
}

/// Who and when, made up from the seed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// "Phantom^A0001".
    pub patient_name: String,
    /// "PHANTOM-A0001".
    pub patient_id: String,
    /// `YYYYMMDD`.
    pub birth_date: String,
    /// `YYYYMMDD`.
    pub study_date: String,
    /// `HHMMSS`.
    pub study_time: String,
    /// Under 2.25, the same for the same study.
    pub study_uid: String,
    /// Always says that the study is synthetic.
    pub description: String,
}

impl Identity {
    /// The identity of a study.
    pub fn of(spec: &Spec) -> Self {
        let rng = &mut stream(spec.seed, Purpose::Identity);
        let letter = match spec.site {
            Site::A => 'A',
            Site::B => 'B',
        };
        let year = rng.random_range(2019..=2025);
        let (month, day) = (rng.random_range(1..=12), rng.random_range(1..=28));
        let description = match (spec.region, spec.views.as_slice()) {
            (Region::Head, _) => "CT head without contrast",
            (_, [View::Ap]) => "Chest AP portable",
            (_, [View::Pa]) => "Chest PA",
            (_, [View::Lateral]) => "Chest lateral",
            _ => "Chest PA and lateral",
        };
        Self {
            patient_name: format!("Phantom^{letter}{:04}", spec.seed),
            patient_id: format!("PHANTOM-{letter}{:04}", spec.seed),
            birth_date: format!(
                "{:04}{:02}{:02}",
                year - spec.patient.age as i32 - 1,
                rng.random_range(1..=12),
                rng.random_range(1..=28)
            ),
            study_date: format!("{year:04}{month:02}{day:02}"),
            study_time: format!(
                "{:02}{:02}{:02}",
                rng.random_range(7..20),
                rng.random_range(0..60),
                rng.random_range(0..60)
            ),
            study_uid: uid(spec, 0, 0),
            description: format!("{description} (SYNTHETIC)"),
        }
    }
}

/// One written file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WrittenFile {
    /// The file.
    pub path: PathBuf,
    /// The view it shows.
    pub view: View,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Height of a slice in millimetres.
    pub z_mm: Option<f32>,
}

/// Writes every image of a study into a folder: one file a radiograph or slice.
///
/// Errors if a file cannot be written or `stop` says so between files.
pub fn write_study(
    spec: &Spec,
    folder: &Path,
    options: StudyOptions,
    stop: &dyn Fn() -> bool,
) -> Result<Vec<WrittenFile>> {
    let mut written = Vec::new();
    match spec.region {
        Region::Chest => {
            for (i, &view) in spec.views.iter().enumerate() {
                check(stop)?;
                let (width, height) = film_size(spec, view, options.film_side);
                let film = render_chest(spec, view, width, height);
                let path = folder.join(format!("{}.dcm", view.code().to_lowercase()));
                save(&path, radiograph(spec, view, i, &film), options.encoding)?;
                written.push(WrittenFile {
                    path,
                    view,
                    width,
                    height,
                    z_mm: None,
                });
            }
        }
        Region::Head => {
            for (i, z) in slice_positions().into_iter().enumerate() {
                check(stop)?;
                let path = folder.join(format!("slice-{:03}.dcm", i + 1));
                save(
                    &path,
                    slice(spec, i, z, options.slice_side),
                    options.encoding,
                )?;
                let side = options.slice_side;
                written.push(WrittenFile {
                    path,
                    view: View::Axial,
                    width: side,
                    height: side,
                    z_mm: Some(z),
                });
            }
        }
    }
    Ok(written)
}

fn check(stop: &dyn Fn() -> bool) -> Result<()> {
    if stop() {
        Err(PhantomError::Stopped)
    } else {
        Ok(())
    }
}

/// A UID under 2.25 (PS3.5 B.2) from the study and two numbers.
fn uid(spec: &Spec, series: u64, instance: u64) -> String {
    let site = spec.site as u64;
    let views = spec
        .views
        .iter()
        .fold(0u64, |sum, &v| sum * 7 + v as u64 + 1);
    let truth = spec.lesions.iter().fold(0u64, |sum, l| {
        mix(sum ^ (l.finding as u64 + 1) ^ u64::from(l.size_mm.to_bits()))
    });
    let high = mix(spec.seed ^ mix(site + 2 * spec.region as u64) ^ truth);
    let low = mix(high ^ mix(series.wrapping_mul(0x10_0001) ^ instance ^ (views << 32)));
    // A version 8 UUID in decimal.
    let value = (u128::from(high) << 64 | u128::from(low)) & !(0xF << 76) & !(0x3 << 62)
        | 0x8 << 76
        | 0x2 << 62;
    format!("2.25.{value}")
}

struct DataSet(InMemDicomObject);

impl DataSet {
    fn text(&mut self, tag: Tag, vr: VR, value: &str) {
        self.0
            .put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
    }

    fn number(&mut self, tag: Tag, value: u16) {
        self.0
            .put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
    }

    fn code(&mut self, tag: Tag, value: &str, meaning: &str) {
        let mut item = DataSet(InMemDicomObject::new_empty());
        item.text(tags::CODE_VALUE, VR::SH, value);
        item.text(tags::CODING_SCHEME_DESIGNATOR, VR::SH, "SCT");
        item.text(tags::CODE_MEANING, VR::LO, meaning);
        self.0.put(DataElement::new(
            tag,
            VR::SQ,
            DataSetSequence::from(vec![item.0]),
        ));
    }

    fn pixels(&mut self, values: Vec<u16>) {
        self.0.put(DataElement::new(
            tags::PIXEL_DATA,
            VR::OW,
            PrimitiveValue::U16(values.into()),
        ));
    }
}

/// Patient, study, equipment and the note that nothing here is real.
fn common(spec: &Spec, modality: &str, class: &str, series: u64, instance: u64) -> DataSet {
    let who = Identity::of(spec);
    let mut set = DataSet(InMemDicomObject::new_empty());
    set.text(tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192");
    set.text(tags::SOP_CLASS_UID, VR::UI, class);
    set.text(
        tags::SOP_INSTANCE_UID,
        VR::UI,
        &uid(spec, series, instance + 1),
    );
    set.text(tags::STUDY_INSTANCE_UID, VR::UI, &who.study_uid);
    set.text(tags::SERIES_INSTANCE_UID, VR::UI, &uid(spec, series, 0));
    for tag in [
        tags::STUDY_DATE,
        tags::SERIES_DATE,
        tags::ACQUISITION_DATE,
        tags::CONTENT_DATE,
    ] {
        set.text(tag, VR::DA, &who.study_date);
    }
    for tag in [
        tags::STUDY_TIME,
        tags::SERIES_TIME,
        tags::ACQUISITION_TIME,
        tags::CONTENT_TIME,
    ] {
        set.text(tag, VR::TM, &who.study_time);
    }
    set.text(tags::ACCESSION_NUMBER, VR::SH, "");
    set.text(tags::REFERRING_PHYSICIAN_NAME, VR::PN, "");
    set.text(tags::MODALITY, VR::CS, modality);
    set.text(tags::MANUFACTURER, VR::LO, "Lucency phantom");
    set.text(tags::MANUFACTURER_MODEL_NAME, VR::LO, "Analytic projection");
    set.text(
        tags::DEVICE_SERIAL_NUMBER,
        VR::LO,
        &format!("SITE-{:?}", spec.site),
    );
    set.text(tags::SOFTWARE_VERSIONS, VR::LO, env!("CARGO_PKG_VERSION"));
    set.text(
        tags::INSTITUTION_NAME,
        VR::LO,
        &format!("Phantom site {:?}", spec.site),
    );
    set.text(tags::STUDY_DESCRIPTION, VR::LO, &who.description);
    set.text(tags::PATIENT_NAME, VR::PN, &who.patient_name);
    set.text(tags::PATIENT_ID, VR::LO, &who.patient_id);
    set.text(tags::PATIENT_BIRTH_DATE, VR::DA, &who.birth_date);
    set.text(
        tags::PATIENT_SEX,
        VR::CS,
        match spec.patient.sex {
            Sex::Female => "F",
            Sex::Male => "M",
        },
    );
    set.text(
        tags::PATIENT_AGE,
        VR::AS,
        &format!("{:03}Y", spec.patient.age),
    );
    set.text(
        tags::PATIENT_COMMENTS,
        VR::LT,
        "SYNTHETIC: computed by Lucency; no patient is shown.",
    );
    set.text(tags::IMAGE_COMMENTS, VR::LT, "SYNTHETIC IMAGE: computed from analytic shapes by Lucency. Not a patient, not for diagnosis.");
    set.text(
        tags::STUDY_ID,
        VR::SH,
        &format!("{}", spec.seed % 100_000_000),
    );
    set.text(tags::SERIES_NUMBER, VR::IS, &format!("{series}"));
    set.text(tags::INSTANCE_NUMBER, VR::IS, &format!("{}", instance + 1));
    set.text(tags::BURNED_IN_ANNOTATION, VR::CS, "NO");
    set.text(tags::LOSSY_IMAGE_COMPRESSION, VR::CS, "00");
    set.number(tags::SAMPLES_PER_PIXEL, 1);
    set.number(tags::BITS_ALLOCATED, 16);
    set.number(tags::BITS_STORED, 12);
    set.number(tags::HIGH_BIT, 11);
    set.number(tags::PIXEL_REPRESENTATION, 0);
    set
}

fn radiograph(spec: &Spec, view: View, index: usize, film: &Radiograph) -> DataSet {
    let mut set = common(
        spec,
        "DX",
        uids::DIGITAL_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION,
        index as u64 + 1,
        0,
    );
    // A few devices store films with the smallest value as white.
    let inverted = mix(spec.seed ^ 0x4D31).is_multiple_of(10);
    set.0.put(DataElement::new(
        tags::IMAGE_TYPE,
        VR::CS,
        dicom_value!(Strs, ["DERIVED", "PRIMARY", ""]),
    ));
    set.text(tags::PRESENTATION_INTENT_TYPE, VR::CS, "FOR PRESENTATION");
    set.text(
        tags::SERIES_DESCRIPTION,
        VR::LO,
        match view {
            View::Pa => "Chest PA",
            View::Ap => "Chest AP",
            _ => "Chest lateral",
        },
    );
    set.text(tags::BODY_PART_EXAMINED, VR::CS, "CHEST");
    set.text(tags::VIEW_POSITION, VR::CS, view.code());
    set.text(tags::IMAGE_LATERALITY, VR::CS, "U");
    let along_row = if view == View::Lateral { "P" } else { "L" };
    set.0.put(DataElement::new(
        tags::PATIENT_ORIENTATION,
        VR::CS,
        dicom_value!(Strs, [along_row, "F"]),
    ));
    set.code(tags::ANATOMIC_REGION_SEQUENCE, "51185008", "Chest");
    set.text(
        tags::KVP,
        VR::DS,
        if view == View::Ap { "90" } else { "120" },
    );
    set.text(tags::PIXEL_INTENSITY_RELATIONSHIP, VR::CS, "LOG");
    set.0.put(DataElement::new(
        tags::PIXEL_INTENSITY_RELATIONSHIP_SIGN,
        VR::SS,
        PrimitiveValue::from(if inverted { 1i16 } else { -1i16 }),
    ));
    let spacing = decimal(film.spacing_mm);
    set.0.put(DataElement::new(
        tags::IMAGER_PIXEL_SPACING,
        VR::DS,
        dicom_value!(Strs, [spacing.as_str(), spacing.as_str()]),
    ));
    set.text(
        tags::PHOTOMETRIC_INTERPRETATION,
        VR::CS,
        if inverted {
            "MONOCHROME1"
        } else {
            "MONOCHROME2"
        },
    );
    set.text(
        tags::PRESENTATION_LUT_SHAPE,
        VR::CS,
        if inverted { "INVERSE" } else { "IDENTITY" },
    );
    set.number(tags::ROWS, film.height as u16);
    set.number(tags::COLUMNS, film.width as u16);
    set.text(tags::RESCALE_INTERCEPT, VR::DS, "0");
    set.text(tags::RESCALE_SLOPE, VR::DS, "1");
    set.text(tags::RESCALE_TYPE, VR::LO, "US");
    set.text(tags::WINDOW_CENTER, VR::DS, "2048");
    set.text(tags::WINDOW_WIDTH, VR::DS, "4096");
    set.text(tags::WINDOW_CENTER_WIDTH_EXPLANATION, VR::LO, "NORMAL");
    let values = if inverted {
        film.values.iter().map(|v| 4095 - v).collect()
    } else {
        film.values.clone()
    };
    set.pixels(values);
    set
}

fn slice(spec: &Spec, index: usize, z: f32, side: usize) -> DataSet {
    let mut set = common(spec, "CT", uids::CT_IMAGE_STORAGE, 1, index as u64);
    let image = render_head(spec, z, side);
    set.0.put(DataElement::new(
        tags::IMAGE_TYPE,
        VR::CS,
        dicom_value!(Strs, ["DERIVED", "PRIMARY", "AXIAL"]),
    ));
    set.text(tags::SERIES_DESCRIPTION, VR::LO, "Head axial 5 mm");
    set.text(tags::BODY_PART_EXAMINED, VR::CS, "HEAD");
    set.text(tags::PATIENT_POSITION, VR::CS, "HFS");
    set.text(tags::KVP, VR::DS, "120");
    set.text(
        tags::CONVOLUTION_KERNEL,
        VR::SH,
        match spec.site {
            Site::A => "SOFT",
            Site::B => "SHARP",
        },
    );
    let spacing = decimal(image.spacing_mm);
    set.0.put(DataElement::new(
        tags::PIXEL_SPACING,
        VR::DS,
        dicom_value!(Strs, [spacing.as_str(), spacing.as_str()]),
    ));
    let thickness = decimal(SLICE_STEP_MM);
    set.text(tags::SLICE_THICKNESS, VR::DS, &thickness);
    set.text(tags::SPACING_BETWEEN_SLICES, VR::DS, &thickness);
    set.text(tags::SLICE_LOCATION, VR::DS, &decimal(z));
    let corner = decimal(-image.spacing_mm * (side as f32 - 1.0) / 2.0);
    let height = decimal(z);
    set.0.put(DataElement::new(
        tags::IMAGE_POSITION_PATIENT,
        VR::DS,
        dicom_value!(Strs, [corner.as_str(), corner.as_str(), height.as_str()]),
    ));
    set.0.put(DataElement::new(
        tags::IMAGE_ORIENTATION_PATIENT,
        VR::DS,
        dicom_value!(Strs, ["1", "0", "0", "0", "1", "0"]),
    ));
    set.text(tags::FRAME_OF_REFERENCE_UID, VR::UI, &uid(spec, 900, 0));
    set.text(tags::POSITION_REFERENCE_INDICATOR, VR::LO, "");
    set.0.put(DataElement::new(
        tags::PATIENT_ORIENTATION,
        VR::CS,
        dicom_value!(Strs, ["L", "P"]),
    ));
    set.text(tags::ACQUISITION_NUMBER, VR::IS, "1");
    set.text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2");
    set.number(tags::ROWS, side as u16);
    set.number(tags::COLUMNS, side as u16);
    set.text(tags::RESCALE_INTERCEPT, VR::DS, "-1024");
    set.text(tags::RESCALE_SLOPE, VR::DS, "1");
    set.text(tags::RESCALE_TYPE, VR::LO, "HU");
    set.0.put(DataElement::new(
        tags::WINDOW_CENTER,
        VR::DS,
        dicom_value!(Strs, ["40", "600"]),
    ));
    set.0.put(DataElement::new(
        tags::WINDOW_WIDTH,
        VR::DS,
        dicom_value!(Strs, ["80", "2800"]),
    ));
    set.0.put(DataElement::new(
        tags::WINDOW_CENTER_WIDTH_EXPLANATION,
        VR::LO,
        dicom_value!(Strs, ["BRAIN", "BONE"]),
    ));
    set.pixels(
        image
            .values
            .iter()
            .map(|v| (v + 1024).clamp(0, 4095) as u16)
            .collect(),
    );
    set
}

fn decimal(value: f32) -> String {
    let text = format!("{value:.5}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" {
        "0".into()
    } else {
        text.into()
    }
}

fn save(path: &Path, set: DataSet, encoding: Encoding) -> Result<()> {
    let failed = |e: &dyn std::fmt::Display| PhantomError::Dicom(e.to_string());
    let syntax = match encoding {
        Encoding::Plain => uids::EXPLICIT_VR_LITTLE_ENDIAN,
        Encoding::Deflated => uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    };
    let meta = FileMetaTableBuilder::new()
        .transfer_syntax(syntax)
        .implementation_version_name("LUCENCY_PHANTOM");
    let file = set.0.with_meta(meta).map_err(|e| failed(&e))?;
    let mut bytes = Vec::new();
    file.write_all(&mut bytes).map_err(|e| failed(&e))?;
    files::write(path, &bytes)
}
