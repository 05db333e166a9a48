//! How two readers agree.

use std::collections::BTreeMap;

use lucency_library::{LabelScheme, LabelValue, Labelling as _, Reading, SqliteStore, reader_name};
use lucency_train::statistics::{KappaWeights, measure_kappa};

use super::same_name;
use crate::cases::CaseLibrary;
use crate::dto::{AgreementRow, LabelAgreement, LabelDisagreement};
use crate::error::{AssistantError, Result};

/// Confidence of the intervals.
const LEVEL: f64 = 0.95;
/// Answers to the question whether a finding is there.
const FINDING: [&str; 3] = ["present", "absent", "uncertain"];

/// A reader's labels of a set: by case, in the order of the set's classes.
type Readings = BTreeMap<String, Vec<Option<LabelValue>>>;

/// Both answers to one question, by case.
struct Pairs<'a> {
    name: &'a str,
    cases: Vec<&'a str>,
    first: Vec<usize>,
    second: Vec<usize>,
}

impl CaseLibrary {
    /// How two readers agree on a set of labels: Cohen's kappa with its interval, and every case on which they differ.
    ///
    /// Errors if there is no such set, or the readers are one.
    pub fn label_agreement(&self, set: &str, first: &str, second: &str) -> Result<LabelAgreement> {
        let store = self.existing()?;
        let set = store.label_set(set)?;
        let (first, second) = (reader_name(first)?, reader_name(second)?);
        if same_name(&first, &second) {
            return Err(AssistantError::Data(
                "agreement is that of two readers; name two".into(),
            ));
        }
        let a = readings(&store, &set, &first)?;
        let b = readings(&store, &set, &second)?;
        Ok(agreement(&set, (&first, &a), (&second, &b)))
    }
}

fn readings(store: &SqliteStore, set: &LabelScheme, reader: &str) -> Result<Readings> {
    let mut all = Readings::new();
    for Reading { case_id, label } in store.readings(Some(reader), &set.classes)? {
        let row = all.entry(case_id);
        let row = row.or_insert_with(|| vec![None; set.classes.len()]);
        if let Some(class) = set.classes.iter().position(|c| same_name(c, &label.name)) {
            row[class] = Some(label.value);
        }
    }
    Ok(all)
}

fn agreement(
    set: &LabelScheme,
    (first, a): (&str, &Readings),
    (second, b): (&str, &Readings),
) -> LabelAgreement {
    let answers: Vec<String> = match set.exclusive {
        true => set.classes.clone(),
        false => FINDING.map(String::from).to_vec(),
    };
    let questions: Vec<Pairs<'_>> = match set.exclusive {
        true => vec![pairs(&set.name, a, b, &only_class)],
        false => (0..set.classes.len())
            .map(|c| pairs(&set.classes[c], a, b, &|row| row[c].map(of_value)))
            .collect(),
    };
    let mut table = vec![vec![0; answers.len()]; answers.len()];
    let mut disagreements = Vec::new();
    for question in &questions {
        for ((case, x), y) in question
            .cases
            .iter()
            .zip(&question.first)
            .zip(&question.second)
        {
            table[*x][*y] += 1;
            if x != y {
                disagreements.push(LabelDisagreement {
                    case_id: (*case).to_owned(),
                    name: question.name.to_owned(),
                    first: answers[*x].clone(),
                    second: answers[*y].clone(),
                });
            }
        }
    }
    let mut rows: Vec<AgreementRow> = questions.iter().map(row).collect();
    if set.exclusive && set.classes.len() > 2 {
        // Each class against the rest.
        let rest = set.classes.iter().enumerate().map(|(class, name)| {
            let is = |all: &[usize]| all.iter().map(|c| usize::from(*c == class)).collect();
            row(&Pairs {
                name,
                cases: questions[0].cases.clone(),
                first: is(&questions[0].first),
                second: is(&questions[0].second),
            })
        });
        rows.extend(rest.collect::<Vec<_>>());
    }
    LabelAgreement {
        set: set.name.clone(),
        first: first.to_owned(),
        second: second.to_owned(),
        first_cases: a.len(),
        second_cases: b.len(),
        both: a.keys().filter(|case| b.contains_key(*case)).count(),
        rows,
        answers,
        table,
        disagreements,
    }
}

fn of_value(value: LabelValue) -> usize {
    match value {
        LabelValue::Positive => 0,
        LabelValue::Negative => 1,
        LabelValue::Uncertain => 2,
    }
}

/// The one class that is present.
fn only_class(row: &[Option<LabelValue>]) -> Option<usize> {
    let mut present = (0..row.len()).filter(|c| row[*c] == Some(LabelValue::Positive));
    present.next().filter(|_| present.next().is_none())
}

