//! What a table holds, and what speaks against training on it.

use lucency_nn::{Interrupt, Progress};
use lucency_train::cohort::{Part, check_leaks, join_duplicates};
use lucency_train::finetune::LabelTable;

use super::cases::Cases;
use super::divide::LEAST_PATIENTS;
use super::fit::{counts, refuse_contradictions};
use super::{Base, Table};
use crate::Options;
use crate::dto::{ClassCount, TrainingData, TrainingPreview, TrainingProblem};
use crate::error::{AssistantError, Result};

/// Reads a table and its images and says what is there.
///
/// - `pack`: none for the default one
///
/// Errors if stopped, or the pack or the table cannot be read at all; what else is wrong is in the list of problems.
pub fn preview(
    options: &Options,
    data: &TrainingData,
    pack: Option<&str>,
    stop: &Interrupt,
    report: &mut dyn FnMut(Progress),
) -> Result<TrainingPreview> {
    let base = Base::open(options, pack)?;
    let rows = Table::read(std::path::Path::new(&data.table))?.len();
    let mut found = TrainingPreview {
        cases: rows,
        patients: 0,
        patients_known: data.columns.patient.is_some(),
        exclusive: true,
        classes: Vec::new(),
        unlabelled: 0,
        reports: 0,
        problems: Vec::new(),
    };
    if data.left_out > 0 {
        let message = format!(
            "{} cases are left out: readers differ on their labels. Settle them in the panel Label, or choose one reader.",
            data.left_out
        );
        found.problems.push(warning("readers_disagree", message));
    }
    let identity = base.identity();
    match Cases::read(data, base.preprocess(), &identity, &[], stop, report) {
        Err(AssistantError::Stopped) => return Err(AssistantError::Stopped),
        Err(error) => found.problems.push(blocking(&error)),
        Ok(cases) => look(&cases, &mut found),
    }
    Ok(found)
}

fn blocking(error: &AssistantError) -> TrainingProblem {
    TrainingProblem {
        code: error.code().to_owned(),
        message: error.to_string(),
        blocking: true,
    }
}

fn warning(code: &str, message: String) -> TrainingProblem {
    TrainingProblem {
        code: code.to_owned(),
        message,
        blocking: false,
    }
}

fn look(cases: &Cases, found: &mut TrainingPreview) {
    let groups = join_duplicates(&cases.members);
    found.patients = groups.iter().max().map_or(0, |last| *last as usize + 1);
    found.reports = cases
        .reports
        .iter()
        .filter(|r| !r.trim().is_empty())
        .count();
    if !found.patients_known {
        let message = "No column says who the patients are: every image counts as a patient of its own, \
                       and images of one patient may be trained on and judged on.";
        found.problems.push(warning("no_patients", message.into()));
    }
    if let Some(parts) = &cases.parts {
        let of = |wanted: &dyn Fn(Part) -> bool| -> Vec<usize> {
            (0..parts.len()).filter(|i| wanted(parts[*i])).collect()
        };
        let (test, other) = (of(&|p| p == Part::Test), of(&|p| p != Part::Test));
        let (test, other) = (cases.members_of(&test), cases.members_of(&other));
        if let Err(error) = check_leaks("the table's training and test rows", &other, &test) {
            found.problems.push(blocking(&error.into()));
        }
    }
    if cases.labels.is_empty() {
        return;
    }
    match LabelTable::read(&cases.labels, &groups) {
        Err(error) => found.problems.push(blocking(&error.into())),
        Ok(table) => {
            found.exclusive = table.exclusive();
            found.classes = counts(&table, &groups);
            let known = |i: &usize| !table.labels.strata(*i).is_empty();
            found.unlabelled = (0..groups.len()).filter(|i| !known(i)).count();
            if let Err(error) = refuse_contradictions(cases, &table) {
                found.problems.push(blocking(&error));
            }
            found.problems.extend(few(&found.classes));
        }
    }
}

/// A word on classes of so few patients that nobody can be left out.
fn few(classes: &[ClassCount]) -> Option<TrainingProblem> {
    let rarest = classes.iter().min_by_key(|class| class.patients)?;
    (rarest.patients < LEAST_PATIENTS).then(|| {
        warning(
            "few_patients",
            format!(
                "`{}` has {} patients, below {LEAST_PATIENTS}: only a probe can be judged on these cases.",
                rarest.name, rarest.patients
            ),
        )
    })
}
