//! Question files: VQA-RAD's and SLAKE's JSON, and what is wrong with them.

use std::collections::HashMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::metrics::vqa::AnswerType;
use crate::{Result, TrainError};

/// One question about one image, with the answers that people gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QaRecord {
    /// The file's identifier, or the record's number where it has none.
    pub id: String,
    /// Path of the image as the file states it.
    pub image: String,
    /// `HEAD`, `CHEST`, `ABD` in VQA-RAD; the location in SLAKE; empty if not stated.
    pub organ: String,
    /// The question as asked.
    pub question: String,
    /// The expected answers, not normalised; one in VQA-RAD and SLAKE.
    pub answers: Vec<String>,
    /// Open or closed.
    pub answer_type: AnswerType,
    /// `PRES`, `MODALITY`, ...; several are joined by commas.
    pub question_type: String,
    /// `freeform`, `para`, `frame` in VQA-RAD; empty if not stated.
    pub phrase_type: String,
}

impl QaRecord {
    /// The first answer.
    pub fn answer(&self) -> &str {
        self.answers.first().map_or("", String::as_str)
    }
}

/// The layout of a question file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuestionFormat {
    /// SLAKE if the first record has `img_name`, else VQA-RAD.
    #[default]
    Auto,
    /// `image_name`, `question`, `answer`, `answer_type`, ... (Lau et al. 2018).
    VqaRad,
    /// `img_name`, `q_lang`, `content_type`, ... (Liu et al. 2021).
    Slake,
}

/// Which of SLAKE's two languages is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// `q_lang` is `en`.
    #[default]
    English,
    /// `q_lang` is `zh`.
    Chinese,
}

impl Language {
    fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh",
        }
    }
}

/// Fields of VQA-RAD, in the release and in the split of MEVF.
const VQA_RAD_FIELDS: [&str; 17] = [
    "qid",
    "id",
    "image_name",
    "image_organ",
    "image_case_url",
    "question",
    "answer",
    "answers",
    "answer_type",
    "question_type",
    "phrase_type",
    "qid_linked_id",
    "qid_para",
    "evaluation",
    "question_rephrase",
    "question_relation",
    "question_frame",
];
/// Fields of SLAKE.
const SLAKE_FIELDS: [&str; 13] = [
    "qid",
    "id",
    "img_id",
    "img_name",
    "question",
    "answer",
    "q_lang",
    "location",
    "modality",
    "answer_type",
    "base_type",
    "content_type",
    "triple",
];

/// Reads a question file; of SLAKE the questions in one language.
///
/// Errors with [`TrainError::Question`], naming file, record and field: an unknown field, a missing one, a value of another type,
/// an answer type that is neither open nor closed, or an identifier that two records share.
pub fn read(path: &Path, format: QuestionFormat, language: Language) -> Result<Vec<QaRecord>> {
    let text = std::fs::read_to_string(path).map_err(|e| TrainError::io(path, e))?;
    let values: Vec<Value> = serde_json::from_str(&text).map_err(|e| TrainError::json(path, e))?;
    let slake = match format {
        QuestionFormat::Auto => values.first().is_some_and(|v| v.get("img_name").is_some()),
        QuestionFormat::VqaRad => false,
        QuestionFormat::Slake => true,
    };
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut records = Vec::with_capacity(values.len());
    for (index, value) in values.iter().enumerate() {
        let number = index + 1;
        let entry = Entry::of(path, number, value)?;
        let record = match slake {
            true => entry.slake(language)?,
            false => Some(entry.vqa_rad()?),
        };
        let Some(record) = record else { continue };
        if let Some(first) = seen.insert(record.id.clone(), number) {
            return Err(entry.refuse(format!(
                "the id {} is already that of record {first}; give every record its own",
                record.id
            )));
        }
        records.push(record);
    }
    if records.is_empty() {
        return Err(TrainError::Question {
            path: path.to_path_buf(),
            record: 0,
            reason: match slake {
                true => format!("no question has q_lang \"{}\"", language.code()),
                false => "there is no question in it".into(),
            },
        });
    }
    Ok(records)
}

