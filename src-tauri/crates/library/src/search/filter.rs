//! Filters as people write them: `modality=CT`, `age=40..60`, `date=2020..2021-06`.

use crate::error::{LibraryError, Result};
use crate::import::date;
use crate::records::Filter;

const KEYS: &str =
    "source, modality, body_part, view, sex, age, date, label, reader, split, patient, not_patient";

impl Filter {
    /// Reads conditions of the form `key=value`.
    ///
    /// Errors if a key is unknown or given twice, or if a range cannot be read.
    pub fn parse<S: AsRef<str>>(conditions: &[S]) -> Result<Self> {
        let mut filter = Self::default();
        let mut seen = Vec::new();
        for condition in conditions {
            let condition = condition.as_ref();
            let (key, value) = condition.split_once('=').ok_or_else(|| {
                LibraryError::Request(format!("{condition:?} is no KEY=VALUE; keys are {KEYS}"))
            })?;
            let key = key.trim().replace('-', "_");
            if seen.contains(&key) {
                return Err(LibraryError::Request(format!(
                    "the filter {key:?} is given twice"
                )));
            }
            filter.set(&key, value.trim())?;
            seen.push(key);
        }
        Ok(filter)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<()> {
        let text = Some(value.to_owned()).filter(|value| !value.is_empty());
        let text =
            text.ok_or_else(|| LibraryError::Request(format!("the filter {key:?} has no value")))?;
        match key {
            "source" => self.source = Some(text),
            "modality" => self.modality = Some(text),
            "body_part" => self.body_part = Some(text),
            "view" => self.view = Some(text),
            "sex" => self.sex = Some(text),
            "label" => self.label = Some(text),
            "reader" => self.reader = Some(text),
            "split" => self.split = Some(text),
            "patient" => self.patient = Some(text),
            "not_patient" => self.not_patient = Some(text),
            "age" => {
                let (from, to) = range(&text);
                (self.age_from, self.age_to) = (years(from)?, years(to)?);
            }
            "date" => {
                let (from, to) = range(&text);
                (self.date_from, self.date_to) = (day(from)?, day(to)?);
            }
            _ => {
                return Err(LibraryError::Request(format!(
                    "there is no filter {key:?}; filters are {KEYS}"
                )));
            }
        }
        Ok(())
    }
}

/// Both ends of `from..to`; one value is both.
fn range(text: &str) -> (&str, &str) {
    text.split_once("..").unwrap_or((text, text))
}

fn years(text: &str) -> Result<Option<u16>> {
    match text.trim() {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| {
            LibraryError::Request(format!("{text:?} is no age in years; write age=40..60"))
        }),
    }
}

fn day(text: &str) -> Result<Option<String>> {
    match text.trim() {
        "" => Ok(None),
        text => date(text).map(Some).ok_or_else(|| {
            LibraryError::Request(format!(
                "{text:?} is no date; write date=2020-01-01..2020-06"
            ))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_may_be_open_at_one_end() {
        let filter = Filter::parse(&["age=40..", "date=..2020-06", "modality=ct"]).unwrap();
        assert_eq!((filter.age_from, filter.age_to), (Some(40), None));
        assert_eq!(
            (filter.date_from, filter.date_to.as_deref()),
            (None, Some("2020-06"))
        );
        assert_eq!(filter.modality.as_deref(), Some("ct"));
        let one = Filter::parse(&["age=7"]).unwrap();
        assert_eq!((one.age_from, one.age_to), (Some(7), Some(7)));
    }

    #[test]
    fn what_cannot_be_meant_is_an_error() {
        for bad in ["colour=red", "age=old", "date=soon", "age", "label="] {
            let error = Filter::parse(&[bad]).expect_err(bad);
            assert_eq!(error.code(), "bad_request", "{bad}");
        }
        assert!(Filter::parse(&["age=1", "age=2"]).is_err(), "given twice");
    }
}
