//! The packs on this machine: those a user installed and those that came with the application.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{PackError, Result};
use crate::import;
use crate::manifest::{PackManifest, is_pack_name};
use crate::pack::{Pack, read_manifest};
use crate::write::{Existing, PackBuilder};

/// Where a pack came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The user installed it; it can be removed.
    Installed,
    /// It came with the application.
    Bundled,
}

/// A pack in the store's list. Its files were not verified.
#[derive(Debug)]
pub struct PackEntry {
    /// The pack's name; the folder's name if the manifest cannot be read.
    pub name: String,
    /// The pack's folder.
    pub dir: PathBuf,
    /// Where it came from.
    pub origin: Origin,
    /// Its manifest and hash, or why they cannot be read.
    pub manifest: Result<(PackManifest, String)>,
}

/// Installed and bundled packs.
#[derive(Debug, Clone)]
pub struct PackStore {
    installed: PathBuf,
    bundled: Vec<PathBuf>,
}

impl PackStore {
    /// The packs installed under a home folder (see [`home`](crate::home)). It need not exist yet.
    pub fn at(home: &Path) -> Self {
        Self {
            installed: home.join("packs"),
            bundled: Vec::new(),
        }
    }

    /// The same store with packs that came with the application: folders of packs, or packs.
    pub fn with_bundled(self, bundled: Vec<PathBuf>) -> Self {
        Self { bundled, ..self }
    }

    /// Every pack, sorted by name, bundled ones first. Damaged ones are in the list, with the reason.
    ///
    /// Errors if a folder of packs cannot be read; a folder that does not exist holds no packs.
    pub fn list(&self) -> Result<Vec<PackEntry>> {
        let mut entries = Vec::new();
        for place in &self.bundled {
            if place.join(crate::MANIFEST_FILE).is_file() {
                entries.push(entry(place.clone(), Origin::Bundled));
            } else {
                entries.extend(entries_in(place, Origin::Bundled)?);
            }
        }
        entries.extend(entries_in(&self.installed, Origin::Installed)?);
        entries.sort_by(|a, b| {
            let key = |e: &PackEntry| (e.origin == Origin::Installed, e.name.clone());
            key(a).cmp(&key(b))
        });
        Ok(entries)
    }

    /// Opens and verifies the pack with a name, or the one in a folder.
    ///
    /// Errors with [`PackError::NotFound`] if there is neither, or as [`Pack::open`] does.
    pub fn find(&self, name_or_path: &str) -> Result<Pack> {
        Pack::open(&self.locate(name_or_path)?)
    }

    /// The folder of the pack with a name, or the path itself if it is a pack's folder.
    ///
    /// Errors with [`PackError::NotFound`] if there is neither.
    pub fn locate(&self, name_or_path: &str) -> Result<PathBuf> {
        let entries = self.list()?;
        if let Some(entry) = entries.iter().find(|entry| entry.name == name_or_path) {
            return Ok(entry.dir.clone());
        }
        let path = Path::new(name_or_path);
        if path.join(crate::MANIFEST_FILE).is_file() {
            return Ok(path.to_path_buf());
        }
        Err(not_found(name_or_path, &entries))
    }

    /// Verifies the pack with a name or in a folder, file by file.
    ///
    /// Errors as [`find`](Self::find) does.
    pub fn verify(&self, name_or_path: &str) -> Result<Pack> {
        self.find(name_or_path)
    }

    /// Installs a pack's folder, or converts a checkpoint into a pack and installs that.
    ///
    /// - `path`: a pack, a Hugging Face CLIP folder, a `.safetensors` or `.bin` inside one, an OpenAI
    ///   `.pt` or a PubMedCLIP `.pth`
    /// - `name`: the pack's name here; by default its own, or one made from the path
    ///
    /// The pack appears at once or not at all. Importing the same thing again changes nothing.
    /// Errors with [`PackError::NameTaken`] if another pack has the name.
    pub fn import(&self, path: &Path, name: Option<&str>) -> Result<Pack> {
        if let Some(name) = name.filter(|name| !is_pack_name(name)) {
            return Err(PackError::InvalidName {
                name: name.to_string(),
            });
        }
        if path.join(crate::MANIFEST_FILE).is_file() {
            return self.install(&Pack::open(path)?, name);
        }
        let name = match name {
            Some(name) => name.to_string(),
            None => import::default_name(path)?,
        };
        self.refuse_bundled_name(&name)?;
        import::checkpoint(path, &name, &self.installed.join(&name))
    }

