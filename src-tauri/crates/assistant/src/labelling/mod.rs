//! Labelling the department's cases: what a reader says of a case, which is next, how two readers agree.

mod agree;
mod export;
mod next;
mod scores;
mod settle;

use std::path::Path;

use lucency_library::{
    Filter, Label, LabelAction, LabelScheme, LabelValue, Labelling as _, SqliteStore, Storage as _,
    Wanted, file_digest, reader_name,
};

pub(crate) use settle::{Settled, settle};

use crate::cases::{CaseLibrary, describe};
use crate::dto::{
    LabelAsk, LabelCount, LabelProgress, LabelReader, LabelSetDto, LabelWanted, LabelledCase,
};
use crate::error::{AssistantError, Result};

impl CaseLibrary {
    /// Sets of labels, by name; none without a library.
    pub fn label_sets(&self) -> Result<Vec<LabelSetDto>> {
        let Some(store) = self.store()? else {
            return Ok(Vec::new());
        };
        let sets = store.label_sets()?;
        Ok(sets.into_iter().map(LabelSetDto::from).collect())
    }

    /// Keeps a set of labels, in place of an earlier one of its name.
    ///
    /// Errors if there is no library, or the set has no or too many labels, or one twice.
    pub fn keep_label_set(&self, set: &LabelSetDto) -> Result<LabelSetDto> {
        let scheme = LabelScheme::from(set.clone());
        let store = self.existing()?;
        store.put_label_set(&scheme)?;
        Ok(store.label_set(&scheme.name)?.into())
    }

    /// Forgets a set of labels; labels that were given stay. False if there was none.
    pub fn forget_label_set(&self, name: &str) -> Result<bool> {
        Ok(self.existing()?.remove_label_set(name)?)
    }

    /// The library's case that has an image file; of several the first. None without a library.
    ///
    /// Errors if the file cannot be read.
    pub fn case_of_file(&self, file: &Path) -> Result<Option<String>> {
        let Some(store) = self.store()? else {
            return Ok(None);
        };
        let (hash, _) = file_digest(file).map_err(|source| AssistantError::Io {
            what: "the image file".into(),
            source,
        })?;
        Ok(store
            .cases_with_image(Some(&hash), None)?
            .into_iter()
            .next())
    }

    /// What a reader may see of a case's labels.
    ///
    /// Errors if there is no such case or set.
    pub fn labelled_case(&self, case_id: &str, ask: &LabelAsk) -> Result<LabelledCase> {
        let store = self.existing()?;
        labelled(&store, case_id, ask)
    }

    /// Gives a case a reader's labels, or takes them away. In a set of classes that exclude each other, one that is present takes the
    /// place of another.
    ///
    /// - `at`: now, UTC, RFC 3339
    ///
    /// Errors if there is no such case, set or label, or the reader's name cannot be used.
    pub fn give_labels(
        &self,
        case_id: &str,
        ask: &LabelAsk,
        wanted: &[LabelWanted],
        at: &str,
    ) -> Result<LabelledCase> {
        let store = self.existing()?;
        let set = store.label_set(&ask.set)?;
        let wanted = complete(&set, wanted)?;
        store.give_labels(case_id, &ask.reader, &wanted, at)?;
        labelled(&store, case_id, ask)
    }

    /// Takes back what a reader did last, in whatever set; none if there is nothing.
    pub fn undo_labels(&self, ask: &LabelAsk, at: &str) -> Result<Option<LabelledCase>> {
        let store = self.existing()?;
        let done = store.undo_labels(&ask.reader, at)?;
        after(&store, done, ask)
    }

    /// Does again what a reader took back last; none if there is nothing.
    pub fn redo_labels(&self, ask: &LabelAsk, at: &str) -> Result<Option<LabelledCase>> {
        let store = self.existing()?;
        let done = store.redo_labels(&ask.reader, at)?;
        after(&store, done, ask)
    }

    /// How far a reader has come with a set.
    ///
    /// Errors if there is no such set.
    pub fn label_progress(&self, ask: &LabelAsk) -> Result<LabelProgress> {
        let store = self.existing()?;
        let set = store.label_set(&ask.set)?;
        let reader = reader_name(&ask.reader)?;
        let readings = store.readings(Some(&reader), &set.classes)?;
        let mut read: Vec<&str> = readings.iter().map(|r| r.case_id.as_str()).collect();
        read.dedup(); // by case
        let nobody = "\u{0}"; // no reader's name: every case with an image is left
        let cases = store.unread(&Filter::default(), nobody, &set.classes, None)?;
        let classes = set.classes.iter().map(|class| {
            let count = |value: LabelValue| {
                let same = |label: &Label| same_name(&label.name, class) && label.value == value;
                readings.iter().filter(|r| same(&r.label)).count()
            };
            LabelCount {
                name: class.clone(),
                present: count(LabelValue::Positive),
                absent: count(LabelValue::Negative),
                uncertain: count(LabelValue::Uncertain),
            }
        });
        let (undo, redo) = store.undoable_labels(&reader)?;
        Ok(LabelProgress {
            cases: cases.len(),
            read: read.len(),
            classes: classes.collect(),
            readers: readers(&store, &set)?,
            can_undo: undo > 0,
            can_redo: redo > 0,
        })
    }
}

