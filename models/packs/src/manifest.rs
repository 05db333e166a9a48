//! `pack.toml`: everything a pack says about itself.

use lucency_zoo::clip::ClipConfig;
use lucency_zoo::preprocess::Preprocess;
use lucency_zoo::vqa::AnswerHeadConfig;
use serde::{Deserialize, Serialize};

use crate::labels::LabelSet;

/// The version of the manifest that this crate reads and writes.
pub const FORMAT: u32 = 1;
/// Name of the manifest inside a pack's folder.
pub const MANIFEST_FILE: &str = "pack.toml";

/// Role of the model's weights among a pack's files.
pub const ROLE_WEIGHTS: &str = "weights";
/// Role of the question-answering head's weights.
pub const ROLE_ANSWERS: &str = "answers";
/// Role of the files of a question-answering network.
pub const ROLE_NETWORK: &str = "network";
/// Role of the list of kept token ids of a pruned tokenizer.
pub const ROLE_TOKENIZER: &str = "tokenizer";
/// Role of the model card, Markdown.
pub const ROLE_CARD: &str = "card";

/// A model pack's manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackManifest {
    /// Version of this format, [`FORMAT`].
    pub format: u32,
    /// Short name that commands use: lower-case letters, digits, `-`, `_`, `.`.
    pub name: String,
    /// Name for people.
    pub title: String,
    /// Version of the pack, for people.
    pub version: String,
    /// Licence of the weights: an SPDX expression or a sentence.
    pub licence: String,
    /// What the pack is for, and what it is not for.
    pub intended_use: String,
    /// Path of the model card inside the pack, if there is one; it is listed in `files` too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<String>,
    /// The kind of model and its sizes.
    pub architecture: Architecture,
    /// From an image to the model's input.
    pub preprocessing: Preprocess,
    /// From a text to the model's input.
    pub tokenizer: TokenizerSpec,
    /// How a word that is in no label set becomes a prompt; `{}` stands for the word.
    #[serde(default)]
    pub zero_shot_templates: Vec<String>,
    /// Every other file of the pack.
    pub files: Vec<PackFile>,
    /// The question-answering head, if the pack has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<Answers>,
    /// A trained question-answering network, if the pack has one; it answers in place of the head.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// What `findings` looks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub label_sets: Vec<LabelSet>,
    /// What was measured, on which data and how.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub figures: Vec<Figure>,
}

/// The kind of model in a pack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Architecture {
    /// Images and texts in one space.
    Clip(ClipConfig),
}

/// A file of a pack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackFile {
    /// What it is for: `weights`, `answers`, `tokenizer`, `card`, or a word of the pack's own.
    pub role: String,
    /// Path inside the pack, with forward slashes.
    pub path: String,
    /// Digest of its content, lower-case hexadecimal.
    pub sha256: String,
    /// Length.
    pub bytes: u64,
}

/// Which tokenizer a pack's text tower was trained with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TokenizerSpec {
    /// CLIP's own, all 49408 ids.
    Clip {
        /// Ids in one text, start and end included.
        context: usize,
    },
    /// CLIP's own, restricted to a kept set of ids.
    ClipPruned {
        /// Path of the list of kept ids inside the pack.
        file: String,
        /// Ids in one text, start and end included.
        context: usize,
    },
    /// Not known: the pack reads images only.
    Unknown {
        /// Ids in the text tower's vocabulary.
        vocabulary: usize,
    },
}

/// The question-answering head: what it is, and how its confidence is to be read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answers {
    /// The head's sizes and its list of answers; its weights have the role `answers`.
    pub config: AnswerHeadConfig,
    /// Logits are divided by this before the softmax; fitted on a validation split.
    pub temperature: f64,
    /// Below this confidence the application says that it does not know.
    pub threshold: f64,
    /// A blank image that gets the same answer with a confidence at most this much lower means that
    /// the image made no difference.
    pub blank_margin: f64,
}

/// A question-answering network (MEVF or QCR) that reads images and questions by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Folder inside the pack with an exported run; its files have the role `network`. Temperature and threshold lie there too.
    pub folder: String,
}

