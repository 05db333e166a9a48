//! What a fine-tuning run leaves behind: a folder that belongs to one pack.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Calibrator, FeatureSet, Towers, TunePlan, peft};
use crate::best::write_whole;
use crate::probe::Probe;
use crate::{Result, TrainError};

/// The version of the folder's layout.
pub const FORMAT: u32 = 1;

const MANIFEST: &str = "adapter.json";
const PROBE: &str = "probe.json";
const PLAN: &str = "plan.json";
const MODEL: &str = "model.safetensors";

/// How a pack was adapted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Logistic regression on frozen features.
    Probe,
    /// Low-rank adapters.
    Lora,
    /// Learned scales of keys, values and hidden units.
    Ia3,
    /// Learned keys and values before every block's own.
    Prefix,
    /// Learned context vectors before class names.
    Prompt,
    /// All weights, or the later ones.
    Full,
    /// All weights, on pairs of images and reports.
    Contrastive,
}

impl Method {
    /// The word on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Probe => "probe",
            Self::Lora => "lora",
            Self::Ia3 => "ia3",
            Self::Prefix => "prefix",
            Self::Prompt => "prompt",
            Self::Full => "full",
            Self::Contrastive => "contrastive",
        }
    }
}

/// The pack that an adapter stands on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BasePack {
    /// Its name.
    pub name: String,
    /// SHA-256 of its manifest, which holds the digest of every file.
    pub hash: String,
}

/// What an adapter says about itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdapterManifest {
    /// Layout version.
    pub format: u32,
    /// Its name.
    pub name: String,
    /// How it was made.
    pub method: Method,
    /// What it stands on.
    pub base: BasePack,
    /// Classes or findings.
    pub classes: Vec<String>,
    /// Whether they exclude each other.
    pub exclusive: bool,
    /// What a probe reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<FeatureSet>,
    /// From logits to probabilities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibrator>,
    /// Words of a table's labels that were read as other classes.
    #[serde(default)]
    pub renamed: Vec<(String, String)>,
    /// Cases trained on.
    pub cases: usize,
    /// Their patients, or images where no patient is known.
    pub patients: usize,
    /// Seed of the run.
    pub seed: u64,
    /// From which probability a finding counts as present, one each; none for classes, of which the likeliest counts.
    #[serde(default)]
    pub operating_points: Vec<f64>,
    /// Below this probability of the likeliest class the adapter does not know; 0 if it was not measured.
    #[serde(default)]
    pub abstain_below: f64,
    /// When it was made, RFC 3339, UTC.
    #[serde(default)]
    pub created: String,
    /// The user's remark.
    #[serde(default)]
    pub notes: String,
    /// SHA-256 of its files by name, but for this one.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
}

/// What was learned.
pub enum Learned<'a> {
    /// A regression on features.
    Probe(&'a Probe),
    /// Tensors, and the plan that says where they go.
    Tuned(&'a TunePlan, &'a Towers),
}

/// An adapter's folder that was read and fits together.
#[derive(Clone, Debug)]
pub struct Adapter {
    /// Where it lies.
    pub dir: PathBuf,
    /// What it says about itself.
    pub manifest: AdapterManifest,
}

/// Letters, digits, `-`, `_` and `.`, not first a dot, at most 64.
pub fn is_adapter_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !name.is_empty() && name.len() <= 64 && !name.starts_with('.') && name.chars().all(plain)
}

/// Where an adapter of this name lies below the user's folder.
///
/// Errors if the name cannot be a folder's.
pub fn adapter_folder(home: &Path, name: &str) -> Result<PathBuf> {
    if !is_adapter_name(name) {
        return Err(TrainError::Plan(
            "an adapter's name has up to 64 letters, digits, `-`, `_` and `.`, and does not begin with a dot".into(),
        ));
    }
    Ok(home.join("adapters").join(name))
}

impl Adapter {
    /// Opens an adapter for a pack.
    ///
    /// Errors if there is none, its files are damaged, or it was made on another pack.
    pub fn open(dir: &Path, pack: &BasePack) -> Result<Self> {
        let adapter = Self::read(dir)?;
        let base = &adapter.manifest.base;
        if base.hash != pack.hash {
            let what = match base.name == pack.name {
                true => "the pack has changed since; train again on it, or install the old one"
                    .to_string(),
                false => format!("it was made on `{}`; name that pack", base.name),
            };
            return Err(TrainError::Adapter {
                path: dir.to_path_buf(),
                reason: format!("it does not fit the pack `{}`: {what}", pack.name),
            });
        }
        Ok(adapter)
    }

