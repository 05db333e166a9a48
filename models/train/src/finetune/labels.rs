//! From the text of a table's label columns to labels.

use std::collections::BTreeMap;

use crate::probe::Labels;
use crate::{Result, TrainError};

/// Labels with the names of their classes or findings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelTable {
    /// Classes or findings.
    pub names: Vec<String>,
    /// Labels of every row.
    pub labels: Labels,
}

impl LabelTable {
    /// Reads labels for training.
    ///
    /// - `columns`: one column of class names; or one or several columns of findings with 1 and 0 (also yes/no, true/false,
    ///   present/absent), -1 or `uncertain` for uncertain and nothing for not stated, as CheXpert writes them
    /// - `groups`: the patient of each row
    ///
    /// Uncertain and missing labels take no part. Errors if fewer than two classes are there, if a finding is never present or
    /// never absent, or if a class has cases of one patient alone, which is most often a typing error.
    pub fn read(columns: &[(String, Vec<String>)], groups: &[u64]) -> Result<Self> {
        let table = match columns {
            [] => return Err(TrainError::Data("no label column is named".into())),
            [(_, values)] if values.iter().any(|v| verdict(v).is_none()) => classes_of(values),
            several => findings_of(several, None)?,
        };
        table.check(groups)?;
        Ok(table)
    }

    /// Reads labels for judging: the classes or findings are those of training, and all rows must be among them.
    ///
    /// Errors name the row and, where one looks alike, the class that was probably meant.
    pub fn read_as(
        names: &[String],
        exclusive: bool,
        columns: &[(String, Vec<String>)],
    ) -> Result<Self> {
        let labels = match (exclusive, columns) {
            (true, [(_, values)]) => Labels::Classes {
                of: values
                    .iter()
                    .enumerate()
                    .map(|(row, value)| class_of(value, names, row))
                    .collect::<Result<_>>()?,
                classes: names.len(),
            },
            (false, several) if !several.is_empty() => findings_of(several, Some(names))?.labels,
            _ => {
                return Err(TrainError::Data(
                    "the adapter tells classes apart, so one label column is wanted".into(),
                ));
            }
        };
        Ok(Self {
            names: names.to_vec(),
            labels,
        })
    }

    /// Whether classes exclude each other.
    pub fn exclusive(&self) -> bool {
        matches!(self.labels, Labels::Classes { .. })
    }

    /// Cases and patients with each class, by name.
    pub fn counts(&self, groups: &[u64]) -> Vec<(String, usize, usize)> {
        (0..self.names.len())
            .map(|class| {
                let rows: Vec<usize> = (0..groups.len())
                    .filter(|i| self.labels.truth(*i, class) == Some(true))
                    .collect();
                let mut patients: Vec<u64> = rows.iter().map(|i| groups[*i]).collect();
                patients.sort_unstable();
                patients.dedup();
                (self.names[class].clone(), rows.len(), patients.len())
            })
            .collect()
    }

    fn check(&self, groups: &[u64]) -> Result<()> {
        if self.exclusive() && self.names.len() < 2 {
            return Err(TrainError::Data(format!(
                "all labelled cases have one class ({}); label cases of at least two classes",
                self.names.first().map_or("none", String::as_str)
            )));
        }
        for (class, name) in self.names.iter().enumerate() {
            let patients = |wanted: bool| {
                let mut of: Vec<u64> = (0..groups.len())
                    .filter(|i| self.labels.truth(*i, class) == Some(wanted))
                    .map(|i| groups[i])
                    .collect();
                of.sort_unstable();
                of.dedup();
                of.len()
            };
            let (with, without) = (patients(true), patients(false));
            if with >= 2 && without >= 2 {
                continue;
            }
            let hint = nearest(name, self.names.iter().filter(|n| *n != name))
                .map(|other| format!("; is it a typing error for `{other}`?"))
                .unwrap_or_default();
            return Err(TrainError::Data(format!(
                "`{name}` is present in {with} patients and absent in {without}, and both want at least two{hint}"
            )));
        }
        Ok(())
    }
}

/// Rows with one image and different labels, in pairs counted from 0.
pub fn contradictions(images: &[String], labels: &Labels) -> Vec<(usize, usize)> {
    let mut first: BTreeMap<&str, usize> = BTreeMap::new();
    let mut pairs = Vec::new();
    for (row, image) in images.iter().enumerate() {
        let earlier = *first.entry(image).or_insert(row);
        let differs = (0..labels.width()).any(|class| {
            let (a, b) = (labels.truth(earlier, class), labels.truth(row, class));
            a.is_some() && b.is_some() && a != b
        });
        if differs {
            pairs.push((earlier, row));
        }
    }
    pairs
}

/// A finding's cell: known, uncertain or not stated (`Some(None)`), or no such thing at all.
fn verdict(cell: &str) -> Option<Option<bool>> {
    match cell.trim().to_ascii_lowercase().as_str() {
        "1" | "1.0" | "yes" | "true" | "present" | "positive" => Some(Some(true)),
        "0" | "0.0" | "no" | "false" | "absent" | "negative" => Some(Some(false)),
        "-1" | "-1.0" | "uncertain" | "" | "nan" | "na" => Some(None),
        _ => None,
    }
}

fn is_blank(cell: &str) -> bool {
    matches!(cell.trim().to_ascii_lowercase().as_str(), "" | "nan" | "na")
}

