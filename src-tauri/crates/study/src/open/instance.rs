//! One source to one instance: attributes without pixels.

use std::io::{BufReader, Read, Seek};

use dicom_dictionary_std::{tags, uids};

use super::Content;
use crate::dicom::dataset::{DataSet, Value};
use crate::dicom::image::{self, Layout};
use crate::dicom::input::ReadSeek;
use crate::dicom::text::Charset;
use crate::dicom::{self, DicomFile, pixels};
use crate::error::{Result, StudyError};
use crate::frame::full_range_8bit;
use crate::model::{Format, Instance, PatientInfo};
use crate::source::Source;
use crate::{display::LabelledVoi, raster};

/// An instance with what its study and series need to know.
pub(crate) struct Entry {
    pub instance: Instance,
    /// Length of the source.
    pub bytes: u64,
    pub study_uid: String,
    pub patient: PatientInfo,
    pub study_date: Option<String>,
    pub study_description: Option<String>,
    pub synthetic: bool,
    pub series_uid: String,
    pub series_number: Option<i64>,
    pub modality: String,
    pub series_description: Option<String>,
    pub body_part: Option<String>,
    pub view: Option<String>,
}

pub(crate) enum Outcome {
    Image(Box<Entry>),
    /// A DICOMDIR: the data set lists files.
    Directory(Box<DataSet>),
}

/// Sniffs content.
///
/// Errors if it is neither an image nor an archive.
pub(crate) fn format_of(reader: &mut (impl Read + Seek + ?Sized)) -> Result<Content> {
    let mut head = Vec::with_capacity(132);
    reader.take(132).read_to_end(&mut head)?;
    reader.rewind()?;
    if head.is_empty() {
        return Err(StudyError::NotAnImage("an empty file".into()));
    }
    if head.get(128..132) == Some(b"DICM") {
        return Ok(Content::Image(Format::Dicom));
    }
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        return Ok(Content::Zip);
    }
    if let Some(format) = raster::sniff(&head) {
        return Ok(Content::Image(format));
    }
    if dicom::data_set_start(&head).is_some() {
        return Ok(Content::Image(Format::Dicom));
    }
    Err(StudyError::NotAnImage("unknown content".into()))
}

/// Reads attributes.
///
/// Errors if the source is damaged, or DICOM without pixels.
pub(crate) fn read(source: Source, format: Format) -> Result<Outcome> {
    let reader = source.reader()?;
    read_from(source, format, reader)
}

/// Reads attributes from bytes that are open already.
///
/// Errors like [`read`].
pub(crate) fn read_from(
    source: Source,
    format: Format,
    reader: Box<dyn ReadSeek>,
) -> Result<Outcome> {
    match format {
        Format::Dicom => dicom(source, reader),
        _ => raster(source, format, reader).map(|e| Outcome::Image(Box::new(e))),
    }
}

fn dicom(source: Source, reader: Box<dyn ReadSeek>) -> Result<Outcome> {
    let file = DicomFile::open(reader)?;
    let root = &file.data_set;
    let class = root
        .text(tags::SOP_CLASS_UID)
        .or_else(|| file.meta.text(tags::MEDIA_STORAGE_SOP_CLASS_UID))
        .unwrap_or_default();
    let lists_files = root.get(tags::DIRECTORY_RECORD_SEQUENCE).is_some();
    if class == uids::MEDIA_STORAGE_DIRECTORY_STORAGE || lists_files {
        return Ok(Outcome::Directory(Box::new(file.data_set)));
    }
    let location = pixels::pixel_location(&file)?;
    let layout = Layout::read(root, &location)?;
    layout.check_frames(file.input.length())?;
    let charset = root.charset();
    let fallback_uid = || format!("source:{}", source_hash(&source));
    let frames = layout.number_of_frames;
    let per_frame = match root.get(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE) {
        Some(e) => matches!(&e.value, Value::Items(items) if !items.is_empty()),
        None => false,
    };
    let positions = if per_frame {
        let items = root.items(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE).len() as u32;
        (0..frames.min(items))
            .map(|frame| image::position(root, frame))
            .collect()
    } else {
        image::position(root, 0).into_iter().map(Some).collect()
    };
    let sop_uid = root
        .text(tags::SOP_INSTANCE_UID)
        .or_else(|| file.meta.text(tags::MEDIA_STORAGE_SOP_INSTANCE_UID))
        .unwrap_or_else(fallback_uid);
    let entry = Entry {
        bytes: file.input.length(),
        study_uid: root
            .text(tags::STUDY_INSTANCE_UID)
            .unwrap_or_else(fallback_uid),
        patient: patient(root, &charset),
        study_date: root.text(tags::STUDY_DATE).map(|d| iso_date(&d)),
        study_description: root.words(tags::STUDY_DESCRIPTION, &charset),
        synthetic: root.text(tags::SYNTHETIC_DATA).as_deref() == Some("YES"),
        series_uid: root
            .text(tags::SERIES_INSTANCE_UID)
            .unwrap_or_else(fallback_uid),
        series_number: root.integer(tags::SERIES_NUMBER),
        modality: root.text(tags::MODALITY).unwrap_or_else(|| "OT".into()),
        series_description: root.words(tags::SERIES_DESCRIPTION, &charset),
        body_part: root.words(tags::BODY_PART_EXAMINED, &charset),
        view: root.text(tags::VIEW_POSITION),
        instance: Instance {
            format: Format::Dicom,
            sop_uid,
            sop_class_uid: class,
            instance_number: root.integer(tags::INSTANCE_NUMBER),
            transfer_syntax: file.transfer_syntax.clone(),
            number_of_frames: frames,
            rows: layout.rows,
            columns: layout.columns,
            samples: layout.samples,
            photometric: layout.photometric.clone(),
            bits_allocated: layout.bits_allocated,
            bits_stored: layout.bits_stored,
            signed: layout.signed,
            voi: image::voi(root, 0, layout.signed),
            spacing: image::spacing(root, 0),
            orientation: image::orientation(root, 0),
            patient_orientation: image::patient_orientation(root),
            aspect_ratio: root.vector(tags::PIXEL_ASPECT_RATIO),
            positions,
            source,
        },
    };
    Ok(Outcome::Image(Box::new(entry)))
}

