//! Scores of every case, for recomputing a report elsewhere.

use std::path::Path;

use lucency_train::finetune::LabelTable;

use super::cases::Cases;
use crate::csv;
use crate::output::CommandError;

/// Writes image, patient, label, and each class's probability with the adapter and with the base pack alone.
///
/// Columns of probabilities are `score:CLASS` and `base:CLASS`; labels of several findings are `label:FINDING` with 1, 0 or nothing.
pub fn write(
    path: &Path,
    cases: &Cases,
    rows: &[usize],
    table: &LabelTable,
    adapted: &[Vec<f64>],
    base: &[Vec<f64>],
) -> Result<(), CommandError> {
    let mut header = vec!["image".to_owned(), "patient".to_owned()];
    match table.exclusive() {
        true => header.push("label".to_owned()),
        false => header.extend(table.names.iter().map(|n| format!("label:{n}"))),
    }
    header.extend(table.names.iter().map(|n| format!("score:{n}")));
    header.extend(table.names.iter().map(|n| format!("base:{n}")));
    let mut text = csv::record(header.iter().map(String::as_str));
    for (i, row) in rows.iter().enumerate() {
        let mut fields = vec![cases.images[*row].clone(), cases.patients[*row].clone()];
        let truths: Vec<Option<bool>> = (0..table.names.len())
            .map(|class| table.labels.truth(i, class))
            .collect();
        if table.exclusive() {
            let class = truths.iter().position(|t| *t == Some(true));
            fields.push(class.map(|c| table.names[c].clone()).unwrap_or_default());
        } else {
            fields.extend(truths.iter().map(|t| match t {
                Some(true) => "1".to_owned(),
                Some(false) => "0".to_owned(),
                None => String::new(),
            }));
        }
        let all = adapted[i].iter().chain(&base[i]);
        fields.extend(all.map(|p| format!("{p}"))); // shortest text that reads back to the same number
        text.push_str(&csv::record(fields.iter().map(String::as_str)));
    }
    std::fs::write(path, text)
        .map_err(|e| CommandError::new("io", format!("{}: {e}", path.display())))
}
