//! JSON lines, JSON arrays element by element, and JSON objects of captions.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::draft::{Refusal, Taken};
use super::table::{Charset, Fields, MAX_RECORD, Records, decode, layout};
use crate::error::{LibraryError, Result};

/// Largest JSON object that is read whole, bytes: the captions of a million images.
const MAX_OBJECT: u64 = 1 << 30;

/// A value as a table would have it; none for null.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Array(items) => {
            let words: Vec<String> = items.iter().filter_map(text).collect();
            Some(words.join("\n"))
        }
        Value::Object(_) => Some(value.to_string()),
    }
}

fn fields(bytes: &[u8], charset: Charset) -> Taken<Fields> {
    let text = decode(bytes, charset)?;
    match serde_json::from_str(&text) {
        Ok(Value::Object(map)) => Ok(Fields::Json(map)),
        Ok(_) => Err(Refusal::new("malformed_row", "the row is no JSON object")),
        // The reader's own message could quote a report, so only the place is told.
        Err(e) => Err(Refusal::new(
            "malformed_row",
            format!("the row is no valid JSON from character {} on", e.column()),
        )),
    }
}

/// One object a line.
struct Lines {
    input: BufReader<File>,
    path: PathBuf,
    charset: Charset,
}

impl Iterator for Lines {
    type Item = Result<Taken<Fields>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut line = Vec::new();
            let mut limited = (&mut self.input).take(MAX_RECORD as u64);
            match limited.read_until(b'\n', &mut line) {
                Err(e) => return Some(Err(LibraryError::io(&self.path)(e))),
                Ok(0) => return None,
                Ok(n) if n == MAX_RECORD => {
                    return Some(Err(layout(&self.path, "a line is longer than 16 MB")));
                }
                Ok(_) if line.iter().all(u8::is_ascii_whitespace) => {}
                Ok(_) => return Some(Ok(fields(line.trim_ascii(), self.charset))),
            }
        }
    }
}

/// A file that begins with a brace: JSON lines, or one object with `annotations` or of captions by name.
pub(super) fn object_or_lines(
    mut input: BufReader<File>,
    path: &Path,
    charset: Charset,
) -> Result<Records> {
    // Of lines, the first is complete by itself.
    let mut first = Vec::new();
    (&mut input)
        .take(MAX_RECORD as u64)
        .read_until(b'\n', &mut first)
        .map_err(LibraryError::io(path))?;
    let complete = serde_json::from_slice::<Map<String, Value>>(first.trim_ascii());
    let only_line = input.fill_buf().map_err(LibraryError::io(path))?.is_empty();
    match complete {
        Ok(map) if !(only_line && is_collection(&map)) => {
            let lines = Lines {
                input,
                path: path.into(),
                charset,
            };
            Ok(Box::new(
                std::iter::once(Ok(Ok(Fields::Json(map)))).chain(lines),
            ))
        }
        // A broken first line of a file of lines is refused like any other.
        Err(_) if looks_like_line(&first) => {
            let lines = Lines {
                input,
                path: path.into(),
                charset,
            };
            let refused = fields(first.trim_ascii(), charset);
            Ok(Box::new(std::iter::once(Ok(refused)).chain(lines)))
        }
        _ => {
            let mut bytes = first;
            input
                .take(MAX_OBJECT)
                .read_to_end(&mut bytes)
                .map_err(LibraryError::io(path))?;
            let text = decode(&bytes, charset).map_err(|refusal| layout(path, &refusal.reason))?;
            let map: Map<String, Value> = serde_json::from_str(&text).map_err(|e| {
                let message = format!(
                    "this is no valid JSON (line {}, column {})",
                    e.line(),
                    e.column()
                );
                layout(path, &message)
            })?;
            Ok(Box::new(
                collection(map).into_iter().map(|fields| Ok(Ok(fields))),
            ))
        }
    }
}

/// A line that holds more than the opening brace of a pretty-printed object.
fn looks_like_line(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    line.len() > 1 && line.ends_with(b"}")
}

fn is_collection(map: &Map<String, Value>) -> bool {
    map.get("annotations").is_some_and(Value::is_array)
        || (map.len() > 1 && map.keys().all(|key| looks_like_image(key)))
}

fn looks_like_image(name: &str) -> bool {
    name.starts_with("ROCO") || name.rsplit_once('.').is_some_and(|(_, end)| end.len() <= 4)
}

/// The records of an object: its `annotations`, or one a name with the caption as `caption`.
fn collection(mut map: Map<String, Value>) -> Vec<Fields> {
    if let Some(Value::Array(items)) = map.remove("annotations") {
        let objects = items.into_iter().filter_map(|item| match item {
            Value::Object(map) => Some(Fields::Json(map)),
            _ => None,
        });
        return objects.collect();
    }
    map.into_iter()
        .map(|(name, value)| {
            let mut record = match value {
                Value::Object(record) => record,
                caption => Map::from_iter([("caption".to_owned(), caption)]),
            };
            record.entry("name").or_insert(Value::String(name));
            Fields::Json(record)
        })
        .collect()
}

/// The elements of an array, found by their brackets, so that one that is malformed does not end the file.
pub(super) fn array(
    input: BufReader<File>,
    path: &Path,
    charset: Charset,
) -> impl Iterator<Item = Result<Taken<Fields>>> + use<> {
    Elements {
        bytes: input.bytes(),
        path: path.into(),
        charset,
        ended: false,
    }
}

struct Elements {
    bytes: std::io::Bytes<BufReader<File>>,
    path: PathBuf,
    charset: Charset,
    ended: bool,
}

impl Elements {
    /// The bytes of the next element; none at the end.
    fn element(&mut self) -> Result<Option<Vec<u8>>> {
        let mut element = Vec::new();
        let (mut depth, mut in_string, mut escaped) = (0_u32, false, false);
        for byte in self.bytes.by_ref() {
            let byte = byte.map_err(LibraryError::io(&self.path))?;
            if element.is_empty() {
                // Between elements: the outer bracket, commas and blanks.
                match byte {
                    b'{' => depth = 1,
                    b']' => return Ok(None),
                    _ => continue,
                }
                element.push(byte);
                continue;
            }
            element.push(byte);
            if element.len() > MAX_RECORD {
                return Err(layout(&self.path, "an element is longer than 16 MB"));
            }
            match (in_string, byte) {
                (true, _) if escaped => escaped = false,
                (true, b'\\') => escaped = true,
                (_, b'"') => in_string = !in_string,
                (false, b'{' | b'[') => depth += 1,
                (false, b'}' | b']') => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return Ok(Some(element));
            }
        }
        match element.is_empty() {
            true => Ok(None),
            false => Err(layout(
                &self.path,
                "the file ends inside an element: it was cut short, copy it again",
            )),
        }
    }
}

impl Iterator for Elements {
    type Item = Result<Taken<Fields>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        match self.element() {
            Ok(Some(element)) => Some(Ok(fields(&element, self.charset))),
            Ok(None) => {
                self.ended = true;
                None
            }
            Err(error) => {
                self.ended = true;
                Some(Err(error))
            }
        }
    }
}
