//! Where cases are kept.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::case::{Case, ImageFile, NewCase, is_plain_name};
use crate::error::{LibraryError, Result};
use crate::files::{digest, hex, write_atomic};

/// The version of `library.json` that this crate reads and writes.
const FORMAT: u32 = 1;
const MANIFEST: &str = "library.json";
const IMAGES: &str = "images";
/// A manifest of 100 000 cases with reports takes about this much.
const MAX_MANIFEST_BYTES: u64 = 256 << 20;
/// An 8-bit radiograph takes some 10 MB.
const MAX_IMAGE_BYTES: u64 = 256 << 20;

/// A place where cases are kept.
pub trait CaseStore: Send + Sync {
    /// The library's name, for people.
    fn name(&self) -> &str;

    /// Every case, always in the same order.
    fn cases(&self) -> &[Case];

    /// The case with an identifier.
    fn case(&self, id: &str) -> Option<&Case>;

    /// The bytes of a case's image file, verified.
    ///
    /// Errors if there is no such case or if its image is missing or was changed.
    fn image_bytes(&self, id: &str) -> Result<Vec<u8>>;

    /// Digest of the list of cases; it changes when the list does.
    fn fingerprint(&self) -> [u8; 32];
}

/// Cases in a folder: `library.json` and PNG files under `images/`.
#[derive(Debug)]
pub struct FolderStore {
    dir: PathBuf,
    manifest: Manifest,
    by_id: HashMap<String, usize>,
    fingerprint: [u8; 32],
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: u32,
    name: String,
    licence: String,
    cases: Vec<Case>,
}

/// Only as much as is needed to know whether the rest can be understood.
#[derive(Deserialize)]
struct Version {
    format: u64,
}

impl FolderStore {
    /// Opens a folder and checks its manifest.
    ///
    /// Errors if it is missing or damaged, if two cases have one identifier, or if an image's name
    /// would leave the folder. Images are verified when they are read.
    pub fn open(dir: &Path) -> Result<Self> {
        let path = dir.join(MANIFEST);
        let bad = |message: String| LibraryError::Manifest {
            path: path.clone(),
            message,
        };
        let length = match fs::metadata(&path) {
            Ok(metadata) => metadata.len(),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(LibraryError::NotALibrary {
                    dir: dir.to_path_buf(),
                });
            }
            Err(e) => return Err(LibraryError::io(path)(e)),
        };
        if length > MAX_MANIFEST_BYTES {
            return Err(bad(format!("{length} bytes are too many")));
        }
        let bytes = fs::read(&path).map_err(LibraryError::io(&path))?;
        // The reader's own message could quote a report, so only the place is told.
        let place = |e: serde_json::Error| {
            let what = match e.classify() {
                serde_json::error::Category::Eof => "it is cut short",
                serde_json::error::Category::Data => "it has an unknown or unsuitable field",
                _ => "it is no valid JSON",
            };
            bad(format!("{what} (line {}, column {})", e.line(), e.column()))
        };
        let version: Version = serde_json::from_slice(&bytes).map_err(place)?;
        if version.format != u64::from(FORMAT) {
            return Err(LibraryError::FormatVersion {
                path,
                found: version.format,
                supported: FORMAT,
            });
        }
        let manifest: Manifest = serde_json::from_slice(&bytes).map_err(place)?;
        let mut by_id = HashMap::new();
        for (i, case) in manifest.cases.iter().enumerate() {
            if !is_plain_name(&case.id) || !is_plain_name(&case.image.file) {
                return Err(bad(format!(
                    "case {}: its identifier or image has no plain name",
                    i + 1
                )));
            }
            if by_id.insert(case.id.clone(), i).is_some() {
                return Err(bad(format!("case {} is listed twice", case.id)));
            }
        }
        Ok(Self {
            dir: dir.to_path_buf(),
            manifest,
            by_id,
            fingerprint: digest(&bytes),
        })
    }

    /// Writes a new library into the folder `dir`, which must not exist yet. It appears at once or
    /// not at all. The same cases in any order give the same files.
    ///
    /// - `name`, `licence`: of the library, for people
    ///
    /// Errors if a case is unsuitable (see [`NewCase`]) or if the folder exists.
    pub fn create(
        dir: &Path,
        name: &str,
        licence: &str,
        cases: impl IntoIterator<Item = NewCase>,
    ) -> Result<Self> {
        if dir.symlink_metadata().is_ok() {
            return Err(LibraryError::Exists {
                dir: dir.to_path_buf(),
            });
        }
        let parent = match dir.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        fs::create_dir_all(parent).map_err(LibraryError::io(parent))?;
        let mut builder = tempfile::Builder::new();
        builder.prefix(".partial-");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            builder.permissions(fs::Permissions::from_mode(0o777)); // the umask takes its part
        }
        let folder = builder
            .tempdir_in(parent)
            .map_err(LibraryError::io(parent))?;
        let mut manifest = Manifest {
            format: FORMAT,
            name: name.to_string(),
            licence: licence.to_string(),
            cases: Vec::new(),
        };
        let images = folder.path().join(IMAGES);
        for case in cases {
            manifest.cases.push(write_case(&images, case)?);
        }
        manifest.cases.sort_by(|a, b| a.id.cmp(&b.id));
        let path = folder.path().join(MANIFEST);
        let mut text =
            serde_json::to_vec_pretty(&manifest).map_err(|e| LibraryError::Manifest {
                path: path.clone(),
                message: e.to_string(),
            })?;
        text.push(b'\n');
        write_atomic(&path, &[&text])?;
        Self::open(folder.path())?;
        let from = folder.keep();
        fs::rename(&from, dir).map_err(|e| {
            let _ = fs::remove_dir_all(&from); // the rename's error is the one to report
            LibraryError::io(dir)(e)
        })?;
        Self::open(dir)
    }

    /// The library's folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The PNG file of a case's image, verified.
    ///
    /// Errors as [`image_bytes`](CaseStore::image_bytes) does.
    pub fn image_file(&self, id: &str) -> Result<PathBuf> {
        self.image_bytes(id)?;
        Ok(self.file(self.known(id)?))
    }

    fn known(&self, id: &str) -> Result<&Case> {
        self.case(id)
            .ok_or_else(|| LibraryError::NoCase { id: id.into() })
    }

    fn file(&self, case: &Case) -> PathBuf {
        self.dir.join(IMAGES).join(&case.image.file)
    }
}

