//! Reports in files of their own: plain text and PDF.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use super::draft::{Refusal, Taken};
use super::table::{Charset, decode, read_small};

/// Largest report file, bytes.
const MAX_BYTES: u64 = 32 << 20;
/// Pages that are read.
const MAX_PAGES: usize = 50;
/// Longest report, characters.
const MAX_CHARACTERS: usize = 1 << 20;

/// The text of a report file. A PDF is one by its content and, where it is damaged from its first byte on, by its name.
///
/// Refuses a file that is damaged, encrypted, too large, or a PDF without text, such as a scan.
pub(crate) fn read(path: &Path, charset: Charset) -> Taken<String> {
    let bytes = read_small(path, MAX_BYTES)?;
    let named = path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("pdf"));
    let text = match named || bytes.trim_ascii_start().starts_with(b"%PDF-") {
        true => pdf(&bytes)?,
        false => {
            let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
            decode(bytes, charset)?
        }
    };
    // Line ends of any system, no control characters.
    let text: String = text
        .replace("\r\n", "\n")
        .replace('\r', "\n")
        .chars()
        .filter(|&c| c == '\n' || c == '\t' || !c.is_control())
        .take(MAX_CHARACTERS)
        .collect();
    match text.trim() {
        "" => Err(Refusal::new(
            "empty_report",
            "the report file holds no text",
        )),
        text => Ok(text.to_owned()),
    }
}

/// The parser works on files that anybody may have made: a panic in it is a damaged file.
fn pdf(bytes: &[u8]) -> Taken<String> {
    let damaged = || Refusal::new("damaged_pdf", "the PDF report cannot be read");
    let parsed = catch_unwind(AssertUnwindSafe(|| -> Taken<String> {
        let document = lopdf::Document::load_mem(bytes).map_err(|_| damaged())?;
        if document.is_encrypted() {
            return Err(Refusal::new("encrypted_pdf", "the PDF report is encrypted"));
        }
        let pages: Vec<u32> = document.get_pages().into_keys().take(MAX_PAGES).collect();
        document.extract_text(&pages).map_err(|_| damaged())
    }));
    let text = parsed.map_err(|_| damaged())??;
    match text.trim().is_empty() {
        true => Err(Refusal::new(
            "pdf_without_text",
            "the PDF report holds no text; it is probably a scan",
        )),
        false => Ok(text),
    }
}
