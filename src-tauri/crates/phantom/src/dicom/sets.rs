//! The data sets of a radiograph and of a slice.

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR, dicom_value};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use super::identity::{Identity, uid};
use crate::chest::Radiograph;
use crate::head::{SLICE_STEP_MM, render_head};
use crate::random::mix;
use crate::spec::{Sex, Site, Spec, View};

pub(super) struct DataSet(pub(super) InMemDicomObject);

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

fn decimal(value: f32) -> String {
    let text = format!("{value:.5}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" {
        "0".into()
    } else {
        text.into()
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

pub(super) fn radiograph(spec: &Spec, view: View, index: usize, film: &Radiograph) -> DataSet {
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

pub(super) fn slice(spec: &Spec, index: usize, z: f32, side: usize) -> DataSet {
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