/// One record on the way to a question.
struct Entry<'a> {
    path: &'a Path,
    number: usize,
    fields: &'a Map<String, Value>,
}

impl<'a> Entry<'a> {
    fn of(path: &'a Path, number: usize, value: &'a Value) -> Result<Self> {
        match value.as_object() {
            Some(fields) => Ok(Self {
                path,
                number,
                fields,
            }),
            None => Err(TrainError::Question {
                path: path.to_path_buf(),
                record: number,
                reason: format!("is {}, not an object with fields", kind(value)),
            }),
        }
    }

    fn refuse(&self, reason: impl Into<String>) -> TrainError {
        TrainError::Question {
            path: self.path.to_path_buf(),
            record: self.number,
            reason: reason.into(),
        }
    }

    fn known(&self, known: &[&str]) -> Result<()> {
        match self.fields.keys().find(|k| !known.contains(&k.as_str())) {
            None => Ok(()),
            Some(other) => Err(self.refuse(format!(
                "unknown field `{other}`; the fields are {}",
                known.join(", ")
            ))),
        }
    }

    /// A text; a number is written out where `numbers` allows it.
    fn text(&self, field: &str, numbers: Numbers) -> Result<String> {
        match self.fields.get(field) {
            Some(Value::String(text)) => Ok(text.trim().to_string()),
            Some(Value::Number(number)) if numbers == Numbers::Allowed => Ok(number.to_string()),
            Some(other) => {
                Err(self.refuse(format!("field `{field}` is {}, not a text", kind(other))))
            }
            None => Err(self.refuse(format!("field `{field}` is missing"))),
        }
    }

    fn optional(&self, field: &str) -> Result<String> {
        match self.fields.get(field) {
            None | Some(Value::Null) => Ok(String::new()),
            Some(_) => self.text(field, Numbers::Allowed),
        }
    }

    fn required(&self, field: &str) -> Result<String> {
        let text = self.text(field, Numbers::Refused)?;
        match text.is_empty() {
            true => Err(self.refuse(format!("field `{field}` is empty"))),
            false => Ok(text),
        }
    }

    fn answer_type(&self) -> Result<AnswerType> {
        let text = self.text("answer_type", Numbers::Refused)?;
        match text.to_ascii_uppercase().as_str() {
            "OPEN" => Ok(AnswerType::Open),
            "CLOSED" => Ok(AnswerType::Closed),
            _ => Err(self.refuse(format!(
                "field `answer_type` is OPEN or CLOSED, not {text:?}"
            ))),
        }
    }

    fn answers(&self) -> Result<Vec<String>> {
        let Some(list) = self.fields.get("answers") else {
            return Ok(vec![self.text("answer", Numbers::Allowed)?]);
        };
        let texts = list.as_array().filter(|l| !l.is_empty()).map(|list| {
            list.iter()
                .map(|v| v.as_str().map(|t| t.trim().to_string()))
                .collect::<Option<Vec<String>>>()
        });
        texts
            .flatten()
            .ok_or_else(|| self.refuse("field `answers` is not a list of texts"))
    }

    fn id(&self) -> Result<String> {
        for field in ["qid", "id"] {
            if self.fields.contains_key(field) {
                return self.text(field, Numbers::Allowed);
            }
        }
        Ok(format!("record {}", self.number))
    }

    fn vqa_rad(&self) -> Result<QaRecord> {
        self.known(&VQA_RAD_FIELDS)?;
        Ok(QaRecord {
            id: self.id()?,
            image: self.required("image_name")?,
            organ: self.optional("image_organ")?,
            question: self.required("question")?,
            answers: self.answers()?,
            answer_type: self.answer_type()?,
            question_type: self.optional("question_type")?,
            phrase_type: self.optional("phrase_type")?,
        })
    }

