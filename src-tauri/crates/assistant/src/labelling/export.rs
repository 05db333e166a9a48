//! Labels as a table.

use lucency_library::{CaseRecord, Labelling as _, Storage as _};

use crate::cases::CaseLibrary;
use crate::csv;
use crate::error::Result;

/// Columns of the table.
const COLUMNS: [&str; 7] = ["case", "image", "patient", "reader", "label", "value", "at"];

impl CaseLibrary {
    /// Every label that readers gave of a set, a row a label, as comma-separated values.
    ///
    /// - `reader`: one reader's alone
    ///
    /// `image` is the path of the case's first image, `patient` a pseudonym, `value` 1, 0 or -1. With `value` 1 of one reader the table is
    /// one that training takes.
    /// Errors if there is no such set.
    pub fn label_table(&self, set: &str, reader: Option<&str>) -> Result<String> {
        let store = self.existing()?;
        let set = store.label_set(set)?;
        let mut text = csv::record(COLUMNS);
        let mut case: Option<CaseRecord> = None;
        for reading in store.readings(reader, &set.classes)? {
            if case.as_ref().is_none_or(|case| case.id != reading.case_id) {
                case = Some(store.get(&reading.case_id)?);
            }
            let Some(case) = &case else { continue };
            let image = case.images.first().map(|image| {
                let path = std::path::Path::new(&case.source.root).join(&image.path);
                path.to_string_lossy().into_owned()
            });
            let label = &reading.label;
            text += &csv::record([
                case.id.as_str(),
                image.as_deref().unwrap_or_default(),
                case.patient.as_deref().unwrap_or_default(),
                label.reader.as_deref().unwrap_or_default(),
                &label.name,
                &label.value.number().to_string(),
                label.at.as_deref().unwrap_or_default(),
            ]);
        }
        Ok(text)
    }
}
