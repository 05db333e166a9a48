//! Tables record by record: CSV with any delimiter, plain lines, JSON lines, JSON arrays.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use csv_core::ReadRecordResult;
use encoding_rs::Encoding;
use serde_json::{Map, Value};

use super::draft::{Refusal, Taken};
use super::json;
use crate::error::{LibraryError, Result};

/// Longest record, bytes: a quotation mark that is never closed would take the rest of the file.
pub(super) const MAX_RECORD: usize = 16 << 20;

/// How the bytes of texts are read; none for UTF-8.
pub(crate) type Charset = Option<&'static Encoding>;

/// The encoding of a name such as `utf-8`, `latin1` or `gbk`. Errors if there is none of that name.
pub(crate) fn charset(name: Option<&str>) -> Result<Charset> {
    let Some(name) = name else { return Ok(None) };
    let encoding = Encoding::for_label(name.as_bytes()).ok_or_else(|| {
        LibraryError::Request(format!(
            "there is no encoding {name:?}; use utf-8, latin1, gbk or another name of the WHATWG's list"
        ))
    })?;
    Ok((encoding != encoding_rs::UTF_8).then_some(encoding))
}

/// Text of bytes. Refuses bytes that are no text in the encoding.
pub(crate) fn decode(bytes: &[u8], charset: Charset) -> Taken<String> {
    let text = match charset {
        None => std::str::from_utf8(bytes).ok().map(str::to_owned),
        Some(encoding) => encoding
            .decode_without_bom_handling_and_without_replacement(bytes)
            .map(std::borrow::Cow::into_owned),
    };
    text.ok_or_else(|| {
        let name = charset.map_or("UTF-8", Encoding::name);
        Refusal::new(
            "encoding",
            format!(
                "the text is no {name}; name its encoding with --encoding, such as latin1 or gbk"
            ),
        )
    })
}

/// How a table is written.
#[derive(Debug, Clone)]
pub(crate) enum Shape {
    /// CSV with a header, or JSON lines, or a JSON array: content decides.
    Any,
    /// Lines without a header or quotation marks.
    Plain {
        delimiter: u8,
        columns: &'static [&'static str],
    },
}

/// One of a data set's tables.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub path: PathBuf,
    /// The split that its name stands for.
    pub split: Option<&'static str>,
    pub shape: Shape,
    /// The importer's own mark, such as a category of questions.
    pub mark: &'static str,
}

impl Part {
    pub fn any(path: PathBuf, split: Option<&'static str>, mark: &'static str) -> Self {
        Self {
            path,
            split,
            shape: Shape::Any,
            mark,
        }
    }
}

/// One record.
#[derive(Debug, Clone)]
pub(crate) enum Fields {
    Table {
        header: Arc<[String]>,
        values: Vec<String>,
    },
    Json(Map<String, Value>),
}