    /// Reads what an adapter says about itself.
    ///
    /// Errors if there is none or its manifest is damaged or of a later version.
    pub fn read(dir: &Path) -> Result<Self> {
        let path = dir.join(MANIFEST);
        let refuse = |reason: String| TrainError::Adapter {
            path: dir.to_path_buf(),
            reason,
        };
        if !path.is_file() {
            return Err(refuse("there is no finished adapter of this name".into()));
        }
        let text = fs::read_to_string(&path).map_err(|e| TrainError::io(&path, e))?;
        let value: serde_json::Value =
            serde_json::from_str(&text).map_err(|e| TrainError::json(&path, e))?;
        match value.get("format").and_then(serde_json::Value::as_u64) {
            Some(found) if found == u64::from(FORMAT) => {}
            found => {
                return Err(refuse(format!(
                    "its layout is version {found:?}, this program reads {FORMAT}"
                )));
            }
        }
        let manifest = serde_json::from_value(value).map_err(|e| TrainError::json(&path, e))?;
        Ok(Self {
            dir: dir.to_path_buf(),
            manifest,
        })
    }

    /// The regression of a probe.
    ///
    /// Errors if it is missing or damaged.
    pub fn probe(&self) -> Result<Probe> {
        let path = self.dir.join(PROBE);
        let text = fs::read_to_string(&path).map_err(|e| TrainError::io(&path, e))?;
        serde_json::from_str(&text).map_err(|e| TrainError::json(&path, e))
    }

    /// The plan of an adapter that was trained by gradients.
    ///
    /// Errors if it is missing or damaged.
    pub fn plan(&self) -> Result<TunePlan> {
        let path = self.dir.join(PLAN);
        let text = fs::read_to_string(&path).map_err(|e| TrainError::io(&path, e))?;
        serde_json::from_str(&text).map_err(|e| TrainError::json(&path, e))
    }

    /// Tensors that were learned, by the model's keys.
    ///
    /// Errors if a file is missing or cut short.
    pub fn trained(&self) -> Result<HashMap<String, Tensor>> {
        match self.manifest.method {
            Method::Full | Method::Contrastive => {
                let path = self.dir.join(MODEL);
                candle_core::safetensors::load(&path, &Device::Cpu).map_err(|e| {
                    TrainError::Adapter {
                        path,
                        reason: format!("its tensors cannot be read: {e}"),
                    }
                })
            }
            _ => peft::load(&self.dir),
        }
    }

    /// Checks every file against the manifest's digests.
    ///
    /// Errors if one is missing or was changed.
    pub fn verify(&self) -> Result<()> {
        for (name, wanted) in &self.manifest.files {
            let found = digest_of(&self.dir.join(name))?;
            if found != *wanted {
                return Err(TrainError::Adapter {
                    path: self.dir.clone(),
                    reason: format!(
                        "its file {name} was changed or damaged; remove the adapter and import or train it again"
                    ),
                });
            }
        }
        Ok(())
    }

    /// Replaces the text of a file beside the weights. Wherever the program ends meanwhile, the adapter verifies: the manifest
    /// first ceases to state the file's digest, then states the new one.
    ///
    /// Errors if the folder cannot be written.
    pub fn replace(&mut self, name: &str, text: &str) -> Result<()> {
        if self.manifest.files.remove(name).is_some() {
            self.write_manifest()?;
        }
        let path = self.dir.join(name);
        write_whole(&path, text.as_bytes())?;
        let digest = digest_of(&path)?;
        self.manifest.files.insert(name.to_owned(), digest);
        self.write_manifest()
    }

    fn write_manifest(&self) -> Result<()> {
        let path = self.dir.join(MANIFEST);
        let text =
            serde_json::to_string_pretty(&self.manifest).map_err(|e| TrainError::json(&path, e))?;
        write_whole(&path, text.as_bytes())
    }

    /// SHA-256 of the manifest, which holds the digest of every other file.
    ///
    /// Errors if it is missing.
    pub fn sha256(&self) -> Result<String> {
        digest_of(&self.dir.join(MANIFEST))
    }

