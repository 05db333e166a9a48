//! Labels: what is said of a case, by whom, and which are given together.

use serde::{Deserialize, Serialize};

use crate::error::{LibraryError, Result};

/// What is said of a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelValue {
    /// 1: present.
    Positive,
    /// 0: absent.
    Negative,
    /// -1: the report, or the reader, does not decide.
    Uncertain,
}

impl LabelValue {
    /// 1, 0 or -1, as CheXpert writes it.
    pub fn number(self) -> i64 {
        match self {
            Self::Positive => 1,
            Self::Negative => 0,
            Self::Uncertain => -1,
        }
    }

    pub(crate) fn from_number(number: i64) -> Self {
        match number {
            0 => Self::Negative,
            -1 => Self::Uncertain,
            _ => Self::Positive,
        }
    }
}

/// A named property of a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// As the source, or the set of labels, names it.
    pub name: String,
    /// What is said of it; a label that is not mentioned is not there.
    pub value: LabelValue,
    /// Who said it; none if it came with the case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reader: Option<String>,
    /// When, UTC, RFC 3339; none if it came with the case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

impl Label {
    /// A label that comes with the case.
    pub fn imported(name: impl Into<String>, value: LabelValue) -> Self {
        Self {
            name: name.into(),
            value,
            reader: None,
            at: None,
        }
    }

    /// A label that comes with the case and is present.
    pub fn present(name: impl Into<String>) -> Self {
        Self::imported(name, LabelValue::Positive)
    }
}

/// One label of one case, as a reader gave it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reading {
    /// The case.
    pub case_id: String,
    /// The label, with its reader.
    pub label: Label,
}

/// A label as it shall be: none takes it away.
pub type Wanted = (String, Option<LabelValue>);

/// What a reader did to a case, or took back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LabelAction {
    /// The case.
    pub case_id: String,
    /// Labels as they are now; none where there is none any more.
    pub labels: Vec<Wanted>,
}

/// Labels that are given together, on keys 1 to 9.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelScheme {
    /// Its name, unique in the library; upper and lower case are the same.
    pub name: String,
    /// True if exactly one of the classes holds; false for findings, each of which is present, absent or uncertain.
    pub exclusive: bool,
    /// The classes or findings, the first on key 1.
    pub classes: Vec<String>,
}

impl LabelScheme {
    /// Most classes: each has a key.
    pub const MOST: usize = 9;

    /// The set with blanks taken off its words.
    ///
    /// Errors if a name is empty, too long or there twice, or if there are too few or too many classes.
    pub fn checked(&self) -> Result<Self> {
        let name = plain_word(&self.name, "a set of labels")?;
        let classes = self.classes.iter().map(|c| plain_word(c, "a label"));
        let classes = classes.collect::<Result<Vec<_>>>()?;
        // Training names columns so: label=A+B,patient=…
        let columns = classes.iter().filter(|_| !self.exclusive).chain([&name]);
        if let Some(bad) = columns.into_iter().find(|c| c.contains(['=', '+', ','])) {
            return Err(LibraryError::Request(format!(
                "{bad:?}: the name of a set or of a finding has no '=', '+' and ','"
            )));
        }
        let least = if self.exclusive { 2 } else { 1 };
        if classes.len() < least || classes.len() > Self::MOST {
            return Err(LibraryError::Request(format!(
                "the set {name:?} has {} labels; {} need {least} to {}, one for each key",
                classes.len(),
                if self.exclusive {
                    "classes"
                } else {
                    "findings"
                },
                Self::MOST
            )));
        }
        for (i, class) in classes.iter().enumerate() {
            let twice = |other: &String| other.to_lowercase() == class.to_lowercase();
            if classes[..i].iter().any(twice) {
                return Err(LibraryError::Request(format!(
                    "the set {name:?} has the label {class:?} twice"
                )));
            }
        }
        Ok(Self {
            name,
            exclusive: self.exclusive,
            classes,
        })
    }

    /// The class of a name as the set spells it, whatever its case.
    ///
    /// Errors if the set has no such class.
    pub fn class(&self, name: &str) -> Result<&str> {
        let same = |class: &&String| class.to_lowercase() == name.trim().to_lowercase();
        let found = self.classes.iter().find(same).map(String::as_str);
        found.ok_or_else(|| {
            LibraryError::Request(format!(
                "the set {:?} has no label {name:?}; it has {}",
                self.name,
                self.classes.join(", ")
            ))
        })
    }
}

/// A reader's name with blanks taken off.
///
/// Errors if it is empty or too long.
pub fn reader_name(name: &str) -> Result<String> {
    plain_word(name, "a reader")
}

/// Words that stand in lists, tables and on buttons.
fn plain_word(word: &str, what: &str) -> Result<String> {
    let word = word.trim();
    let fits = (1..=60).contains(&word.chars().count()) && !word.chars().any(char::is_control);
    match fits {
        true => Ok(word.to_owned()),
        false => Err(LibraryError::Request(format!(
            "the name of {what} has 1 to 60 characters on one line"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scheme(exclusive: bool, classes: &[&str]) -> LabelScheme {
        LabelScheme {
            name: " Chest ".into(),
            exclusive,
            classes: classes.iter().map(|c| (*c).into()).collect(),
        }
    }

    #[test]
    fn a_set_is_taken_if_every_label_has_a_key_and_a_name_of_its_own() {
        let found = scheme(true, &[" normal", "COVID-19 "])
            .checked()
            .unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(found.name, "Chest");
        assert_eq!(found.classes, ["normal", "COVID-19"]);
        assert_eq!(found.class("covid-19").ok(), Some("COVID-19"));
        assert!(found.class("oedema").is_err());
        for (exclusive, classes) in [
            (true, &["normal"][..]),
            (false, &[][..]),
            (false, &["a", "b", "A"][..]),
            (false, &["a", " "][..]),
            (false, &["a+b"][..]),
            (
                false,
                &["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"][..],
            ),
        ] {
            assert!(scheme(exclusive, classes).checked().is_err(), "{classes:?}");
        }
        assert!(scheme(false, &["effusion"]).checked().is_ok());
        assert!(reader_name(" Dr. A ").is_ok() && reader_name("\n").is_err());
    }
}