    /// Removes an installed pack.
    ///
    /// Errors with [`PackError::Bundled`] for a pack that came with the application, or with
    /// [`PackError::NotFound`].
    pub fn remove(&self, name: &str) -> Result<()> {
        let entries = self.list()?;
        let mut named = entries.iter().filter(|entry| entry.name == name);
        let Some(first) = named.next() else {
            return Err(not_found(name, &entries));
        };
        let installed = std::iter::once(first)
            .chain(named)
            .find(|entry| entry.origin == Origin::Installed);
        let Some(entry) = installed else {
            return Err(PackError::Bundled { name: name.into() });
        };
        // Renamed first, so that an interrupted removal leaves no half pack under its name.
        let aside = tempfile::Builder::new()
            .prefix(".removed-")
            .tempdir_in(&self.installed)
            .map_err(PackError::io(&self.installed))?;
        fs::rename(&entry.dir, aside.path().join("pack")).map_err(PackError::io(&entry.dir))?;
        aside.close().map_err(PackError::io(&self.installed))
    }

    /// Copies a verified pack, under another name if one is given.
    fn install(&self, pack: &Pack, name: Option<&str>) -> Result<Pack> {
        let mut manifest = pack.manifest().clone();
        manifest.name = name.unwrap_or(&manifest.name).to_string();
        self.refuse_bundled_name(&manifest.name)?;
        let mut builder = PackBuilder::new(&self.installed.join(&manifest.name))?;
        for file in &pack.manifest().files {
            builder.add_copy(&file.role, &file.path, &pack.dir().join(&file.path))?;
        }
        if manifest.name != pack.name() {
            return builder.finish(manifest, Existing::Keep);
        }
        let path = pack.dir().join(crate::MANIFEST_FILE);
        let text = fs::read_to_string(&path).map_err(PackError::io(path))?;
        builder.finish_as_written(&text, Existing::Keep)
    }

    fn refuse_bundled_name(&self, name: &str) -> Result<()> {
        let taken = self
            .list()?
            .iter()
            .any(|entry| entry.origin == Origin::Bundled && entry.name == name);
        match taken {
            true => Err(PackError::NameTaken {
                name: name.into(),
                existing: "bundled".into(),
            }),
            false => Ok(()),
        }
    }
}

fn entries_in(folder: &Path, origin: Origin) -> Result<Vec<PackEntry>> {
    let read = match fs::read_dir(folder) {
        Ok(read) => read,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(PackError::io(folder)(e)),
    };
    let mut entries = Vec::new();
    for item in read {
        let dir = item.map_err(PackError::io(folder))?.path();
        let hidden = dir
            .file_name()
            .is_none_or(|name| name.to_string_lossy().starts_with('.'));
        if dir.is_dir() && !hidden {
            entries.push(entry(dir, origin));
        }
    }
    Ok(entries)
}

fn entry(dir: PathBuf, origin: Origin) -> PackEntry {
    let manifest = read_manifest(&dir);
    let folder_name = || {
        dir.file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    };
    PackEntry {
        name: match &manifest {
            Ok((manifest, _)) => manifest.name.clone(),
            Err(_) => folder_name(),
        },
        dir,
        origin,
        manifest,
    }
}

fn not_found(name: &str, entries: &[PackEntry]) -> PackError {
    let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    PackError::NotFound {
        name: name.to_string(),
        known: match names.is_empty() {
            true => "none".into(),
            false => names.join(", "),
        },
    }
}