impl CaseStore for FolderStore {
    fn name(&self) -> &str {
        &self.manifest.name
    }

    fn cases(&self) -> &[Case] {
        &self.manifest.cases
    }

    fn case(&self, id: &str) -> Option<&Case> {
        self.by_id.get(id).map(|&i| &self.manifest.cases[i])
    }

    fn image_bytes(&self, id: &str) -> Result<Vec<u8>> {
        let case = self.known(id)?;
        let damaged = |reason: String| LibraryError::DamagedImage {
            id: id.into(),
            reason,
        };
        let path = self.file(case);
        let found = match fs::metadata(&path) {
            Ok(metadata) => metadata.len(),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(damaged("is missing".into()));
            }
            Err(e) => return Err(LibraryError::io(path)(e)),
        };
        if found != case.image.bytes || found > MAX_IMAGE_BYTES {
            let expected = case.image.bytes;
            return Err(damaged(format!(
                "has {found} bytes, {expected} are expected"
            )));
        }
        let bytes = fs::read(&path).map_err(LibraryError::io(path))?;
        match hex(&digest(&bytes)) == case.image.sha256 {
            true => Ok(bytes),
            false => Err(damaged(
                "was changed: its SHA-256 is not the expected one".into(),
            )),
        }
    }

    fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }
}

fn write_case(images: &Path, case: NewCase) -> Result<Case> {
    let bad = |reason: &str| LibraryError::BadCase {
        id: case.id.clone(),
        reason: reason.into(),
    };
    if !is_plain_name(&case.id) {
        return Err(bad(
            "its identifier may have letters, digits, '-', '_' and '.' only",
        ));
    }
    // PNG (ISO/IEC 15948) 5.2 and 11.2.2: signature, then IHDR with the bit depth at byte 24.
    if !case.png.starts_with(b"\x89PNG\r\n\x1a\n") || case.png.get(24) != Some(&8) {
        return Err(bad("its image is no 8-bit PNG"));
    }
    if case.png.len() as u64 > MAX_IMAGE_BYTES {
        return Err(bad("its image is too large"));
    }
    let file = format!("{}.png", case.id);
    let path = images.join(&file);
    if path.exists() {
        return Err(bad("it is there twice"));
    }
    write_atomic(&path, &[&case.png])?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644))
            .map_err(LibraryError::io(&path))?;
    }
    Ok(Case {
        image: ImageFile {
            file,
            bytes: case.png.len() as u64,
            sha256: hex(&digest(&case.png)),
        },
        id: case.id,
        patient: case.patient,
        modality: case.modality,
        body_part: case.body_part,
        synthetic: case.synthetic,
        labels: case.labels,
        findings: case.findings,
        impression: case.impression,
        pixel_hashes: case.pixel_hashes,
    })
}
