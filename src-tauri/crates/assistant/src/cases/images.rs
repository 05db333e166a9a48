//! Image files of library cases.

use std::path::Path;

use lucency_study::{ImageFile, OpenOptions};

use crate::error::Result;
use crate::picture::Picture;

/// What the library embeds and shows of an image file: its frame, the middle one of several.
///
/// Errors if the file is no image that is read here, or damaged.
pub fn picture_of_file(path: &Path) -> Result<Picture> {
    let mut file = ImageFile::open_path(path)?;
    let frame = file.number_of_frames() / 2;
    let decoded = file.frame(frame)?;
    Picture::from_frame(&decoded, frame + 1, "", "")
}

/// The department's identifier of the patient that a file states; none if it states none or cannot be read.
pub fn patient_of_file(path: &Path) -> Option<String> {
    let paths = [path.to_path_buf()];
    let opened = lucency_study::open(&paths, &OpenOptions::default(), &|| false, &mut |_| {});
    opened.studies.into_iter().next()?.patient.id
}