fn classes_of(values: &[String]) -> LabelTable {
    let mut names: Vec<String> = values
        .iter()
        .map(|v| v.trim().to_string())
        .filter(|v| !is_blank(v))
        .collect();
    names.sort();
    names.dedup();
    let of = values
        .iter()
        .map(|v| names.iter().position(|n| n == v.trim()))
        .collect();
    LabelTable {
        labels: Labels::Classes {
            of,
            classes: names.len(),
        },
        names,
    }
}

fn class_of(value: &str, names: &[String], row: usize) -> Result<Option<usize>> {
    if is_blank(value) {
        return Ok(None);
    }
    let value = value.trim();
    if let Some(class) = names.iter().position(|n| n == value) {
        return Ok(Some(class));
    }
    let hint = nearest(value, names.iter())
        .map(|other| format!("; `{other}` may be meant"))
        .unwrap_or_default();
    Err(TrainError::Data(format!(
        "case {}: `{value}` is not one of the classes {}{hint}",
        row + 1,
        names.join(", ")
    )))
}

fn findings_of(columns: &[(String, Vec<String>)], names: Option<&[String]>) -> Result<LabelTable> {
    let wanted: Vec<String> = match names {
        Some(names) => names.to_vec(),
        None => columns.iter().map(|(name, _)| name.clone()).collect(),
    };
    let rows = columns.first().map_or(0, |(_, values)| values.len());
    let mut of = vec![vec![None; wanted.len()]; rows];
    for (finding, name) in wanted.iter().enumerate() {
        let Some((_, values)) = columns.iter().find(|(column, _)| column == name) else {
            continue;
        };
        for (row, cell) in values.iter().enumerate() {
            of[row][finding] = verdict(cell).ok_or_else(|| {
                TrainError::Data(format!(
                    "case {}, column `{name}`: a finding is 1, 0, -1 or empty, not a word",
                    row + 1
                ))
            })?;
        }
    }
    Ok(LabelTable {
        labels: Labels::Findings {
            of,
            findings: wanted.len(),
        },
        names: wanted,
    })
}

/// The name that differs least, if by no more than a third of its letters; case and punctuation do not count.
fn nearest<'a>(word: &str, names: impl Iterator<Item = &'a String>) -> Option<&'a String> {
    let plain = |s: &str| -> Vec<char> {
        s.to_lowercase()
            .chars()
            .filter(|c| c.is_alphanumeric())
            .collect()
    };
    let word = plain(word);
    names
        .map(|name| (edits(&word, &plain(name)), name))
        .filter(|(distance, _)| 3 * distance <= word.len().max(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// The Levenshtein distance.
fn edits(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let next = (diagonal + usize::from(x != y))
                .min(row[j] + 1)
                .min(row[j + 1] + 1);
            diagonal = row[j + 1];
            row[j + 1] = next;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, values: &[&str]) -> (String, Vec<String>) {
        let values = values.iter().map(|v| (*v).to_string()).collect();
        (name.to_string(), values)
    }

    #[test]
    fn class_names_and_findings_are_told_apart() {
        let groups = [1, 2, 3, 4, 5];
        let classes = [column("view", &["PA", "AP", "PA", "AP", ""])];
        let table = LabelTable::read(&classes, &groups).unwrap();
        assert_eq!(table.names, ["AP", "PA"]);
        assert_eq!(table.labels.truth(0, 1), Some(true));
        assert_eq!(
            table.labels.truth(4, 1),
            None,
            "an empty label takes no part"
        );
        let findings = [
            column("edema", &["1", "0", "-1", "0", "1.0"]),
            column("mass", &["no", "", "yes", "1", "0"]),
        ];
        let table = LabelTable::read(&findings, &groups).unwrap();
        assert!(!table.exclusive());
        assert_eq!(table.labels.truth(2, 0), None);
        assert_eq!(table.labels.truth(2, 1), Some(true));
        assert_eq!(table.counts(&groups)[0], ("edema".to_string(), 2, 2));
    }

    #[test]
    fn typing_errors_and_single_classes_are_refused_with_a_hint() {
        let groups = [1, 2, 3, 4, 5];
        let refuse = |values: &[&str]| {
            LabelTable::read(&[column("finding", values)], &groups)
                .unwrap_err()
                .to_string()
        };
        let typo = refuse(&["COVID-19", "COVID-19", "none", "none", "Covid19"]);
        assert!(typo.contains("typing error for `COVID-19`"), "{typo}");
        assert!(refuse(&["a", "a", "a", "a", "a"]).contains("one class"));
        let names = ["COVID-19".to_string(), "none".to_string()];
        let bad = LabelTable::read_as(&names, true, &[column("f", &["none", "COVID19"])]);
        let message = bad.unwrap_err().to_string();
        assert!(
            message.contains("case 2") && message.contains("may be meant"),
            "{message}"
        );
        let word = [
            column("edema", &["1", "maybe"]),
            column("mass", &["0", "1"]),
        ];
        assert!(LabelTable::read(&word, &[1, 2]).is_err());
    }

    #[test]
    fn one_image_with_two_labels_is_a_contradiction() {
        let labels = Labels::Classes {
            of: vec![Some(0), Some(1), Some(1), None],
            classes: 2,
        };
        let images = ["a", "b", "a", "a"].map(str::to_string);
        assert_eq!(contradictions(&images, &labels), [(0, 2)]);
    }
}
