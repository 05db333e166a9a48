//! Cases in the words of the window.

use lucency_library::import::{ImportReport, Leaks};
use lucency_library::{CaseRecord, Count, Facts, Label, LabelValue, RunKind, SeenBy, Stats, Text};

use crate::dto::{
    CaseFacts, CaseLabel, CaseQuestion, CaseText, ImportOutcome, LibraryCase, LibraryCount,
    LibraryDeleted, LibraryStatus, RejectCause, RejectedRow,
};

pub(super) fn facts(facts: &Facts) -> CaseFacts {
    let facts = facts.clone();
    CaseFacts {
        modality: facts.modality,
        body_part: facts.body_part,
        view: facts.view,
        sex: facts.sex,
        age: facts.age,
        date: facts.date,
        split: facts.split,
    }
}

pub(crate) fn label(label: &Label) -> CaseLabel {
    CaseLabel {
        name: label.name.clone(),
        value: match label.value {
            LabelValue::Positive => 1,
            LabelValue::Negative => 0,
            LabelValue::Uncertain => -1,
        },
        reader: label.reader.clone(),
    }
}

/// Names of the labels that are present, whoever gave them.
pub(super) fn present(labels: &[Label]) -> Vec<String> {
    let present = labels.iter().filter(|l| l.value == LabelValue::Positive);
    let mut names: Vec<String> = present.map(|label| label.name.clone()).collect();
    names.dedup_by(|a, b| a.eq_ignore_ascii_case(b)); // several readers say the same
    names
}

/// What was deleted, and which adapters and runs saw it.
pub(super) fn deleted(deleted: u64, seen: &[SeenBy], report_entries: usize) -> LibraryDeleted {
    let learned = seen
        .iter()
        .filter(|run| run.kind == RunKind::Training && run.trained > 0);
    let (mut adapters, mut runs) = (Vec::new(), Vec::new());
    for run in learned {
        match (&run.adapter, &run.path) {
            (Some(adapter), _) if run.adapter_there => adapters.push(adapter.clone()),
            (_, Some(path)) if !run.finished => {
                runs.push(path.rsplit('/').next().unwrap_or(path).to_owned());
            }
            _ => {}
        }
    }
    adapters.sort();
    adapters.dedup();
    LibraryDeleted {
        deleted,
        adapters,
        runs,
        report_entries: report_entries as u64,
    }
}

pub(super) fn case(case: CaseRecord) -> LibraryCase {
    let text = |text: Text| CaseText {
        kind: text.kind.word().to_owned(),
        body: text.body,
    };
    LibraryCase {
        facts: facts(&case.facts),
        labels: case.labels.iter().map(label).collect(),
        case_id: case.id,
        source: case.source.name,
        images: case.images.len(),
        texts: case.texts.into_iter().map(text).collect(),
        questions: case
            .questions
            .into_iter()
            .map(|q| CaseQuestion {
                question: q.question,
                answer: q.answer,
            })
            .collect(),
    }
}

/// The statistics, without what is embedded.
pub(super) fn status(stats: Stats) -> LibraryStatus {
    let counts = |counts: Vec<Count>| {
        let count = |count: Count| LibraryCount {
            name: count.name,
            cases: count.cases,
        };
        counts.into_iter().map(count).collect()
    };
    LibraryStatus {
        cases: stats.cases,
        patients: stats.patients,
        images: stats.images,
        texts: stats.texts,
        questions: stats.questions,
        sources: counts(stats.sources),
        modalities: counts(stats.modalities),
        splits: counts(stats.splits),
        labels: counts(stats.labels),
        readers: counts(stats.readers),
        ..LibraryStatus::default()
    }
}

pub(super) fn outcome(report: ImportReport) -> ImportOutcome {
    ImportOutcome {
        leaks: leaks(&report.leaks),
        source: report.source,
        rows: report.rows,
        taken: report.taken,
        joined: report.joined,
        rejected: report.rejected,
        causes: report
            .causes
            .into_iter()
            .map(|cause| RejectCause {
                code: cause.code,
                rows: cause.rows,
            })
            .collect(),
        rejects: report
            .rejects
            .into_iter()
            .map(|reject| RejectedRow {
                row: reject.row,
                code: reject.code,
                reason: reject.reason,
            })
            .collect(),
        redacted: report.redacted,
        began_with: report.began_with,
        paused: report.cancelled,
        elapsed_s: report.elapsed_s,
    }
}

/// Leaks in sentences; none without leaks.
fn leaks(leaks: &Leaks) -> Vec<String> {
    let pairs = [
        ("have the same image file", &leaks.same_image),
        ("have images that look the same", &leaks.near_image),
    ];
    let mut sentences: Vec<String> = pairs
        .iter()
        .filter(|(_, pairs)| pairs.count > 0)
        .map(|(what, pairs)| {
            let (count, across) = (pairs.count, pairs.across_splits);
            format!("{count} pairs of cases {what}; {across} of them lie in different splits.")
        })
        .collect();
    let counts = [
        (
            leaks.images_with_questions_in_two_splits,
            "cases have questions in two splits.",
        ),
        (
            leaks.patients_in_two_splits,
            "patients have cases in two splits.",
        ),
    ];
    let more = counts.iter().filter(|(count, _)| *count > 0);
    sentences.extend(more.map(|(count, what)| format!("{count} {what}")));
    sentences
}
