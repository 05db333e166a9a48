//! Which column of a table says what.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{LibraryError, Result};

/// What a column says of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Path of the image below the data folder, or below `images` in it.
    Image,
    /// The case's key, if it is not the image: rows with the same key are one case.
    Id,
    /// The patient.
    Patient,
    /// The report.
    Report,
    /// A caption.
    Caption,
    /// A label: a column of 1, 0 and -1 is a label of the column's name, other words are the label themselves.
    Label,
    /// View position.
    View,
    /// Sex.
    Sex,
    /// Age in years.
    Age,
    /// Date of the examination.
    Date,
    /// Part of a division of the data.
    Split,
    /// Modality.
    Modality,
    /// Body part.
    BodyPart,
    /// A question.
    Question,
    /// Its answer.
    Answer,
    /// Type of the answer.
    AnswerType,
    /// Type of the question.
    QuestionType,
    /// Language of the question.
    Language,
}

const WORDS: &[(&str, Role)] = &[
    ("image", Role::Image),
    ("id", Role::Id),
    ("patient", Role::Patient),
    ("report", Role::Report),
    ("caption", Role::Caption),
    ("label", Role::Label),
    ("view", Role::View),
    ("sex", Role::Sex),
    ("age", Role::Age),
    ("date", Role::Date),
    ("split", Role::Split),
    ("modality", Role::Modality),
    ("body_part", Role::BodyPart),
    ("question", Role::Question),
    ("answer", Role::Answer),
    ("answer_type", Role::AnswerType),
    ("question_type", Role::QuestionType),
    ("language", Role::Language),
];

/// Which column says what; `report` and `label` may be several.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Columns(Vec<(Role, String)>);

impl Role {
    /// Every role with its word.
    pub const ALL: &'static [(&'static str, Self)] = WORDS;

    /// True for a role that several columns may have.
    pub fn repeats(self) -> bool {
        matches!(self, Self::Label | Self::Report | Self::Caption)
    }
}

impl Columns {
    /// Columns with their roles.
    ///
    /// Errors if a role is given twice that only one column may have.
    pub fn new(pairs: impl IntoIterator<Item = (Role, String)>) -> Result<Self> {
        let mut columns: Vec<(Role, String)> = Vec::new();
        for (role, name) in pairs {
            if !role.repeats() && columns.iter().any(|(r, _)| *r == role) {
                let word = WORDS
                    .iter()
                    .find(|(_, r)| *r == role)
                    .map_or("", |(w, _)| w);
                return Err(LibraryError::Request(format!(
                    "the role {word:?} is given twice"
                )));
            }
            columns.push((role, name));
        }
        Ok(Self(columns))
    }

    /// Columns of a role, in order.
    pub fn of(&self, role: Role) -> impl Iterator<Item = &str> {
        let of_role = move |pair: &&(Role, String)| pair.0 == role;
        self.0.iter().filter(of_role).map(|(_, name)| name.as_str())
    }

    /// Every column that is named.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(_, name)| name.as_str())
    }

    /// True if nothing was chosen.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromStr for Role {
    type Err = LibraryError;

    fn from_str(text: &str) -> Result<Self> {
        let word = text.trim().to_lowercase().replace('-', "_");
        let role = WORDS.iter().find(|(w, _)| *w == word);
        role.map(|(_, role)| *role).ok_or_else(|| {
            LibraryError::Request(format!("there is no role {word:?}; roles are {}", known()))
        })
    }
}

fn known() -> String {
    let words: Vec<&str> = WORDS.iter().map(|(word, _)| *word).collect();
    words.join(", ")
}

impl FromStr for Columns {
    type Err = LibraryError;

    /// Reads `image=filename,patient=patientid,report=notes,label=finding`.
    fn from_str(text: &str) -> Result<Self> {
        let mut columns = Vec::new();
        for pair in text.split(',').filter(|pair| !pair.trim().is_empty()) {
            let (word, name) = pair.split_once('=').ok_or_else(|| {
                LibraryError::Request(format!("{pair:?} is no ROLE=COLUMN; roles are {}", known()))
            })?;
            columns.push((word.parse()?, name.trim().to_owned()));
        }
        Self::new(columns)
    }
}