impl Fields {
    /// A column's text without blanks at its ends; none if it is missing, empty or null.
    pub fn get(&self, column: &str) -> Option<String> {
        let text = match self {
            Self::Table { header, values } => {
                let at = header.iter().position(|name| name == column)?;
                values.get(at)?.clone()
            }
            Self::Json(map) => json::text(map.get(column)?)?,
        };
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// The column's text. Refuses a record without it.
    pub fn need(&self, column: &str) -> Taken<String> {
        self.get(column).ok_or_else(|| {
            Refusal::new(
                "missing_field",
                format!("the field {column:?} is empty or missing"),
            )
        })
    }

    /// Names of the columns, in order; of a JSON record those that it has.
    pub fn names(&self) -> Vec<String> {
        match self {
            Self::Table { header, .. } => header.to_vec(),
            Self::Json(map) => map.keys().cloned().collect(),
        }
    }

    /// True if the column exists, also if it is empty.
    pub fn has(&self, column: &str) -> bool {
        match self {
            Self::Table { header, .. } => header.iter().any(|name| name == column),
            Self::Json(map) => map.contains_key(column),
        }
    }
}

/// Records of a table, one at a time; a record that cannot be read is refused, and reading goes on.
pub(crate) type Records = Box<dyn Iterator<Item = Result<Taken<Fields>>>>;

/// Opens a table.
///
/// Errors if it cannot be read, or is UTF-16, or has no header.
pub(crate) fn open(path: &Path, shape: &Shape, charset: Charset) -> Result<Records> {
    let file = File::open(path).map_err(LibraryError::io(path))?;
    let mut input = BufReader::with_capacity(1 << 16, file);
    let start = input.fill_buf().map_err(LibraryError::io(path))?;
    if start.starts_with(b"\xFF\xFE") || start.starts_with(b"\xFE\xFF") {
        return Err(layout(
            path,
            "this table is UTF-16; save it as UTF-8 and import it again",
        ));
    }
    if start.starts_with(b"\xEF\xBB\xBF") {
        input.consume(3);
    }
    let start = input.fill_buf().map_err(LibraryError::io(path))?;
    let first = start.iter().copied().find(|b| !b.is_ascii_whitespace());
    match (shape, first) {
        (Shape::Any, Some(b'[')) => Ok(Box::new(json::array(input, path, charset))),
        (Shape::Any, Some(b'{')) => Ok(json::object_or_lines(input, path, charset)?),
        (Shape::Plain { delimiter, columns }, _) => {
            let header = columns.iter().map(|&name| name.to_owned()).collect();
            Ok(Box::new(Csv::new(
                input, path, charset, *delimiter, false, header,
            )))
        }
        (Shape::Any, _) => {
            let delimiter = delimiter(start);
            let mut csv = Csv::new(input, path, charset, delimiter, true, Arc::from([]));
            let header = csv
                .record()?
                .ok_or_else(|| layout(path, "this table is empty; it needs a header line"))?;
            let header = header
                .iter()
                .map(|name| decode(name, charset).map(|name| name.trim().to_owned()))
                .collect::<Taken<Vec<_>>>()
                .map_err(|refusal| layout(path, &format!("its header: {}", refusal.reason)))?;
            csv.header = header.into();
            Ok(Box::new(csv))
        }
    }
}

pub(super) fn layout(path: &Path, message: &str) -> LibraryError {
    LibraryError::Layout {
        path: path.into(),
        message: message.into(),
    }
}

/// The delimiter that the first line has most of.
fn delimiter(start: &[u8]) -> u8 {
    let line = start.split(|&b| b == b'\n').next().unwrap_or_default();
    let count = |d: u8| line.iter().filter(|&&b| b == d).count();
    *b",;\t|"
        .iter()
        .rev()
        .max_by_key(|&&d| count(d))
        .unwrap_or(&b',')
}

struct Csv {
    input: BufReader<File>,
    path: PathBuf,
    reader: csv_core::Reader,
    charset: Charset,
    header: Arc<[String]>,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Csv {
    fn new(
        input: BufReader<File>,
        path: &Path,
        charset: Charset,
        delimiter: u8,
        quoting: bool,
        header: Arc<[String]>,
    ) -> Self {
        let reader = csv_core::ReaderBuilder::new()
            .delimiter(delimiter)
            .quoting(quoting)
            .build();
        Self {
            input,
            path: path.into(),
            reader,
            charset,
            header,
            bytes: vec![0; 1 << 12],
            ends: vec![0; 64],
        }
    }

    /// The next record's fields; none at the end.
    fn record(&mut self) -> Result<Option<Vec<Vec<u8>>>> {
        let (mut used, mut fields) = (0, 0);
        loop {
            let input = self
                .input
                .fill_buf()
                .map_err(LibraryError::io(&self.path))?;
            let (result, read, written, ended) =
                self.reader
                    .read_record(input, &mut self.bytes[used..], &mut self.ends[fields..]);
            self.input.consume(read);
            used += written;
            fields += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => {
                    if self.bytes.len() >= MAX_RECORD {
                        let message = format!(
                            "a record of more than {} MB: a quotation mark is probably never closed",
                            MAX_RECORD >> 20
                        );
                        return Err(layout(&self.path, &message));
                    }
                    self.bytes.resize(2 * self.bytes.len(), 0);
                }
                ReadRecordResult::OutputEndsFull => self.ends.resize(2 * self.ends.len(), 0),
                ReadRecordResult::Record => {
                    let mut begin = 0;
                    let fields = self.ends[..fields].iter().map(|&end| {
                        let field = self.bytes[begin..end].to_vec();
                        begin = end;
                        field
                    });
                    return Ok(Some(fields.collect()));
                }
                ReadRecordResult::End => return Ok(None),
            }
        }
    }

    fn fields(&self, record: &[Vec<u8>]) -> Taken<Fields> {
        if record.len() != self.header.len() {
            let (found, wanted) = (record.len(), self.header.len());
            return Err(Refusal::new(
                "malformed_row",
                format!("{wanted} values are expected, the row has {found}"),
            ));
        }
        let values = record
            .iter()
            .map(|field| decode(field, self.charset))
            .collect::<Taken<_>>()?;
        Ok(Fields::Table {
            header: self.header.clone(),
            values,
        })
    }
}

impl Iterator for Csv {
    type Item = Result<Taken<Fields>>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.record() {
            Ok(record) => record.map(|record| Ok(self.fields(&record))),
            Err(error) => Some(Err(error)),
        }
    }
}

/// Reads a small file whole. Refuses one that is larger than `most` bytes.
pub(crate) fn read_small(path: &Path, most: u64) -> Taken<Vec<u8>> {
    let unreadable = |_| Refusal::new("unreadable_file", "a file beside the image cannot be read");
    let file = File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    match bytes.len() as u64 > most {
        true => Err(Refusal::new(
            "too_large",
            format!("a file is larger than {} MB", most >> 20),
        )),
        false => Ok(bytes),
    }
}
