//! The zip archives of `torch.save` (torch 1.6 and later) and `torch.jit.save`.
//!
//! `<name>/data.pkl` describes the tensors, `<name>/data/<key>` are their storages. Both programs
//! store these members uncompressed, and only such members are read: a zip bomb cannot occur.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use zip::{CompressionMethod, ZipArchive};

use super::gather::plan;
use super::{Container, MAX_PICKLE_BYTES, Tensors, damaged, pickle_error, state};
use crate::error::{PackError, Result};
use crate::pickle::{Dialect, parse};

/// Reads the model's state out of an archive.
pub(super) fn read(path: &Path, file: File) -> Result<(Tensors, Container)> {
    let mut archive = Archive::open(path, file)?;
    let container = archive.container();
    let dialect = match container {
        Container::TorchScript => Dialect::Script,
        _ => Dialect::Save,
    };
    archive.require_little_endian()?;
    let pickle = archive.member("data.pkl", MAX_PICKLE_BYTES)?;
    let graph = parse(&pickle, dialect).map_err(pickle_error(path))?;
    let views = state::find(&graph).map_err(|reason| damaged(path, reason))?;

    let readings =
        plan(&graph, views, archive.file_bytes).map_err(|reason| damaged(path, reason))?;

    let mut tensors = Tensors::new();
    for reading in readings {
        let (key, expected) = (reading.key, reading.bytes());
        let bytes = archive.member(&format!("data/{key}"), expected)?;
        if bytes.len() as u64 != expected {
            return Err(damaged(
                path,
                format!(
                    "storage {key:?} has {} bytes, {expected} are stated",
                    bytes.len()
                ),
            ));
        }
        for (name, view) in reading.views {
            tensors.insert(name, view.gather(reading.element, &bytes));
        }
    }
    Ok((tensors, container))
}

struct Archive<'a> {
    path: &'a Path,
    zip: ZipArchive<BufReader<File>>,
    /// `<name>/`, in front of every member.
    prefix: String,
    file_bytes: u64,
}

impl<'a> Archive<'a> {
    fn open(path: &'a Path, file: File) -> Result<Self> {
        let file_bytes = file.metadata().map_err(PackError::io(path))?.len();
        let zip = ZipArchive::new(BufReader::new(file)).map_err(|e| {
            damaged(
                path,
                format!("the zip archive is damaged or cut short: {e}"),
            )
        })?;
        if zip.has_duplicate_names() {
            return Err(damaged(path, "a member of the zip archive occurs twice"));
        }
        let prefixes: Vec<String> = zip
            .file_names()
            .filter_map(|name| Some(name.ok()?.strip_suffix("data.pkl")?.to_string()))
            .filter(|prefix| prefix.ends_with('/') && prefix.matches('/').count() == 1)
            .collect();
        let [prefix] = <[String; 1]>::try_from(prefixes).map_err(|_| PackError::Unsupported {
            file: path.to_path_buf(),
            reason: "a zip archive, but not one of torch.save or torch.jit.save: \
                     it needs exactly one <name>/data.pkl"
                .into(),
        })?;
        Ok(Self {
            path,
            zip,
            prefix,
            file_bytes,
        })
    }

    fn container(&self) -> Container {
        let script = format!("{}constants.pkl", self.prefix);
        match self.zip.index_for_name(&script) {
            Some(_) => Container::TorchScript,
            None => Container::TorchZip,
        }
    }

    fn require_little_endian(&mut self) -> Result<()> {
        if self
            .zip
            .index_for_name(&format!("{}byteorder", self.prefix))
            .is_none()
        {
            return Ok(());
        }
        match self.member("byteorder", 16)?.as_slice() {
            b"little" => Ok(()),
            _ => Err(PackError::Unsupported {
                file: self.path.to_path_buf(),
                reason: "written on a big-endian machine; save it again on a little-endian one"
                    .into(),
            }),
        }
    }

    /// The bytes of a member, at most `limit`. The archive's CRC-32 is checked.
    fn member(&mut self, name: &str, limit: u64) -> Result<Vec<u8>> {
        let path = self.path;
        let mut member = self
            .zip
            .by_name(&format!("{}{name}", self.prefix))
            .map_err(|e| damaged(path, format!("{name}: {e}")))?;
        if member.compression() != CompressionMethod::Stored {
            return Err(damaged(
                path,
                format!("{name} is compressed, torch stores it plainly"),
            ));
        }
        let size = member.size();
        if size > limit || size > self.file_bytes {
            return Err(damaged(
                path,
                format!("{name} claims {size} bytes, which is too much"),
            ));
        }
        let mut bytes = Vec::with_capacity(size as usize);
        member
            .read_to_end(&mut bytes)
            .map_err(|e| damaged(path, format!("{name}: {e}")))?;
        Ok(bytes)
    }
}
