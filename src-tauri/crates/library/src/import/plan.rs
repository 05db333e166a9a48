//! What to import and how.

use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::columns::Columns;
use super::phi::Identifying;
use crate::error::{LibraryError, Result};
use crate::files::{digest, hex};

/// A layout that is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// VQA-RAD as published, or in the split of MEVF and PubMedCLIP.
    VqaRad,
    /// SLAKE, English and Chinese, with the boxes of its masks.
    Slake,
    /// VQA-Med 2019.
    #[serde(rename = "vqa-med-2019")]
    VqaMed2019,
    /// ROCO: CSV, tab-separated or JSON captions.
    Roco,
    /// MedICaT: JSON lines.
    Medicat,
    /// CheXpert: CSV with uncertain labels.
    Chexpert,
    /// RSNA pneumonia detection: DICOM with boxes.
    Rsna,
    /// EMBED: mammograms with BI-RADS categories and breast density.
    Embed,
    /// MELINDA: figures with captions and methods.
    Melinda,
    /// A folder per class.
    Classes,
    /// Any CSV, JSON-lines or JSON table with a map of its columns.
    Table,
    /// DICOM files with structured reports among them.
    Dicom,
    /// Images with plain-text or PDF reports beside them.
    Reports,
}

impl Format {
    /// Every format with its word.
    pub const ALL: &'static [(&'static str, Self)] = &[
        ("vqa-rad", Self::VqaRad),
        ("slake", Self::Slake),
        ("vqa-med-2019", Self::VqaMed2019),
        ("roco", Self::Roco),
        ("medicat", Self::Medicat),
        ("chexpert", Self::Chexpert),
        ("rsna", Self::Rsna),
        ("embed", Self::Embed),
        ("melinda", Self::Melinda),
        ("classes", Self::Classes),
        ("table", Self::Table),
        ("dicom", Self::Dicom),
        ("reports", Self::Reports),
    ];

    /// The word on the command line.
    pub fn word(self) -> &'static str {
        let named = Self::ALL.iter().find(|(_, format)| *format == self);
        named.map_or("table", |(word, _)| word)
    }

    /// What it is, for a list.
    pub fn title(self) -> &'static str {
        match self {
            Self::VqaRad => "VQA-RAD: questions about radiology images",
            Self::Slake => "SLAKE: questions in English and Chinese, with boxes",
            Self::VqaMed2019 => "VQA-Med 2019: questions about radiology images",
            Self::Roco => "ROCO: figures with captions",
            Self::Medicat => "MedICaT: figures with captions",
            Self::Chexpert => "CheXpert: chest radiographs with labels",
            Self::Rsna => "RSNA pneumonia: chest radiographs with boxes",
            Self::Embed => "EMBED: mammograms with BI-RADS and density",
            Self::Melinda => "MELINDA: figures with captions and methods",
            Self::Classes => "A folder of images for each class",
            Self::Table => "A table (CSV or JSON) of images and reports",
            Self::Dicom => "DICOM files, structured reports among them",
            Self::Reports => "Images with text or PDF reports beside them",
        }
    }

    /// Whose patient identifiers a data set has: those of the department, or of a published data set, in which the same
    /// number is another person.
    pub(crate) fn patient_domain(self) -> &'static str {
        match self {
            Self::Table | Self::Dicom | Self::Reports | Self::Classes => super::SITE,
            published => published.word(),
        }
    }
}

impl FromStr for Format {
    type Err = LibraryError;

    fn from_str(text: &str) -> Result<Self> {
        let word = match text {
            "csv" | "jsonl" | "json" => "table",
            word => word,
        };
        let found = Self::ALL.iter().find(|(known, _)| *known == word);
        found.map(|(_, format)| *format).ok_or_else(|| {
            let words: Vec<&str> = Self::ALL.iter().map(|(word, _)| *word).collect();
            LibraryError::Request(format!(
                "there is no format {text:?}; formats are {}",
                words.join(", ")
            ))
        })
    }
}

/// What becomes of CheXpert's uncertain labels, -1. Source: Irvin et al. 2019, section 4.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// They stay uncertain.
    #[default]
    Keep,
    /// They become present (U-Ones).
    Ones,
    /// They become absent (U-Zeros).
    Zeros,
    /// They are left out (U-Ignore).
    Ignore,
}

impl FromStr for Policy {
    type Err = LibraryError;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "keep" => Ok(Self::Keep),
            "ones" => Ok(Self::Ones),
            "zeros" => Ok(Self::Zeros),
            "ignore" => Ok(Self::Ignore),
            _ => Err(LibraryError::Request(format!(
                "there is no policy {text:?}; policies are keep, ones, zeros, ignore"
            ))),
        }
    }
}

/// What to import and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportPlan {
    /// The layout.
    pub format: Format,
    /// The data set's folder.
    pub data: PathBuf,
    /// The table, where the format does not know its name.
    pub table: Option<PathBuf>,
    /// Which column says what, for [`Format::Table`].
    pub columns: Columns,
    /// What becomes of uncertain labels, for [`Format::Chexpert`].
    pub policy: Policy,
    /// The split of rows that name none.
    pub split: Option<String>,
    /// Modality of cases that name none.
    pub modality: Option<String>,
    /// Body part of cases that name none.
    pub body_part: Option<String>,
    /// Only questions in this language, ISO 639-1.
    pub language: Option<String>,
    /// Name of the source in the library; by default the format's or the folder's.
    pub source: Option<String>,
    /// Encoding of tables and texts; UTF-8 by default.
    pub encoding: Option<String>,
    /// What becomes of lines that name a patient.
    pub identifying: Identifying,
    /// Whose patient identifiers these are; by default the department's own, or those of the published data set.
    pub patient_domain: Option<String>,
}

impl ImportPlan {
    /// A plan with the defaults.
    pub fn new(format: Format, data: impl Into<PathBuf>) -> Self {
        Self {
            format,
            data: data.into(),
            table: None,
            columns: Columns::default(),
            policy: Policy::default(),
            split: None,
            modality: None,
            body_part: None,
            language: None,
            source: None,
            encoding: None,
            identifying: Identifying::default(),
            patient_domain: None,
        }
    }

    /// Name of the source: what was asked for, else the format's word, else the folder's name where it is plain.
    pub fn source_name(&self) -> String {
        if let Some(name) = &self.source {
            return name.clone();
        }
        let own = matches!(
            self.format,
            Format::Table | Format::Classes | Format::Dicom | Format::Reports
        );
        let folder = self
            .data
            .canonicalize()
            .unwrap_or_else(|_| self.data.clone());
        let folder = folder
            .file_name()
            .map(|name| name.to_string_lossy().to_lowercase());
        match folder {
            Some(name) if own && crate::case::is_plain_name(&name) => name,
            _ => self.format.word().into(),
        }
    }

    /// Digest of everything that decides what rows become.
    pub(crate) fn settings(&self) -> String {
        let json = serde_json::to_vec(self).unwrap_or_default();
        hex(&digest(&json)[..16])
    }
}
