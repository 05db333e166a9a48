//! Makes packs of checkpoints that other programs wrote.

use std::fs;
use std::path::{Path, PathBuf};

use candle_core::Device;
use lucency_nn::Weights;
use lucency_zoo::clip::{Clip, ClipConfig, KeyLayout};
use lucency_zoo::preprocess::Preprocess;
use serde::Deserialize;

use crate::checkpoint::{self, Container, Tensors};
use crate::error::{PackError, Result};
use crate::hash;
use crate::labels::LabelSet;
use crate::manifest::{Architecture, FORMAT, PackManifest, ROLE_CARD, ROLE_WEIGHTS, TokenizerSpec};
use crate::pack::Pack;
use crate::write::{Existing, PackBuilder};

/// Weights that a folder may hold, best first.
const WEIGHT_FILES: [&str; 3] = [
    "model.safetensors",
    "weights.safetensors",
    "pytorch_model.bin",
];
/// Names that say nothing about a checkpoint; its folder's name is taken instead.
const GENERIC_STEMS: [&str; 6] = [
    "model",
    "weights",
    "pytorch_model",
    "best_model",
    "checkpoint",
    "state_dict",
];
/// Ids of CLIP's vocabulary; a model with another number was trained with another tokenizer.
const CLIP_VOCABULARY: usize = 49_408;
/// A `config.json` is at most this long.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// Converts a checkpoint once into a pack in the folder `destination`.
///
/// The model is loaded before anything appears there: a checkpoint that lacks a tensor is refused.
pub(crate) fn checkpoint(source: &Path, name: &str, destination: &Path) -> Result<Pack> {
    let file = weights_file(source)?;
    let (_, digest) = hash::file_digest(&file).map_err(PackError::io(&file))?;
    let (tensors, container) = checkpoint::read(&file)?;
    let config = config(&file, &tensors)?;

    let mut builder = PackBuilder::new(destination)?;
    let weights = builder.path("weights.safetensors")?;
    checkpoint::write_safetensors(&weights, &tensors)?;
    drop(tensors);
    let load = || Clip::load(&Weights::open(&weights, &Device::Cpu)?, &config);
    load().map_err(|e| model_error(&file, e))?;
    builder.add(ROLE_WEIGHTS, "weights.safetensors")?;

    let manifest = manifest(name, &file, container, &digest, config)?;
    builder.add_bytes(
        ROLE_CARD,
        "CARD.md",
        card(&manifest, &file, container, &digest).as_bytes(),
    )?;
    builder.finish(manifest, Existing::Keep)
}

/// A pack's name made from a checkpoint's path.
///
/// Errors with [`PackError::InvalidName`] if nothing usable is in it.
pub(crate) fn default_name(source: &Path) -> Result<String> {
    // `packs import .` has no name of its own.
    let source = source.canonicalize().map_err(PackError::io(source))?;
    let stem = |path: &Path| match path.is_dir() {
        true => path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        false => path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
    };
    let mut name = slug(&stem(&source));
    if GENERIC_STEMS.contains(&name.as_str())
        && let Some(parent) = source.parent()
    {
        name = slug(&stem(parent));
    }
    match crate::manifest::is_pack_name(&name) {
        true => Ok(name),
        false => Err(PackError::InvalidName { name }),
    }
}

fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.to_lowercase().chars() {
        match c {
            'a'..='z' | '0'..='9' | '_' | '.' => slug.push(c),
            _ if !slug.ends_with('-') => slug.push('-'),
            _ => {}
        }
    }
    let plain = |c: char| !c.is_ascii_alphanumeric();
    let slug: String = slug.trim_matches(plain).chars().take(64).collect();
    slug.trim_end_matches(plain).to_string()
}

/// The file with the weights: `source` itself, or the one in the folder.
fn weights_file(source: &Path) -> Result<PathBuf> {
    let metadata = fs::metadata(source).map_err(PackError::io(source))?;
    if metadata.is_file() {
        return Ok(source.to_path_buf());
    }
    let known = WEIGHT_FILES
        .iter()
        .map(|name| source.join(name))
        .find(|path| path.is_file());
    if let Some(known) = known {
        return Ok(known);
    }
    let mut torch = Vec::new();
    for item in fs::read_dir(source).map_err(PackError::io(source))? {
        let path = item.map_err(PackError::io(source))?.path();
        let extension = path.extension().unwrap_or_default();
        if path.is_file() && (extension == "pt" || extension == "pth") {
            torch.push(path);
        }
    }
    match <[PathBuf; 1]>::try_from(torch) {
        Ok([only]) => Ok(only),
        Err(found) => Err(PackError::Unsupported {
            file: source.to_path_buf(),
            reason: match found.is_empty() {
                true => format!(
                    "the folder holds no checkpoint: expected {} or one .pt or .pth file \
                     (weights in several parts are not supported)",
                    WEIGHT_FILES.join(", ")
                ),
                false => "the folder holds several checkpoints; name one of them".into(),
            },
        }),
    }
}

