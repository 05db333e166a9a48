//! `lucency ask --batch FILE.csv --out FILE.csv`, and the same over a folder: many questions, one table of answers.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use lucency_assistant::dto::{Answer, CautionReason};
use lucency_assistant::{Assistant, AssistantError, Picture, Progress, QuestionKind, is_closed};
use lucency_study::{OpenOptions, Source};
use serde::Serialize;

use super::assist::{open, progress_line};
use crate::output::CommandError;
use lucency_assistant::csv;

/// Pictures that are kept while neighbouring rows ask about them.
const KEPT: usize = 8;

/// One question of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    id: String,
    image: String,
    question: String,
    /// Where the image is, from the current folder.
    path: PathBuf,
}

/// The columns of the table of answers.
const COLUMNS: [&str; 11] = [
    "id",
    "image",
    "question",
    "answer",
    "confidence",
    "abstained",
    "image_made_no_difference",
    "question_type",
    "closed",
    "caution",
    "error",
];

/// What came of a batch.
#[derive(Debug, Default, PartialEq, Serialize)]
pub struct Done {
    /// Where the answers are.
    out: PathBuf,
    /// Questions in all.
    rows: usize,
    /// Questions that were answered.
    answered: usize,
    /// Questions that the assistant did not answer: unsure, or with a caution.
    abstained: usize,
    /// Rows that failed, with the reason in the column `error`.
    failed: usize,
}

/// The questions of a table.
///
/// Errors if it cannot be read, lacks a column, has one that is not known, or an id twice.
pub fn rows_of_table(table: &Path) -> Result<Vec<Row>, CommandError> {
    let wrong =
        |what: String| CommandError::new("bad_table", format!("{}: {what}", table.display()));
    let text = std::fs::read_to_string(table).map_err(|e| wrong(e.to_string()))?;
    let mut records = csv::parse(&text).map_err(wrong)?.into_iter();
    let columns = records.next().unwrap_or_default();
    let place = |name: &str| columns.iter().position(|c| c == name);
    let missing = |name: &str| wrong(format!("there is no column {name:?}"));
    let image = place("image").ok_or_else(|| missing("image"))?;
    let question = place("question").ok_or_else(|| missing("question"))?;
    let id = place("id");
    if let Some(strange) = columns
        .iter()
        .find(|c| !["id", "image", "question"].contains(&c.as_str()))
    {
        return Err(wrong(format!(
            "the column {strange:?} is not known; the columns are image, question and, if you like, id"
        )));
    }
    let folder = table.parent().unwrap_or(Path::new(""));
    let mut seen = HashSet::new();
    let mut rows = Vec::new();
    for (i, record) in records.enumerate() {
        if record.len() != columns.len() {
            return Err(wrong(format!(
                "question {} has {} fields, the header {}",
                i + 1,
                record.len(),
                columns.len()
            )));
        }
        let row = Row {
            id: id.map(|id| record[id].clone()).unwrap_or_default(),
            path: folder.join(&record[image]),
            image: record[image].clone(),
            question: record[question].clone(),
        };
        if !row.id.is_empty() && !seen.insert(row.id.clone()) {
            return Err(wrong(format!("the id {:?} is there twice", row.id)));
        }
        rows.push(row);
    }
    if rows.is_empty() {
        return Err(wrong("there is no question in it".into()));
    }
    Ok(rows)
}

/// Every question about every image of a folder, or of one file.
///
/// Of a series of slices the middle one is asked about. Errors if there is no image.
pub fn rows_of_folder(folder: &Path, questions: &[String]) -> Result<Vec<Row>, CommandError> {
    let paths = [folder.to_path_buf()];
    let opened = lucency_study::open(&paths, &OpenOptions::default(), &|| false, &mut |_| {});
    let mut images: Vec<PathBuf> = Vec::new();
    for series in opened.studies.iter().flat_map(|study| &study.series) {
        // Slices of one volume count as one image; films of one series do not.
        let volume = series
            .frames
            .iter()
            .all(|frame| frame.position_mm.is_some());
        let middle = series.instances.len() / 2;
        for (i, instance) in series.instances.iter().enumerate() {
            if let Source::File(path) = &instance.source
                && (!volume || i == middle)
            {
                images.push(path.clone());
            }
        }
    }
    images.sort();
    if images.is_empty() {
        return Err(CommandError::new(
            "not_found",
            format!("there is no image in {}", folder.display()),
        ));
    }
    let row = |path: &PathBuf, question: &String| Row {
        id: String::new(),
        image: path.display().to_string(),
        question: question.clone(),
        path: path.clone(),
    };
    Ok(images
        .iter()
        .flat_map(|path| questions.iter().map(move |q| row(path, q)))
        .collect())
}

/// Answers every row and writes the table in one go; a row that fails does not stop the others.
///
/// Errors if the table cannot be written.
pub fn run(
    assistant: &Assistant,
    rows: &[Row],
    frame: u32,
    out: &Path,
) -> Result<Done, CommandError> {
    let mut pictures = Pictures::default();
    let mut table = csv::record(COLUMNS);
    let mut done = Done {
        out: out.to_path_buf(),
        rows: rows.len(),
        ..Done::default()
    };
    let mut report = progress_line();
    for (i, row) in rows.iter().enumerate() {
        report(Progress::new("asking", i as u64, rows.len() as u64));
        let outcome = pictures.open(&row.path, frame).and_then(|picture| {
            Ok(assistant.ask(&picture, &row.question, jiff::Timestamp::now())?)
        });
        match &outcome {
            Ok(answer) if answer.abstained => done.abstained += 1,
            Ok(_) => done.answered += 1,
            Err(_) => done.failed += 1,
        }
        let fields = line(row, &outcome);
        table += &csv::record(fields.iter().map(String::as_str));
    }
    write_whole(out, table.as_bytes())?;
    Ok(done)
}