fn readers(store: &SqliteStore, set: &LabelScheme) -> Result<Vec<LabelReader>> {
    let counts = store.readers(&set.classes)?;
    let reader = |count: lucency_library::Count| LabelReader {
        name: count.name,
        cases: count.cases,
    };
    Ok(counts.into_iter().map(reader).collect())
}

fn after(
    store: &SqliteStore,
    done: Option<LabelAction>,
    ask: &LabelAsk,
) -> Result<Option<LabelledCase>> {
    done.map(|action| labelled(store, &action.case_id, ask))
        .transpose()
}

fn labelled(store: &SqliteStore, case_id: &str, ask: &LabelAsk) -> Result<LabelledCase> {
    let set = store.label_set(&ask.set)?;
    let reader = reader_name(&ask.reader)?;
    let case = store.get(case_id)?;
    let mut found = LabelledCase {
        case_id: case.id,
        own: Vec::new(),
        others: Vec::new(),
        hidden: false,
    };
    for class in &set.classes {
        for label in case.labels.iter().filter(|l| same_name(&l.name, class)) {
            let shown = describe::label(label);
            match &label.reader {
                Some(other) if same_name(other, &reader) => found.own.push(shown),
                _ if ask.blind => found.hidden = true,
                _ => found.others.push(shown),
            }
        }
    }
    Ok(found)
}

/// Wanted labels as the set spells them, and what goes with them.
fn complete(set: &LabelScheme, wanted: &[LabelWanted]) -> Result<Vec<Wanted>> {
    let mut all: Vec<Wanted> = Vec::new();
    for one in wanted {
        let class = set.class(&one.name)?;
        let value = match one.value {
            None => None,
            Some(1) => Some(LabelValue::Positive),
            Some(0) => Some(LabelValue::Negative),
            Some(-1) => Some(LabelValue::Uncertain),
            Some(other) => {
                return Err(AssistantError::Data(format!(
                    "{other} is no value of a label: 1 is present, 0 absent, -1 uncertain"
                )));
            }
        };
        if set.exclusive && value == Some(LabelValue::Positive) {
            let others = set.classes.iter().filter(|c| *c != class);
            all.extend(others.map(|c| (c.clone(), None)));
        }
        all.retain(|(name, _)| name != class);
        all.push((class.to_owned(), value));
    }
    Ok(all)
}

/// True for one name in two spellings.
fn same_name(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.trim().to_lowercase()
}

impl From<LabelScheme> for LabelSetDto {
    fn from(set: LabelScheme) -> Self {
        Self {
            name: set.name,
            exclusive: set.exclusive,
            classes: set.classes,
        }
    }
}

impl From<LabelSetDto> for LabelScheme {
    fn from(set: LabelSetDto) -> Self {
        Self {
            name: set.name,
            exclusive: set.exclusive,
            classes: set.classes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(exclusive: bool) -> LabelScheme {
        LabelScheme {
            name: "s".into(),
            exclusive,
            classes: ["a", "b", "c"].map(String::from).to_vec(),
        }
    }

    fn want(name: &str, value: Option<i8>) -> LabelWanted {
        LabelWanted {
            name: name.into(),
            value,
        }
    }

    #[test]
    fn a_class_that_is_present_takes_the_place_of_the_others_and_a_finding_does_not() {
        let classes = complete(&set(true), &[want("B", Some(1))]).unwrap_or_default();
        let names: Vec<(&str, bool)> = classes
            .iter()
            .map(|(n, v)| (n.as_str(), v.is_some()))
            .collect();
        assert_eq!(names, [("a", false), ("c", false), ("b", true)]);
        let findings = complete(&set(false), &[want("B", Some(1)), want("a", Some(0))]);
        assert_eq!(findings.map(|f| f.len()).ok(), Some(2));
        assert!(complete(&set(false), &[want("d", None)]).is_err());
        assert!(complete(&set(false), &[want("a", Some(2))]).is_err());
    }
}
