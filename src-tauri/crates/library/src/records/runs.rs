//! What was done with the library's cases: runs, and the adapters that are there.

use serde::Serialize;

/// What a run did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunKind {
    /// It fitted an adapter.
    Training,
    /// It judged a pack or an adapter.
    Evaluation,
    /// It embedded images and reports.
    Embedding,
}

impl RunKind {
    /// The word in the database and in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Training => "training",
            Self::Evaluation => "evaluation",
            Self::Embedding => "embedding",
        }
    }

    pub(crate) fn from_word(word: &str) -> Self {
        match word {
            "training" => Self::Training,
            "embedding" => Self::Embedding,
            _ => Self::Evaluation,
        }
    }
}

/// What a run did with a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CasePart {
    /// It learned from it, or chose by it when to stop.
    Trained,
    /// It was judged on it, and learned nothing from it.
    Judged,
}

impl CasePart {
    /// The word in the database and in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Trained => "trained",
            Self::Judged => "judged",
        }
    }

    pub(crate) fn from_word(word: &str) -> Self {
        match word {
            "judged" => Self::Judged,
            _ => Self::Trained,
        }
    }
}

/// A run on the library's cases. Nothing in it may say anything of a patient.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Run {
    /// What it does.
    pub kind: RunKind,
    /// Hash of the pack.
    pub pack: String,
    /// Name of the adapter that it makes or judges.
    pub adapter: Option<String>,
    /// When it was asked for, UTC, RFC 3339.
    pub started: String,
    /// When it ended; none as long as it can go on.
    pub finished: Option<String>,
    /// What was asked for.
    pub settings: serde_json::Value,
    /// How it ended.
    pub outcome: Option<serde_json::Value>,
    /// Its folder below the folder that the library's folder is in, parts divided by `/`; none without one.
    pub path: Option<String>,
}

/// A run as the library has it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunRecord {
    /// What it is.
    #[serde(flatten)]
    pub run: Run,
    /// Cases of the library that it learned from.
    pub trained: u64,
    /// Cases of the library that it was judged on.
    pub judged: u64,
    /// Cases that it saw and that were deleted since.
    pub deleted: u64,
}

/// An adapter that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AdapterRecord {
    /// Its name.
    pub name: String,
    /// Hash of the pack that it stands on.
    pub pack: String,
    /// Its folder below the folder that the library's folder is in, parts divided by `/`.
    pub path: String,
    /// SHA-256 of its manifest, which holds the digest of every file, in hexadecimal digits.
    pub sha256: String,
    /// When it was made, UTC, RFC 3339.
    pub created: String,
}

/// What a run did with cases that are asked about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SeenBy {
    /// What the run did.
    pub kind: RunKind,
    /// When it was asked for, UTC, RFC 3339.
    pub started: String,
    /// True once it ended.
    pub finished: bool,
    /// Its folder, as [`Run::path`].
    pub path: Option<String>,
    /// Name of the adapter that it made or judged.
    pub adapter: Option<String>,
    /// True if that adapter is still there.
    pub adapter_there: bool,
    /// How many of the cases it learned from.
    pub trained: u64,
    /// How many of the cases it was judged on.
    pub judged: u64,
}