/// Who was examined.
pub(crate) fn patient(root: &DataSet, charset: &Charset) -> PatientInfo {
    PatientInfo {
        name: root.words(tags::PATIENT_NAME, charset),
        id: root.words(tags::PATIENT_ID, charset),
        sex: root.text(tags::PATIENT_SEX),
        age: root.text(tags::PATIENT_AGE),
        birth_date: root.text(tags::PATIENT_BIRTH_DATE).map(|d| iso_date(&d)),
    }
}

/// `YYYYMMDD` or the retired `YYYY.MM.DD` as `YYYY-MM-DD`; anything else as it is.
pub(crate) fn iso_date(date: &str) -> String {
    let digits: String = date.chars().filter(char::is_ascii_digit).collect();
    let plain = date.chars().all(|c| c.is_ascii_digit() || c == '.');
    match digits.len() {
        8 if plain => format!("{}-{}-{}", &digits[..4], &digits[4..6], &digits[6..]),
        _ => date.to_owned(),
    }
}

fn raster(source: Source, format: Format, mut reader: Box<dyn ReadSeek>) -> Result<Entry> {
    let bytes = reader.seek(std::io::SeekFrom::End(0))?;
    reader.rewind()?;
    let header = raster::header(format, BufReader::new(reader), bytes)?;
    let name = source.file_name();
    let stem = name
        .rsplit_once('.')
        .map_or(name.as_str(), |(stem, _)| stem);
    let folder = source.path().parent().unwrap_or(source.path());
    let grey = header.samples == 1;
    let voi: Vec<LabelledVoi> = match (grey, header.bits) {
        (true, 8) => vec![full_range_8bit()],
        _ => Vec::new(),
    };
    Ok(Entry {
        bytes,
        study_uid: format!("folder:{}", hash(&folder.to_string_lossy())),
        patient: PatientInfo::default(),
        study_date: None,
        study_description: folder.file_name().map(|n| n.to_string_lossy().into_owned()),
        synthetic: false,
        series_uid: format!("source:{}", source_hash(&source)),
        series_number: None,
        modality: "OT".into(),
        series_description: Some(stem.to_owned()),
        body_part: None,
        view: None,
        instance: Instance {
            format,
            sop_uid: format!("source:{}", source_hash(&source)),
            sop_class_uid: String::new(),
            instance_number: None,
            transfer_syntax: String::new(),
            number_of_frames: 1,
            rows: header.rows,
            columns: header.columns,
            samples: header.samples,
            photometric: if grey { "MONOCHROME2" } else { "RGB" }.into(),
            bits_allocated: header.bits,
            bits_stored: header.bits,
            signed: false,
            voi,
            spacing: None,
            orientation: None,
            patient_orientation: None,
            aspect_ratio: None,
            positions: Vec::new(),
            source,
        },
    })
}

/// Stands in for a missing UID: the same source gives the same value.
fn source_hash(source: &Source) -> String {
    match source {
        Source::File(path) => hash(&path.to_string_lossy()),
        Source::ZipMember { archive, index, .. } => {
            hash(&format!("{}#{index}", archive.to_string_lossy()))
        }
    }
}

fn hash(text: &str) -> String {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(8).map(|b| format!("{b:02x}")).collect()
}