    /// Writes an adapter's folder, which appears whole or not at all.
    ///
    /// - `beside`: other files by name, such as the split and the report
    ///
    /// Errors if an adapter of this name is there already.
    pub fn write(
        dir: &Path,
        manifest: AdapterManifest,
        learned: Learned<'_>,
        beside: &[(&str, String)],
    ) -> Result<Self> {
        let fresh = fresh_folder(dir)?;
        match learned {
            Learned::Probe(probe) => {
                let json = serde_json::to_string(probe).map_err(|e| TrainError::json(dir, e))?;
                write_file(&fresh.join(PROBE), &json)?;
            }
            Learned::Tuned(plan, towers) => {
                let json =
                    serde_json::to_string_pretty(plan).map_err(|e| TrainError::json(dir, e))?;
                write_file(&fresh.join(PLAN), &json)?;
                let trained = towers.trained();
                match (&towers.adaptation, plan.method) {
                    (Some(adaptation), _) => peft::save(&fresh, adaptation, &trained)?,
                    (None, Method::Prompt) => peft::save_prompt(&fresh, &trained)?,
                    (None, _) => {
                        lucency_nn::save_tensors(&trained, &fresh.join(MODEL), DType::F32)?;
                    }
                }
            }
        }
        finish(&fresh, dir, manifest, beside)
    }

    /// Adds files to an adapter and changes what it says of itself; the change holds when the manifest is in its place, and not before.
    ///
    /// - `manifest`: with the digests of the files that are there; `beside`: the new files by name, none of which may be there
    ///
    /// Errors if a file cannot be written; the adapter is then as it was.
    pub fn amend(self, manifest: AdapterManifest, beside: &[(&str, String)]) -> Result<Self> {
        let mut manifest = manifest;
        for (name, text) in beside {
            let path = self.dir.join(name);
            if manifest.files.contains_key(*name) {
                return Err(TrainError::Adapter {
                    path,
                    reason: "it is part of the adapter already".into(),
                });
            }
            write_whole(&path, text.as_bytes())?;
            manifest.files.insert((*name).to_owned(), digest_of(&path)?);
        }
        let amended = Self { manifest, ..self };
        amended.write_manifest()?;
        Ok(amended)
    }
}

fn digest_of(path: &Path) -> Result<String> {
    let bytes = fs::read(path).map_err(|e| TrainError::io(path, e))?;
    let digest = Sha256::digest(&bytes);
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// An empty folder beside the adapter's place.
///
/// Errors if an adapter is there already.
fn fresh_folder(dir: &Path) -> Result<PathBuf> {
    if dir.join(MANIFEST).exists() {
        return Err(TrainError::Adapter {
            path: dir.to_path_buf(),
            reason: "an adapter of this name is there already; choose another name".into(),
        });
    }
    let parent = dir.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(|e| TrainError::io(parent, e))?;
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    let fresh = parent.join(format!(".{name}.new"));
    if fresh.exists() {
        fs::remove_dir_all(&fresh).map_err(|e| TrainError::io(&fresh, e))?;
    }
    fs::create_dir(&fresh).map_err(|e| TrainError::io(&fresh, e))?;
    Ok(fresh)
}

/// Writes the manifest and the files beside it, and puts the folder into its place.
fn finish(
    fresh: &Path,
    dir: &Path,
    manifest: AdapterManifest,
    beside: &[(&str, String)],
) -> Result<Adapter> {
    for (name, text) in beside {
        write_file(&fresh.join(name), text)?;
    }
    let mut manifest = manifest;
    for entry in fs::read_dir(fresh).map_err(|e| TrainError::io(fresh, e))? {
        let path = entry.map_err(|e| TrainError::io(fresh, e))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        manifest.files.insert(name.into_owned(), digest_of(&path)?);
    }
    let path = fresh.join(MANIFEST);
    let text = serde_json::to_string_pretty(&manifest).map_err(|e| TrainError::json(&path, e))?;
    write_file(&path, &text)?;
    fs::rename(fresh, dir).map_err(|e| TrainError::io(dir, e))?;
    Ok(Adapter {
        dir: dir.to_path_buf(),
        manifest,
    })
}

fn write_file(path: &Path, text: &str) -> Result<()> {
    use std::io::Write;
    let io = |e| TrainError::io(path, e);
    let mut file = fs::File::create(path).map_err(io)?;
    file.write_all(text.as_bytes()).map_err(io)?;
    file.sync_all().map_err(io)
}
