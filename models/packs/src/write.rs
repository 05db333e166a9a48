//! Writes a pack in one step: all of it appears, or nothing.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::error::{PackError, Result};
use crate::hash;
use crate::manifest::{MANIFEST_FILE, PackFile, PackManifest};
use crate::pack::{Pack, is_inside, read_manifest};

/// What to do if the destination is already there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// An error, unless it is the same pack.
    Keep,
    /// The new pack takes its place.
    Replace,
}

/// A pack that is being put together in a temporary folder beside its destination.
///
/// Dropped before [`finish`](Self::finish), it leaves nothing behind.
#[derive(Debug)]
pub struct PackBuilder {
    folder: TempDir,
    destination: PathBuf,
    files: Vec<PackFile>,
}

impl PackBuilder {
    /// Begins a pack that will become the folder `destination`; its parent is made if necessary.
    pub fn new(destination: &Path) -> Result<Self> {
        let parent = match destination.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        fs::create_dir_all(parent).map_err(PackError::io(parent))?;
        let mut builder = tempfile::Builder::new();
        builder.prefix(".partial-");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            builder.permissions(fs::Permissions::from_mode(0o777)); // the umask takes its part
        }
        Ok(Self {
            folder: builder.tempdir_in(parent).map_err(PackError::io(parent))?,
            destination: destination.to_path_buf(),
            files: Vec::new(),
        })
    }

    /// Where to write a file of the pack before [`add`](Self::add) takes it in.
    ///
    /// Errors if `path` would leave the pack's folder.
    pub fn path(&self, path: &str) -> Result<PathBuf> {
        if !is_inside(path) || path == MANIFEST_FILE {
            return Err(PackError::EscapingPath {
                pack: self.destination.display().to_string(),
                path: path.to_string(),
            });
        }
        let full = self.folder.path().join(path);
        if let Some(parent) = full.parent() {
            fs::create_dir_all(parent).map_err(PackError::io(parent))?;
        }
        Ok(full)
    }

    /// Takes in a file that was written to [`path`](Self::path): flushes it, measures it, hashes it.
    pub fn add(&mut self, role: &str, path: &str) -> Result<()> {
        let full = self.path(path)?;
        let flush = || File::options().append(true).open(&full)?.sync_all();
        flush().map_err(PackError::io(&full))?;
        let (bytes, sha256) = hash::file_digest(&full).map_err(PackError::io(&full))?;
        self.files.push(PackFile {
            role: role.to_string(),
            path: path.to_string(),
            sha256,
            bytes,
        });
        Ok(())
    }

    /// Takes in a file with this content.
    pub fn add_bytes(&mut self, role: &str, path: &str, content: &[u8]) -> Result<()> {
        let full = self.path(path)?;
        fs::write(&full, content).map_err(PackError::io(&full))?;
        self.add(role, path)
    }

    /// Takes in a copy of a file.
    pub fn add_copy(&mut self, role: &str, path: &str, source: &Path) -> Result<()> {
        let full = self.path(path)?;
        let mut from = File::open(source).map_err(PackError::io(source))?;
        let mut to = File::create(&full).map_err(PackError::io(&full))?;
        std::io::copy(&mut from, &mut to).map_err(PackError::io(source))?;
        self.add(role, path)
    }

    /// Writes the manifest, with `files` as they were added, and moves the pack to its destination.
    ///
    /// Errors if the manifest is inconsistent, or with [`PackError::NameTaken`] if another pack is
    /// in the destination and `existing` says to keep it.
    pub fn finish(mut self, mut manifest: PackManifest, existing: Existing) -> Result<Pack> {
        self.files.sort_by(|a, b| a.path.cmp(&b.path));
        manifest.files = std::mem::take(&mut self.files);
        let bad = |message: String| PackError::Manifest {
            path: self.destination.join(MANIFEST_FILE),
            message,
        };
        manifest.check().map_err(bad)?;
        let text = toml::to_string_pretty(&manifest).map_err(|e| bad(e.to_string()))?;
        self.finish_as_written(&text, existing)
    }

    /// As [`finish`](Self::finish), with a manifest that already lists the files: the pack keeps
    /// its hash.
    pub(crate) fn finish_as_written(self, manifest: &str, existing: Existing) -> Result<Pack> {
        let path = self.folder.path().join(MANIFEST_FILE);
        let write = || {
            let mut file = File::create(&path)?;
            file.write_all(manifest.as_bytes())?;
            file.sync_all()
        };
        write().map_err(PackError::io(&path))?;
        let built = Pack::open(self.folder.path())?;

        if self.destination.symlink_metadata().is_ok() {
            let there = read_manifest(&self.destination);
            if let Ok((_, hash)) = &there
                && hash == built.hash()
                && let Ok(same) = Pack::open(&self.destination)
            {
                return Ok(same);
            }
            if existing == Existing::Keep {
                return Err(PackError::NameTaken {
                    name: built.name().to_string(),
                    existing: there.map_or_else(|_| "damaged".into(), |(_, hash)| hash),
                });
            }
            self.set_aside()?;
        }
        let from = self.folder.keep();
        fs::rename(&from, &self.destination).map_err(|e| {
            let _ = fs::remove_dir_all(&from); // the rename's error is the one to report
            PackError::io(&self.destination)(e)
        })?;
        Ok(built.moved_to(&self.destination))
    }

    /// Moves the folder in the destination out of the way and deletes it.
    fn set_aside(&self) -> Result<()> {
        let parent = self.folder.path().parent().unwrap_or(Path::new("."));
        let aside = tempfile::Builder::new()
            .prefix(".replaced-")
            .tempdir_in(parent)
            .map_err(PackError::io(parent))?;
        fs::rename(&self.destination, aside.path().join("old"))
            .map_err(PackError::io(&self.destination))
    }
}

/// Writes a pack in one step from files that exist elsewhere: `(role, path in the pack, source)`.
///
/// The manifest's `files` are computed. Errors as [`PackBuilder::finish`] does.
pub fn write_pack(
    destination: &Path,
    manifest: PackManifest,
    files: &[(&str, &str, &Path)],
    existing: Existing,
) -> Result<Pack> {
    let mut builder = PackBuilder::new(destination)?;
    for (role, path, source) in files {
        builder.add_copy(role, path, source)?;
    }
    builder.finish(manifest, existing)
}