/// A measured figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figure {
    /// What was measured, such as `accuracy, six classes, zero-shot`.
    pub measure: String,
    /// The value; rates are fractions of 1.
    pub value: f64,
    /// On which data, split included.
    pub data: String,
    /// The command that measures it again.
    pub command: String,
    /// On which machine, if it matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
}

impl PackManifest {
    /// The first file with a role.
    pub fn file(&self, role: &str) -> Option<&PackFile> {
        self.files.iter().find(|file| file.role == role)
    }

    /// Whether questions can be asked.
    pub fn answers_questions(&self) -> bool {
        self.answers.is_some() || self.network.is_some()
    }

    /// The label set with a name, or the first one.
    ///
    /// Nothing if the pack has no label set, or none with that name.
    pub fn label_set(&self, name: Option<&str>) -> Option<&LabelSet> {
        match name {
            Some(name) => self.label_sets.iter().find(|set| set.name == name),
            None => self.label_sets.first(),
        }
    }

    /// Checks what the types cannot say. Errors with a sentence.
    pub(crate) fn check(&self) -> Result<(), String> {
        if !is_pack_name(&self.name) {
            return Err(format!("name = {:?} is not a pack's name", self.name));
        }
        for (i, file) in self.files.iter().enumerate() {
            let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
            if file.sha256.len() != 64 || !file.sha256.bytes().all(hex) {
                return Err(format!(
                    "files: the sha256 of {} is not a digest",
                    file.path
                ));
            }
            if self.files[..i].iter().any(|other| other.path == file.path) {
                return Err(format!("files: {} is listed twice", file.path));
            }
        }
        if self.file(ROLE_WEIGHTS).is_none() {
            return Err(format!("files: none has the role {ROLE_WEIGHTS:?}"));
        }
        if self.answers.is_some() && self.file(ROLE_ANSWERS).is_none() {
            return Err(format!("answers: no file has the role {ROLE_ANSWERS:?}"));
        }
        if let Some(network) = &self.network {
            let below = format!("{}/", network.folder);
            let inside = |f: &PackFile| f.role == ROLE_NETWORK && f.path.starts_with(&below);
            if !self.files.iter().any(inside) {
                return Err(format!(
                    "network: no file with the role {ROLE_NETWORK:?} is in {}",
                    network.folder
                ));
            }
        }
        let pruned = match &self.tokenizer {
            TokenizerSpec::ClipPruned { file, .. } => Some(file),
            _ => None,
        };
        for path in pruned.into_iter().chain(&self.card) {
            if !self.files.iter().any(|file| file.path == *path) {
                return Err(format!("{path} is named but not listed in files"));
            }
        }
        let Architecture::Clip(config) = &self.architecture;
        config.check().map_err(|e| format!("architecture: {e}"))?;
        if self.preprocessing.side() != config.image_size() {
            return Err(format!(
                "preprocessing: makes images of {} pixels, the model takes {}",
                self.preprocessing.side(),
                config.image_size()
            ));
        }
        if let TokenizerSpec::Clip { context } | TokenizerSpec::ClipPruned { context, .. } =
            self.tokenizer
            && !(2..=config.text.context).contains(&context)
        {
            return Err(format!(
                "tokenizer: a context of {context} does not fit the text tower's {}",
                config.text.context
            ));
        }
        self.preprocessing
            .check()
            .map_err(|e| format!("preprocessing: {e}"))?;
        if let Some(answers) = &self.answers {
            if !(answers.temperature.is_finite() && answers.temperature > 0.0) {
                return Err("answers: the temperature must be positive".into());
            }
            if !(0.0..=1.0).contains(&answers.threshold) {
                return Err("answers: the threshold must lie between 0 and 1".into());
            }
        }
        for (i, set) in self.label_sets.iter().enumerate() {
            set.check()
                .map_err(|e| format!("label set {:?}: {e}", set.name))?;
            if self.label_sets[..i]
                .iter()
                .any(|other| other.name == set.name)
            {
                return Err(format!("label set {:?} is there twice", set.name));
            }
        }
        Ok(())
    }
}

/// True for a name that a pack may have: it is a folder's name on every system.
pub fn is_pack_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    (1..=64).contains(&name.len())
        && name.bytes().next().is_some_and(plain)
        && name
            .bytes()
            .all(|b| plain(b) || matches!(b, b'-' | b'_' | b'.'))
        && !name.ends_with('.')
}