/// The model's sizes: stated by `config.json` for Hugging Face's keys, inferred from OpenAI's.
fn config(file: &Path, tensors: &Tensors) -> Result<ClipConfig> {
    match KeyLayout::detect(tensors.keys().map(String::as_str)) {
        Some(KeyLayout::HuggingFace) => {
            let path = file.with_file_name("config.json");
            let length = match fs::metadata(&path) {
                Ok(metadata) => metadata.len(),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                    return Err(PackError::Unsupported {
                        file: file.to_path_buf(),
                        reason: "Hugging Face keys need the config.json beside the weights".into(),
                    });
                }
                Err(e) => return Err(PackError::io(path)(e)),
            };
            if length > MAX_CONFIG_BYTES {
                return Err(PackError::Unsupported {
                    file: path,
                    reason: format!("{length} bytes are too many for a configuration"),
                });
            }
            let text = fs::read_to_string(&path).map_err(PackError::io(&path))?;
            ClipConfig::from_hf_config_json(&text).map_err(|e| model_error(&path, e))
        }
        Some(KeyLayout::OpenAi) => {
            let shapes = tensors
                .iter()
                .map(|(key, tensor)| (key.clone(), tensor.shape.clone()))
                .collect();
            ClipConfig::infer_from_openai_keys(&shapes).map_err(|e| model_error(file, e))
        }
        None => Err(PackError::Unsupported {
            file: file.to_path_buf(),
            reason: "the tensors' names are neither Hugging Face's nor OpenAI's of a CLIP".into(),
        }),
    }
}

fn model_error(path: &Path, error: impl std::fmt::Display) -> PackError {
    PackError::Model {
        origin: path.display().to_string(),
        message: error.to_string(),
    }
}

fn manifest(
    name: &str,
    file: &Path,
    container: Container,
    digest: &str,
    config: ClipConfig,
) -> Result<PackManifest> {
    let prompts: Prompts = toml::from_str(include_str!("radiology.toml"))
        .expect("a test reads the prompts that are built in");
    let tokenizer = match config.text.vocab {
        CLIP_VOCABULARY => TokenizerSpec::Clip {
            context: config.text.context,
        },
        vocabulary => TokenizerSpec::Unknown { vocabulary },
    };
    Ok(PackManifest {
        format: FORMAT,
        name: name.to_string(),
        title: format!("{name} (imported CLIP)"),
        version: format!("import-{}", &digest[..12]),
        licence: stated_licence(file).unwrap_or_else(|| {
            "not stated by the checkpoint; the terms of its source apply".to_string()
        }),
        intended_use: format!(
            "Research on radiology images. Converted from {}; its findings are not calibrated and \
             nothing about it was measured here. Not a medical device.",
            container.describe()
        ),
        card: Some("CARD.md".into()),
        preprocessing: Preprocess::clip(config.image_size()),
        architecture: Architecture::Clip(config),
        tokenizer,
        zero_shot_templates: prompts.templates,
        files: Vec::new(),
        answers: None,
        network: None,
        label_sets: prompts.label_sets,
        figures: Vec::new(),
    })
}

/// What `radiology.toml` holds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Prompts {
    templates: Vec<String>,
    label_sets: Vec<LabelSet>,
}

impl Container {
    fn describe(self) -> &'static str {
        match self {
            Self::Safetensors => "a safetensors file",
            Self::TorchZip => "a file of torch.save",
            Self::TorchScript => "a TorchScript archive",
            Self::TorchLegacy => "a file of torch.save before torch 1.6",
            Self::Arrays => "a pickle of NumPy arrays",
        }
    }
}

/// The `license:` line of the front matter of a README.md beside the weights, if there is one.
fn stated_licence(file: &Path) -> Option<String> {
    let path = file.with_file_name("README.md");
    if fs::metadata(&path).ok()?.len() > MAX_CONFIG_BYTES {
        return None;
    }
    let text = fs::read_to_string(path).ok()?;
    let mut lines = text.lines();
    (lines.next()?.trim() == "---").then_some(())?;
    let licence = lines
        .take_while(|line| line.trim() != "---")
        .find_map(|line| {
            Some(
                line.strip_prefix("license:")?
                    .trim()
                    .trim_matches(['"', '\''])
                    .to_string(),
            )
        })?;
    (!licence.is_empty() && licence.len() <= 100).then_some(licence)
}

fn card(manifest: &PackManifest, file: &Path, container: Container, digest: &str) -> String {
    let Architecture::Clip(config) = &manifest.architecture;
    let file = file.file_name().unwrap_or_default().to_string_lossy();
    let reading = match &manifest.tokenizer {
        TokenizerSpec::Unknown { vocabulary } => format!(
            "Its text tower has {vocabulary} ids, CLIP's tokenizer {CLIP_VOCABULARY}: the pack \
             embeds images only."
        ),
        _ => "It reads images and texts.".into(),
    };
    format!(
        "# {title}\n\n\
         Converted by Lucency from `{file}`, {kind} with SHA-256 `{digest}`.\n\
         The tensors kept their names, values and 16 or 32-bit precision.\n\n\
         - Images: {side} x {side} pixels, CLIP's preprocessing.\n\
         - Embeddings: {dim} numbers. {reading}\n\
         - Licence: {licence}.\n\n\
         The label sets and prompts are Lucency's defaults. They were not chosen for this model, and \
         no score is calibrated. Nothing was measured here: read the source's own description before \
         relying on anything. The pack answers no questions, for it has no answer head.\n\n\
         Research use only. Not a medical device.\n",
        title = manifest.title,
        kind = container.describe(),
        side = config.image_size(),
        dim = config.embed_dim,
        licence = manifest.licence,
    )
}