    fn slake(&self, language: Language) -> Result<Option<QaRecord>> {
        self.known(&SLAKE_FIELDS)?;
        if self.required("q_lang")? != language.code() {
            return Ok(None);
        }
        Ok(Some(QaRecord {
            id: self.id()?,
            image: self.required("img_name")?,
            organ: self.optional("location")?,
            question: self.required("question")?,
            answers: self.answers()?,
            answer_type: self.answer_type()?,
            question_type: self.optional("content_type")?,
            phrase_type: String::new(),
        }))
    }
}

/// Whether a number may stand for a text.
#[derive(Clone, Copy, PartialEq)]
enum Numbers {
    Allowed,
    Refused,
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str, language: Language) -> Result<Vec<QaRecord>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("questions.json");
        std::fs::write(&path, text).unwrap();
        read(&path, QuestionFormat::Auto, language)
    }

    fn message(text: &str) -> String {
        read_text(text, Language::English).unwrap_err().to_string()
    }

    const GOOD: &str = r#"{"qid": 1, "image_name": "a.png", "image_organ": "HEAD", "answer": 2, "answer_type": "CLOSED ",
        "question_type": "PRES", "question": "Is it?", "phrase_type": "para"}"#;

    #[test]
    fn a_record_of_vqa_rad_is_read_with_its_odd_spaces_and_numbers() {
        let records = read_text(&format!("[{GOOD}]"), Language::English).unwrap();
        assert_eq!(records[0].answer(), "2");
        assert_eq!(records[0].answer_type, AnswerType::Closed);
        assert_eq!(records[0].phrase_type, "para");
    }

    #[test]
    fn slake_is_recognised_and_read_in_one_language() {
        let text = r#"[
            {"img_id": 1, "img_name": "xmlab1/source.jpg", "question": "Where?", "answer": "Chest", "q_lang": "en", "location": "Lung",
             "modality": "CT", "answer_type": "OPEN", "base_type": "vqa", "content_type": "Position", "triple": ["vhead", "_", "_"], "qid": 0},
            {"img_id": 1, "img_name": "xmlab1/source.jpg", "question": "哪里？", "answer": "胸部", "q_lang": "zh", "location": "Lung",
             "modality": "CT", "answer_type": "OPEN", "base_type": "vqa", "content_type": "Position", "triple": ["vhead", "_", "_"], "qid": 1}]"#;
        let english = read_text(text, Language::English).unwrap();
        let chinese = read_text(text, Language::Chinese).unwrap();
        assert_eq!((english.len(), english[0].answer()), (1, "Chest"));
        assert_eq!((chinese.len(), chinese[0].answer()), (1, "胸部"));
        assert_eq!(english[0].question_type, "Position");
    }

    #[test]
    fn what_is_wrong_is_named_with_record_and_field() {
        let with = |from: &str, to: &str| {
            format!(
                "[{GOOD}, {}]",
                GOOD.replace("\"qid\": 1", "\"qid\": 2").replace(from, to)
            )
        };
        for (text, parts) in [
            (
                format!("[{GOOD},{GOOD}]"),
                vec!["record 2", "id 1", "record 1"],
            ),
            (
                with("\"image_organ\"", "\"image_organn\""),
                vec!["record 2", "`image_organn`"],
            ),
            (
                with("\"a.png\"", "7"),
                vec!["record 2", "`image_name`", "a number"],
            ),
            (
                with("\"CLOSED \"", "\"MAYBE\""),
                vec!["record 2", "`answer_type`", "MAYBE"],
            ),
            (
                with("\"question\": \"Is it?\",", ""),
                vec!["record 2", "`question`", "missing"],
            ),
            ("[3]".into(), vec!["record 1", "a number"]),
            ("[]".into(), vec!["no question"]),
        ] {
            let found = message(&text);
            assert!(
                parts.iter().all(|p| found.contains(p)) && found.contains("questions.json"),
                "{found} lacks one of {parts:?}"
            );
        }
    }
}
