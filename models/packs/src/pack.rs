//! An opened pack: verified, ready to load.

use std::fs;
use std::path::{Component, Path, PathBuf};

use candle_core::Device;
use lucency_nn::{Place, Quantisation, Weights};
use lucency_zoo::clip::Clip;
use lucency_zoo::tokenizer::ClipTokenizer;
use lucency_zoo::vqa::AnswerHead;
use rayon::prelude::*;

use crate::error::{PackError, Result};
use crate::hash;
use crate::manifest::{
    Architecture, FORMAT, MANIFEST_FILE, PackFile, PackManifest, ROLE_ANSWERS, ROLE_CARD,
    ROLE_WEIGHTS, TokenizerSpec,
};

/// A manifest is at most this long; label sets and prompts are text.
const MAX_MANIFEST_BYTES: u64 = 4 << 20;

/// A pack whose every file was found to be what its manifest states.
#[derive(Debug, Clone)]
pub struct Pack {
    dir: PathBuf,
    manifest: PackManifest,
    hash: String,
    quantise: Option<Quantisation>,
}

impl Pack {
    /// Opens a pack's folder and verifies it: the manifest's form, that no path leaves the folder,
    /// and the length and SHA-256 of every file.
    ///
    /// Errors name the file, what was expected and what to do.
    pub fn open(dir: &Path) -> Result<Self> {
        let (manifest, hash) = read_manifest(dir)?;
        let pack = Self {
            dir: dir.to_path_buf(),
            manifest,
            hash,
            quantise: None,
        };
        // Lengths first: a truncated file is found without reading the others.
        let paths = pack
            .manifest
            .files
            .iter()
            .map(|file| pack.locate(file))
            .collect::<Result<Vec<_>>>()?;
        pack.manifest
            .files
            .par_iter()
            .zip(paths)
            .try_for_each(|(file, path)| pack.verify_content(file, &path))?;
        Ok(pack)
    }

    /// The same pack after its verified folder was renamed.
    pub(crate) fn moved_to(self, dir: &Path) -> Self {
        Self {
            dir: dir.to_path_buf(),
            ..self
        }
    }

    /// The same pack with its networks' frozen matrices in fewer bits once they are loaded, `None` for floats.
    #[must_use]
    pub fn quantised(self, quantise: Option<Quantisation>) -> Self {
        Self { quantise, ..self }
    }

    /// What tells the numbers of this pack's networks from others: its hash and, if its matrices are quantised, how.
    pub fn weights_id(&self) -> String {
        match self.quantise {
            Some(kind) => format!("{}-{kind}", self.hash),
            None => self.hash.clone(),
        }
    }

    /// What the pack says about itself.
    pub fn manifest(&self) -> &PackManifest {
        &self.manifest
    }

    /// The pack's short name.
    pub fn name(&self) -> &str {
        &self.manifest.name
    }

    /// The pack's folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// SHA-256 of `pack.toml`, lower-case hexadecimal. The manifest holds the digest of every file,
    /// so two packs with one hash are the same in every byte.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Path of the file with a role. Errors with [`PackError::MissingRole`] if there is none.
    pub fn path(&self, role: &str) -> Result<PathBuf> {
        match self.manifest.file(role) {
            Some(file) => Ok(self.dir.join(&file.path)),
            None => Err(PackError::MissingRole {
                pack: self.manifest.name.clone(),
                role: role.to_string(),
            }),
        }
    }

    /// The tensors of the file with a role, 16-bit floats widened to f32.
    ///
    /// Errors if there is no such file or if it is not safetensors.
    pub fn weights(&self, role: &str, device: &Device) -> Result<Weights> {
        Weights::open(&self.path(role)?, device).map_err(|e| self.model_error(e))
    }

    /// The tensors of the file with a role for inference: see [`Weights::stream`].
    fn stream(&self, role: &str, device: &Device) -> Result<Weights> {
        let weights = Weights::stream(&self.path(role)?, device);
        let weights = weights.map_err(|e| self.model_error(e))?;
        Ok(weights.quantised(self.quantise))
    }

    /// The CLIP of the pack, ready to embed images and texts; on the processor its matrices are packed for this machine.
    ///
    /// Errors if a tensor is missing or has another shape than the architecture states, or the device has no room for it.
    pub fn load_clip(&self, place: &Place) -> Result<Clip> {
        let Architecture::Clip(config) = &self.manifest.architecture;
        let weights = self.stream(ROLE_WEIGHTS, &place.device)?;
        let weights = weights.in_precision(place.precision);
        Clip::load(&weights, config).map_err(|e| self.model_error(e))
    }

    /// The question-answering head, if the pack has one.
    ///
    /// Errors if a tensor is missing or has another shape than the manifest states.
    pub fn load_answer_head(&self, device: &Device) -> Result<Option<AnswerHead>> {
        let Some(answers) = &self.manifest.answers else {
            return Ok(None);
        };
        let weights = self.stream(ROLE_ANSWERS, device)?;
        let head = AnswerHead::load(&weights, &answers.config).map_err(|e| self.model_error(e))?;
        Ok(Some(head))
    }