/// The fields of [`COLUMNS`]; what is not known of a row that failed stays empty.
fn line(row: &Row, outcome: &Result<Answer, CommandError>) -> [String; COLUMNS.len()] {
    let answer = outcome.as_ref().ok();
    let known = |field: &dyn Fn(&Answer) -> String| answer.map(field).unwrap_or_default();
    // What is not to be shown as an answer does not stand in the column of answers.
    let given = |a: &Answer| match a.abstained {
        true => String::new(),
        false => a.answer.clone(),
    };
    let reasons = |a: &Answer| {
        let words = a.cautions.iter().map(|c| reason_word(c.reason));
        words.collect::<Vec<_>>().join(" ")
    };
    let failure = outcome.as_ref().err();
    [
        row.id.clone(),
        row.image.clone(),
        row.question.clone(),
        known(&given),
        known(&|a| format!("{:.4}", a.confidence)),
        known(&|a| a.abstained.to_string()),
        known(&|a| a.image_made_no_difference.to_string()),
        kind_word(QuestionKind::of(&row.question)).to_owned(),
        is_closed(&row.question).to_string(),
        known(&reasons),
        failure
            .map(|e| format!("{}: {}", e.code, e.message))
            .unwrap_or_default(),
    ]
}

/// The word that the kind has in JSON.
fn kind_word(kind: QuestionKind) -> &'static str {
    match kind {
        QuestionKind::Presence => "presence",
        QuestionKind::Position => "position",
        QuestionKind::Modality => "modality",
        QuestionKind::Plane => "plane",
        QuestionKind::Size => "size",
        QuestionKind::Abnormality => "abnormality",
        QuestionKind::Organ => "organ",
        QuestionKind::Count => "count",
        QuestionKind::Attribute => "attribute",
        QuestionKind::Colour => "colour",
        QuestionKind::Other => "other",
    }
}

/// The word that the reason has in JSON.
fn reason_word(reason: CautionReason) -> &'static str {
    match reason {
        CautionReason::UnknownWords => "unknown_words",
        CautionReason::OffTopic => "off_topic",
        CautionReason::Contradictory => "contradictory",
        CautionReason::OtherRegion => "other_region",
        CautionReason::NotARadiograph => "not_a_radiograph",
        CautionReason::UnlikeTraining => "unlike_training",
    }
}

/// The pictures of the last few files.
#[derive(Default)]
struct Pictures {
    kept: HashMap<PathBuf, Picture>,
    order: Vec<PathBuf>,
}

impl Pictures {
    fn open(&mut self, path: &Path, frame: u32) -> Result<Picture, CommandError> {
        if let Some(picture) = self.kept.get(path) {
            return Ok(picture.clone());
        }
        let picture = open(path, frame)?;
        if self.order.len() == KEPT {
            self.kept.remove(&self.order.remove(0));
        }
        self.order.push(path.to_path_buf());
        self.kept.insert(path.to_path_buf(), picture.clone());
        Ok(picture)
    }
}

/// Writes a file that is whole or not there.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), CommandError> {
    use std::io::Write;
    let failed = |source| AssistantError::Io {
        what: "the table of answers".into(),
        source,
    };
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    let mut file =
        tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new("."))).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|e| failed(e.error))?;
    Ok(())
}

/// The outcome for a terminal.
pub fn text(done: &Done) -> String {
    format!(
        "{} questions: {} answered, {} not answered, {} failed; see {}",
        done.rows,
        done.answered,
        done.abstained,
        done.failed,
        done.out.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Result<Vec<Row>, CommandError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("questions.csv");
        std::fs::write(&path, text).unwrap();
        rows_of_table(&path)
    }

    #[test]
    fn a_table_is_read_with_or_without_identifiers() {
        let rows = table("\u{feff}question,image\n\"Is it, or not?\", a.png \n").unwrap();
        assert_eq!(rows[0].question, "Is it, or not?");
        assert_eq!((rows[0].image.as_str(), rows[0].id.as_str()), ("a.png", ""));
        assert!(rows[0].path.is_absolute(), "beside the table");
        let rows = table("id,image,question\n7,a.png,Why?\n8,b.png,Why?\n").unwrap();
        assert_eq!(rows[1].id, "8");
    }

    #[test]
    fn a_table_that_cannot_be_understood_is_refused_with_the_reason() {
        for (text, reason) in [
            ("image\na.png\n", "question"),
            ("", "image"),
            ("image,question\n", "no question"),
            ("image,question,pack\na,b,c\n", "pack"),
            ("id,image,question\n1,a,b\n1,a,c\n", "twice"),
            ("image,question\na.png,b,c\n", "fields"),
        ] {
            let error = table(text).expect_err(text);
            assert_eq!(error.code, "bad_table", "{text:?}");
            assert!(
                error.message.contains(reason),
                "{text:?}: {}",
                error.message
            );
        }
    }
}
