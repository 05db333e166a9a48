//! Structured reports as text. Sources: PS3.3 A.35 (documents), C.17.3 (content tree).

use std::path::Path;

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use crate::dicom::DicomFile;
use crate::dicom::dataset::DataSet;
use crate::dicom::text::Charset;
use crate::error::{Result, StudyError};
use crate::model::PatientInfo;
use crate::open::{iso_date, patient};
use crate::source::Source;

/// Storage classes of Basic Text, Enhanced and Comprehensive SR begin so (PS3.4 B.5).
const SR_CLASSES: &str = "1.2.840.10008.5.1.4.1.1.88.";
/// Deepest content item that is read.
const MAX_DEPTH: usize = 16;

/// A radiologist's report in a DICOM file.
#[derive(Debug, Clone, PartialEq)]
pub struct StructuredReport {
    /// Study Instance UID (0020,000D); empty if the file has none.
    pub study_uid: String,
    /// Who was examined.
    pub patient: PatientInfo,
    /// Study Date (0008,0020) as `YYYY-MM-DD` where it can be read.
    pub date: Option<String>,
    /// The content tree, one line an item: headings end with a colon. Names of persons are left out.
    pub text: String,
}

/// Reads a structured report; none if the file is no DICOM or holds something else.
///
/// Errors if the file cannot be read or its data set is cut short.
pub fn structured_report(path: &Path) -> Result<Option<StructuredReport>> {
    let file = match DicomFile::open(Source::File(path.to_owned()).reader()?) {
        Ok(file) => file,
        Err(StudyError::NotAnImage(_)) => return Ok(None),
        Err(error) => return Err(error),
    };
    let root = &file.data_set;
    let class = root
        .text(tags::SOP_CLASS_UID)
        .or_else(|| file.meta.text(tags::MEDIA_STORAGE_SOP_CLASS_UID))
        .unwrap_or_default();
    if !class.starts_with(SR_CLASSES) {
        return Ok(None);
    }
    if let Some(cut) = file.cut {
        return Err(cut);
    }
    let charset = root.charset();
    let mut lines = Vec::new();
    content(root, &charset, 0, &mut lines);
    Ok(Some(StructuredReport {
        study_uid: root.text(tags::STUDY_INSTANCE_UID).unwrap_or_default(),
        patient: patient(root, &charset),
        date: root.text(tags::STUDY_DATE).map(|date| iso_date(&date)),
        text: lines.join("\n"),
    }))
}

/// Adds the lines of a content item's children.
fn content(item: &DataSet, charset: &Charset, depth: usize, lines: &mut Vec<String>) {
    if depth > MAX_DEPTH {
        return;
    }
    for child in item.items(tags::CONTENT_SEQUENCE) {
        let concept = meaning(child, tags::CONCEPT_NAME_CODE_SEQUENCE, charset);
        let kind = child.text(tags::VALUE_TYPE).unwrap_or_default();
        let value = match kind.as_str() {
            "TEXT" => child.words(tags::TEXT_VALUE, charset),
            "CODE" => meaning(child, tags::CONCEPT_CODE_SEQUENCE, charset),
            "NUM" => number(child, charset),
            "DATE" => child.text(tags::DATE).map(|date| iso_date(&date)),
            _ => None,
        };
        let line = match (kind.as_str(), concept, value) {
            ("CONTAINER", Some(concept), _) => Some(format!("{concept}:")),
            (_, Some(concept), Some(value)) => Some(format!("{concept}: {value}")),
            (_, None, Some(value)) => Some(value),
            _ => None,
        };
        lines.extend(line.map(|line| line.replace("\r\n", "\n")));
        content(child, charset, depth + 1, lines);
    }
}

/// Code Meaning (0008,0104) of a sequence's first code.
fn meaning(item: &DataSet, sequence: Tag, charset: &Charset) -> Option<String> {
    item.items(sequence)
        .first()?
        .words(tags::CODE_MEANING, charset)
}

/// A measured value with its unit.
fn number(item: &DataSet, charset: &Charset) -> Option<String> {
    let measured = item.items(tags::MEASURED_VALUE_SEQUENCE).first()?;
    let value = measured.text(tags::NUMERIC_VALUE)?;
    let unit = measured
        .items(tags::MEASUREMENT_UNITS_CODE_SEQUENCE)
        .first()
        .and_then(|unit| unit.words(tags::CODE_VALUE, charset));
    Some(match unit {
        Some(unit) => format!("{value} {unit}"),
        None => value,
    })
}
