//! Image files: length, hash, size and likeness, without keeping a pixel.

use std::path::{Component, Path, PathBuf};
use std::time::UNIX_EPOCH;

use lucency_likeness::Likeness;
use lucency_study::{ImageFile, OpenOptions, StudyError, structured_report};

use super::draft::{Refusal, Taken};
use super::words;
use crate::files::file_digest;
use crate::records::{Facts, ImageReference, Text, TextKind};

/// What a file's header says of the case it belongs to.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Origin {
    /// Study Instance UID.
    pub study: String,
    /// Patient ID.
    pub patient: Option<String>,
    pub facts: Facts,
}

/// A path below `root`, parts divided by `/`; none if it would leave the folder.
pub(crate) fn relative(root: &Path, path: &str) -> Option<String> {
    let path = path.trim().replace('\\', "/");
    let path = Path::new(&path);
    let path = path.strip_prefix(root).unwrap_or(path);
    let mut parts = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::CurDir => {}
            _ => return None,
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

/// The first candidate that is a file. Refuses if none is, or if one would leave the folder.
pub(crate) fn find(root: &Path, candidates: &[String]) -> Taken<String> {
    let mut outside = false;
    for candidate in candidates {
        match relative(root, candidate) {
            Some(path) if root.join(&path).is_file() => return Ok(path),
            Some(_) => {}
            None => outside = true,
        }
    }
    Err(match outside {
        true => Refusal::new("bad_path", "the image's path leads out of the data folder"),
        false => Refusal::new("missing_image", "the image file is not there"),
    })
}

/// Reads what the library keeps of an image file.
///
/// - `path`: below `root`
/// - `known`: what was read earlier; used again if the file's length and time are the same
pub(crate) fn probe(
    root: &Path,
    path: &str,
    known: Option<ImageReference>,
) -> Taken<ImageReference> {
    let full = root.join(path);
    let unreadable = |e: std::io::Error| {
        Refusal::new(
            "unreadable_image",
            format!("the image file cannot be read: {}", e.kind()),
        )
    };
    let metadata = std::fs::metadata(&full).map_err(unreadable)?;
    let modified = metadata
        .modified()
        .ok()
        .and_then(|t| t.duration_since(UNIX_EPOCH).ok());
    let modified_ns = modified.map_or(0, |t| i64::try_from(t.as_nanos()).unwrap_or(0));
    let same = |known: &ImageReference| {
        known.bytes == metadata.len() && known.modified_ns == modified_ns && modified_ns != 0
    };
    if let Some(known) = known.filter(same) {
        return Ok(known);
    }
    let (sha256, bytes) = file_digest(&full).map_err(unreadable)?;
    let damaged = |e: StudyError| match e {
        StudyError::NotAnImage(_) => {
            Refusal::new("not_an_image", "the file is no image that is read here")
        }
        e => Refusal::new(
            "damaged_image",
            format!("the image cannot be decoded ({})", e.code()),
        ),
    };
    let mut file = ImageFile::open_path(&full).map_err(damaged)?;
    let frames = file.number_of_frames();
    let frame = file.frame(0).map_err(damaged)?;
    let shown = frame.render_default();
    let grey: Vec<u8> = match shown.channels {
        1 => shown.data,
        n => shown.data.chunks_exact(usize::from(n)).map(luma).collect(),
    };
    Ok(ImageReference {
        path: path.into(),
        bytes,
        modified_ns,
        sha256,
        perceptual: Likeness::of(&grey, shown.width as usize, shown.height as usize).map(|l| l.0),
        width: frame.columns,
        height: frame.rows,
        frames,
        view: None,
    })
}

/// Luma of ITU-R BT.601.
fn luma(rgb: &[u8]) -> u8 {
    let [r, g, b] = [rgb[0], rgb[1], rgb[2]].map(u32::from);
    ((299 * r + 587 * g + 114 * b + 500) / 1000) as u8
}

/// What a DICOM file's header says; none if the file is no DICOM image.
pub(crate) fn origin(path: &Path) -> Option<Origin> {
    let paths: [PathBuf; 1] = [path.into()];
    let opened = lucency_study::open(&paths, &OpenOptions::default(), &|| false, &mut |_| {});
    let study = opened.studies.into_iter().next()?;
    let series = study.series.into_iter().next()?;
    if series.instances.first()?.format != lucency_study::Format::Dicom {
        return None;
    }
    let text =
        |text: &Option<String>, read: fn(&str) -> Option<String>| text.as_deref().and_then(read);
    Some(Origin {
        study: study.uid,
        patient: study.patient.id,
        facts: Facts {
            modality: words::modality(&series.modality),
            body_part: text(&series.body_part, words::body_part),
            view: text(&series.view, words::upper),
            sex: text(&study.patient.sex, words::sex),
            age: study.patient.age.as_deref().and_then(words::age),
            date: text(&study.date, words::date),
            split: None,
        },
    })
}

/// A structured report; none if the file is something else.
pub(crate) fn report(path: &Path) -> Taken<Option<(Origin, Text)>> {
    let found = structured_report(path).map_err(|e| {
        Refusal::new(
            "damaged_file",
            format!("the DICOM file cannot be read ({})", e.code()),
        )
    })?;
    Ok(found.map(|report| {
        let origin = Origin {
            study: report.study_uid,
            patient: report.patient.id,
            facts: Facts {
                sex: report.patient.sex.as_deref().and_then(words::sex),
                age: report.patient.age.as_deref().and_then(words::age),
                date: report.date.as_deref().and_then(words::date),
                ..Facts::default()
            },
        };
        let text = Text {
            kind: TextKind::Report,
            body: report.text,
        };
        (origin, text)
    }))
}