/// Cases that both answered.
fn pairs<'a>(
    name: &'a str,
    a: &'a Readings,
    b: &Readings,
    answer: &dyn Fn(&[Option<LabelValue>]) -> Option<usize>,
) -> Pairs<'a> {
    let mut pairs = Pairs {
        name,
        cases: Vec::new(),
        first: Vec::new(),
        second: Vec::new(),
    };
    for (case, row) in a {
        let other = b.get(case).and_then(|row| answer(row));
        if let (Some(first), Some(second)) = (answer(row), other) {
            pairs.cases.push(case);
            pairs.first.push(first);
            pairs.second.push(second);
        }
    }
    pairs
}

fn row(pairs: &Pairs<'_>) -> AgreementRow {
    let found = measure_kappa(&pairs.first, &pairs.second, KappaWeights::Plain).ok();
    let interval = found.and_then(|kappa| kappa.interval(LEVEL));
    let same = pairs
        .first
        .iter()
        .zip(&pairs.second)
        .filter(|(a, b)| a == b);
    let cases = pairs.cases.len();
    AgreementRow {
        name: pairs.name.to_owned(),
        cases,
        agreement: if cases == 0 {
            0.0
        } else {
            same.count() as f64 / cases as f64
        },
        kappa: found.map(|kappa| kappa.value),
        low: interval.map(|i| i.0),
        high: interval.map(|i| i.1),
        words: match found {
            Some(kappa) => strength(kappa.value).to_owned(),
            None if cases == 0 => "no case that both read".to_owned(),
            None => "one answer throughout: kappa has no value".to_owned(),
        },
    }
}

/// Source: Landis & Koch 1977, section 4.
fn strength(kappa: f64) -> &'static str {
    match kappa {
        k if k < 0.0 => "poor",
        k if k <= 0.2 => "slight",
        k if k <= 0.4 => "fair",
        k if k <= 0.6 => "moderate",
        k if k <= 0.8 => "substantial",
        _ => "almost perfect",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(exclusive: bool) -> LabelScheme {
        LabelScheme {
            name: "chest".into(),
            exclusive,
            classes: ["a", "b", "c"].map(String::from).to_vec(),
        }
    }

    /// Readings of cases numbered from 0, of one class each.
    fn of_classes(classes: &[usize]) -> Readings {
        let row = |(i, class): (usize, &usize)| {
            let mut row = vec![None; 3];
            row[*class] = Some(LabelValue::Positive);
            (format!("case-{i}"), row)
        };
        classes.iter().enumerate().map(row).collect()
    }

    #[test]
    fn classes_agree_as_scikit_learn_says() {
        let a = of_classes(&[0, 0, 1, 1, 2, 2, 0, 1]);
        let b = of_classes(&[0, 1, 1, 1, 2, 0, 0]); // read one case less
        let found = agreement(&set(true), ("Anna", &a), ("Ben", &b));
        assert_eq!(
            (found.first_cases, found.second_cases, found.both),
            (8, 7, 7)
        );
        let kappa = found.rows[0].kappa.unwrap_or_default();
        // sklearn.metrics.cohen_kappa_score([0,0,1,1,2,2,0], [0,1,1,1,2,0,0])
        assert!((kappa - 0.5625).abs() < 1e-12, "{kappa}");
        assert_eq!(found.rows[0].words, "moderate");
        assert_eq!(found.rows.len(), 4, "and each class against the rest");
        assert_eq!(found.table, [[2, 1, 0], [0, 2, 0], [1, 0, 1]]);
        let differ: Vec<&str> = found
            .disagreements
            .iter()
            .map(|d| d.case_id.as_str())
            .collect();
        assert_eq!(differ, ["case-1", "case-5"]);
        assert_eq!(
            (
                found.disagreements[0].first.as_str(),
                found.disagreements[0].second.as_str()
            ),
            ("a", "b")
        );
    }

    #[test]
    fn findings_are_compared_where_both_gave_an_answer() {
        let yes = Some(LabelValue::Positive);
        let no = Some(LabelValue::Negative);
        let unsure = Some(LabelValue::Uncertain);
        let of = |rows: &[[Option<LabelValue>; 3]]| -> Readings {
            let row = |(i, row): (usize, &[Option<LabelValue>; 3])| (format!("{i}"), row.to_vec());
            rows.iter().enumerate().map(row).collect()
        };
        let a = of(&[[yes, no, None], [no, no, yes], [yes, no, None]]);
        let b = of(&[[yes, no, yes], [no, no, None], [unsure, no, None]]);
        let found = agreement(&set(false), ("Anna", &a), ("Ben", &b));
        assert_eq!(
            found.rows.iter().map(|r| r.cases).collect::<Vec<_>>(),
            [3, 3, 0]
        );
        assert_eq!(found.rows[1].kappa, None, "one answer throughout");
        assert_eq!(found.disagreements.len(), 1);
        assert_eq!(found.disagreements[0].second, "uncertain");
    }
}