    /// The folder of the pack's question-answering network, if it has one.
    pub fn network_dir(&self) -> Option<PathBuf> {
        let network = self.manifest.network.as_ref()?;
        Some(self.dir.join(&network.folder))
    }

    /// The tokenizer of the pack's text tower.
    ///
    /// Errors if the pack reads images only, or if its list of kept ids is not usable.
    pub fn tokenizer(&self) -> Result<ClipTokenizer> {
        match &self.manifest.tokenizer {
            TokenizerSpec::Clip { .. } => Ok(ClipTokenizer::clip()),
            TokenizerSpec::ClipPruned { file, .. } => {
                ClipTokenizer::load(&self.dir.join(file)).map_err(|e| self.model_error(e))
            }
            TokenizerSpec::Unknown { vocabulary } => Err(self.model_error(format!(
                "the tokenizer of its {vocabulary} ids is not known, so the pack reads images only"
            ))),
        }
    }

    /// The model card, Markdown.
    ///
    /// Errors with [`PackError::MissingRole`] if the pack has none.
    pub fn card(&self) -> Result<String> {
        let path = match &self.manifest.card {
            Some(card) => self.dir.join(card),
            None => self.path(ROLE_CARD)?,
        };
        fs::read_to_string(&path).map_err(PackError::io(path))
    }

    fn model_error(&self, error: impl std::fmt::Display) -> PackError {
        PackError::Model {
            origin: format!("pack {}", self.manifest.name),
            message: error.to_string(),
        }
    }

    /// The real path of a file that lies in the pack's folder and has the length it should have.
    fn locate(&self, file: &PackFile) -> Result<PathBuf> {
        let pack = || self.manifest.name.clone();
        let escapes = || PackError::EscapingPath {
            pack: pack(),
            path: file.path.clone(),
        };
        if !is_inside(&file.path) {
            return Err(escapes());
        }
        let root = self.dir.canonicalize().map_err(PackError::io(&self.dir))?;
        let path = match root.join(&file.path).canonicalize() {
            Ok(path) => path,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(PackError::MissingFile {
                    pack: pack(),
                    file: file.path.clone(),
                });
            }
            Err(e) => return Err(PackError::io(root.join(&file.path))(e)),
        };
        if !path.starts_with(&root) {
            return Err(escapes());
        }
        let metadata = fs::metadata(&path).map_err(PackError::io(&path))?;
        if !metadata.is_file() {
            return Err(PackError::MissingFile {
                pack: pack(),
                file: file.path.clone(),
            });
        }
        match metadata.len() {
            found if found != file.bytes => Err(PackError::WrongSize {
                pack: pack(),
                file: file.path.clone(),
                expected: file.bytes,
                found,
            }),
            _ => Ok(path),
        }
    }

    fn verify_content(&self, file: &PackFile, path: &Path) -> Result<()> {
        let (_, found) = hash::file_digest(path).map_err(PackError::io(path))?;
        if found == file.sha256 {
            return Ok(());
        }
        Err(PackError::WrongHash {
            pack: self.manifest.name.clone(),
            file: file.path.clone(),
            expected: file.sha256.clone(),
            found,
        })
    }
}

/// Reads and checks a manifest, without looking at the other files; also returns the pack's hash.
pub(crate) fn read_manifest(dir: &Path) -> Result<(PackManifest, String)> {
    let path = dir.join(MANIFEST_FILE);
    let bad = |message: String| PackError::Manifest {
        path: path.clone(),
        message,
    };
    let length = match fs::metadata(&path) {
        Ok(metadata) => metadata.len(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Err(PackError::NotAPack {
                dir: dir.to_path_buf(),
            });
        }
        Err(e) => return Err(PackError::io(&path)(e)),
    };
    if length > MAX_MANIFEST_BYTES {
        return Err(bad(format!("{length} bytes are too many for a manifest")));
    }
    let text = fs::read_to_string(&path).map_err(PackError::io(&path))?;
    // The version decides whether the rest can be understood, so it is looked at alone first.
    let table: toml::Table = text.parse().map_err(|e| bad(format!("{e}")))?;
    match table.get("format").and_then(toml::Value::as_integer) {
        Some(found) if found == i64::from(FORMAT) => {}
        Some(found) => {
            return Err(PackError::FormatVersion {
                path,
                found,
                supported: FORMAT,
            });
        }
        None => return Err(bad("it does not state its format (a whole number)".into())),
    }
    let manifest: PackManifest = toml::from_str(&text).map_err(|e| bad(format!("{e}")))?;
    manifest.check().map_err(bad)?;
    Ok((manifest, hash::digest(text.as_bytes())))
}

/// True for a relative path of plain names: no root, no drive, no `..`, on any system.
pub(crate) fn is_inside(path: &str) -> bool {
    !path.is_empty()
        && !path.contains(['\\', ':', '\0'])
        && !path
            .split('/')
            .any(|part| part.is_empty() || part == "." || part == "..")
        && Path::new(path)
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
}
