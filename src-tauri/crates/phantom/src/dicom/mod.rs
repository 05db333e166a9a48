//! Studies as DICOM files: Digital X-Ray Image Storage – For Presentation (PS3.3 A.26) and CT
//! Image Storage (PS3.3 A.3).

use std::path::{Path, PathBuf};

use dicom_dictionary_std::uids;
use dicom_object::FileMetaTableBuilder;
use serde::{Deserialize, Serialize};

mod identity;
mod sets;

pub use identity::Identity;

use sets::{DataSet, radiograph, slice};

use crate::chest::{film_size, render_chest};
use crate::error::{PhantomError, Result};
use crate::files;
use crate::head::slice_positions;
use crate::spec::{Region, Spec, View};

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
