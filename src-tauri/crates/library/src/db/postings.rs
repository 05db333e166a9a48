//! Reading the full-text index itself: in which texts a word occurs and how often, for all texts in one pass.
//!
//! FTS5 answers for one text at a time, and counts the texts with each word anew for every query; for a word that half of
//! a million reports have, both take longer than reading its postings as they lie in the index.
//!
//! Source: SQLite's `ext/fts5/fts5_index.c`, "Details" (structure, averages, segment leaves), format versions 4 and 5.
//! Whatever is not as described there is [`Unreadable`](Doclists::Unreadable); the caller then asks FTS5.

use rusqlite::{Connection, OptionalExtension as _, Statement};

use super::connection::Sql;
use super::varint::{Numbers, number};

/// Rows of `words_data` that are no leaves.
const AVERAGES: i64 = 1;
const STRUCTURE: i64 = 10;
/// Bits of a leaf's row below its segment.
const SEGMENT_SHIFT: u32 = 37;
/// What words of the main index begin with.
const MAIN: u8 = b'0';

/// The full-text index at one state of the database.
pub(super) struct WordIndex<'c> {
    /// The oldest first: what a later one says of a text counts.
    segments: Vec<Segment>,
    place: Statement<'c>,
    leaves: Statement<'c>,
    /// Texts.
    pub texts: u64,
    /// Words of all texts.
    pub words: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Segment {
    id: i64,
    first: i64,
    last: i64,
}

/// What the index has of a word.
pub(super) enum Doclists {
    /// The lists of all segments, the oldest first; none if no text has the word.
    Read(Vec<Doclist>),
    /// The index is not as it is described.
    Unreadable,
}

/// A word's texts in one segment.
#[derive(Debug, Default)]
pub(super) struct Doclist {
    /// As on the pages, without what the pages begin and end with.
    pub bytes: Vec<u8>,
    /// Where in it a row is written as it is and not as a difference, ascending.
    absolute: Vec<usize>,
}

/// One text of a list.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Entry {
    /// The text's row.
    pub row: u32,
    /// Where its positions begin.
    pub at: usize,
    /// Where they end.
    pub end: usize,
}

impl<'c> WordIndex<'c> {
    /// Opens the index of the table `words`; none if its format is another one.
    pub fn open(connection: &'c Connection) -> Sql<Option<Self>> {
        let version: i64 =
            connection.query_row("SELECT v FROM words_config WHERE k = 'version'", [], |r| {
                r.get(0)
            })?;
        let block = |id: i64| -> rusqlite::Result<Option<Vec<u8>>> {
            let sql = "SELECT block FROM words_data WHERE id = ?1";
            connection.query_row(sql, [id], |row| row.get(0)).optional()
        };
        let (Some(structure), Some(averages)) = (block(STRUCTURE)?, block(AVERAGES)?) else {
            return Ok(None);
        };
        let (Some(segments), true) = (segments(&structure), matches!(version, 4 | 5)) else {
            return Ok(None);
        };
        let mut numbers = Numbers::of(&averages);
        let (texts, body, answer) = (numbers.next(), numbers.next(), numbers.next());
        let (Some(texts), Some(body), Some(answer)) = (texts, body, answer) else {
            return Ok(None);
        };
        Ok(Some(Self {
            segments,
            place: connection.prepare(
                "SELECT pgno >> 1 FROM words_idx WHERE segid = ?1 AND term <= ?2 ORDER BY term DESC LIMIT 1",
            )?,
            leaves: connection
                .prepare("SELECT block FROM words_data WHERE id BETWEEN ?1 AND ?2 ORDER BY id")?,
            texts,
            words: body + answer,
        }))
    }

    /// The lists of a word, as the tokenizer writes it.
    pub fn doclists(&mut self, word: &str) -> Sql<Doclists> {
        let mut key = vec![MAIN];
        key.extend_from_slice(word.as_bytes());
        let mut lists = Vec::new();
        for segment in self.segments.clone() {
            match self.doclist(segment, &key)? {
                Some(list) if list.bytes.is_empty() => {}
                Some(list) => lists.push(list),
                None => return Ok(Doclists::Unreadable),
            }
        }
        Ok(Doclists::Read(lists))
    }

    /// The list of a word in one segment, empty if it is not there; none if the segment is not as it is described.
    fn doclist(&mut self, segment: Segment, key: &[u8]) -> Sql<Option<Doclist>> {
        let found: Option<i64> = self
            .place
            .query_row((segment.id, key), |row| row.get(0))
            .optional()?;
        let page = found.unwrap_or(segment.first).max(segment.first);
        let row = |page: i64| (segment.id << SEGMENT_SHIFT) + page;
        let mut rows = self.leaves.query((row(page), row(segment.last)))?;
        let mut gather = Gather::new(key);
        while let Some(row) = rows.next()? {
            let Ok(block) = row.get_ref(0)?.as_blob() else {
                return Ok(None);
            };
            match gather.page(block) {
                Some(true) => {}
                Some(false) => break,
                None => return Ok(None),
            }
        }
        Ok(Some(gather.list))
    }
}

/// The segments of a structure record, the oldest first.
fn segments(record: &[u8]) -> Option<Vec<Segment>> {
    let mut numbers = Numbers::of(record.get(4..)?);
    // 0xFF begins the second version of the record, which tables with contents elsewhere do not have.
    if record.get(4) == Some(&0xFF) {
        return None;
    }
    let levels = numbers.next()?;
    let (_count, _writes) = (numbers.next()?, numbers.next()?);
    let mut found: Vec<Vec<Segment>> = Vec::new();
    for _ in 0..levels {
        let (_merging, count) = (numbers.next()?, numbers.next()?);
        let mut level = Vec::new();
        for _ in 0..count {
            let [id, first, last] = [numbers.next()?, numbers.next()?, numbers.next()?]
                .map(|number| i64::try_from(number).unwrap_or(i64::MAX));
            // A segment that was merged away to its end begins nowhere.
            if first > 0 {
                level.push(Segment { id, first, last });
            }
        }
        found.push(level);
    }
    // Higher levels are older.
    Some(found.into_iter().rev().flatten().collect())
}

/// Finds a word on the pages of a segment and puts its list together.
struct Gather<'k> {
    key: &'k [u8],
    found: bool,
    list: Doclist,
}

impl<'k> Gather<'k> {
    fn new(key: &'k [u8]) -> Self {
        Self {
            key,
            found: false,
            list: Doclist::default(),
        }
    }

    /// Takes the next page; false once nothing more is wanted, none if the page is not as it is described.
    fn page(&mut self, page: &[u8]) -> Option<bool> {
        let short = |at: usize| Some(u16::from_be_bytes([*page.get(at)?, *page.get(at + 1)?]));
        let (first_row, content) = (usize::from(short(0)?), usize::from(short(2)?));
        let (body, footer) = (page.get(..content)?, page.get(content..)?);
        if self.found {
            let first_term = match footer.is_empty() {
                true => content,
                false => usize::try_from(Numbers::of(footer).next()?).ok()?,
            };
            if first_row != 0 && first_row < first_term {
                self.list
                    .absolute
                    .push(self.list.bytes.len() + first_row.checked_sub(4)?);
            }
            self.list.bytes.extend_from_slice(body.get(4..first_term)?);
            return Some(footer.is_empty());
        }
        self.seek(body, footer)
    }

    /// Looks for the word among the terms of a page.
    fn seek(&mut self, body: &[u8], footer: &[u8]) -> Option<bool> {
        let mut starts = Vec::new();
        let (mut numbers, mut start) = (Numbers::of(footer), 0usize);
        while let Some(step) = numbers.next() {
            start += usize::try_from(step).ok()?;
            starts.push(start);
        }
        let mut term: Vec<u8> = Vec::new();
        for (i, &start) in starts.iter().enumerate() {
            let end = starts.get(i + 1).copied().unwrap_or(body.len());
            let mut numbers = Numbers::of(body.get(start..end)?);
            let keep = match i {
                0 => 0,
                _ => usize::try_from(numbers.next()?).ok()?,
            };
            let new = usize::try_from(numbers.next()?).ok()?;
            let rest = numbers.rest();
            if keep > term.len() {
                return None;
            }
            term.truncate(keep);
            term.extend_from_slice(rest.get(..new)?);
            if term == self.key {
                self.found = true;
                let list = rest.get(new..)?;
                if !list.is_empty() {
                    self.list.absolute.push(0);
                    self.list.bytes.extend_from_slice(list);
                }
                // The last list of a page may go on on the next one.
                return Some(i + 1 == starts.len());
            }
            if *term > *self.key {
                return Some(false);
            }
        }
        Some(true)
    }
}

impl Doclist {
    /// Goes through the texts of the list in their order; none if it is not as it is described.
    ///
    /// An entry without positions says that an older segment's is no longer true.
    #[inline]
    pub fn each(&self, mut take: impl FnMut(Entry)) -> Option<()> {
        let mut absolute = self.absolute.iter().copied().peekable();
        let (mut at, mut row) = (0, 0u64);
        while at < self.bytes.len() {
            let is_absolute = absolute.next_if_eq(&at).is_some();
            let (number, after) = number(&self.bytes, at)?;
            row = match is_absolute {
                true => number,
                false => row.checked_add(number)?,
            };
            let (size, after) = self::number(&self.bytes, after)?;
            let end = after.checked_add(usize::try_from(size >> 1).ok()?)?;
            if end > self.bytes.len() {
                return None;
            }
            take(Entry {
                row: u32::try_from(row).ok()?,
                at: after,
                end,
            });
            at = end;
        }
        absolute.next().is_none().then_some(())
    }

    /// How often the word occurs in a text.
    #[inline]
    pub fn occurrences(&self, entry: Entry) -> Option<u32> {
        let positions = &self.bytes[entry.at..entry.end];
        // Almost always every position takes one byte, and none is in the second column.
        if positions.iter().all(|byte| (2..0x80).contains(byte)) {
            return Some(positions.len() as u32);
        }
        let mut count = 0;
        self.positions(entry, |_| count += 1)?;
        Some(count)
    }

    /// Where the word occurs in a text: its column in the upper half, its place in the lower.
    pub fn positions(&self, entry: Entry, mut take: impl FnMut(u64)) -> Option<()> {
        let mut numbers = Numbers::of(&self.bytes[entry.at..entry.end]);
        let (mut column, mut place) = (0, 0u64);
        while let Some(step) = numbers.next() {
            match step {
                1 => {
                    column = numbers.next()?;
                    place = 0;
                }
                step => {
                    place = place.checked_add(step.checked_sub(2)?)?;
                    take((column << 32) | place);
                }
            }
        }
        numbers.rest().is_empty().then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_pages_and_lists_are_no_panic() {
        let page = [0, 0, 0, 9, 2, b'0', b'a', 1, 2, 4];
        let mut gather = Gather::new(b"0a");
        assert_eq!(gather.page(&page), Some(true));
        assert_eq!(gather.list.bytes, [1, 2]);
        for length in 0..page.len() {
            let mut gather = Gather::new(b"0a");
            let _ = gather.page(&page[..length]);
        }
        let list = Doclist {
            bytes: vec![3, 4, 2, 3, 1, 9],
            absolute: vec![0],
        };
        let mut rows = Vec::new();
        assert_eq!(list.each(|entry| rows.push(entry.row)), None, "it is cut");
        let list = Doclist {
            bytes: vec![3, 4, 2, 3, 1, 2, 7],
            absolute: vec![0],
        };
        let mut counts = Vec::new();
        list.each(|e| counts.push((e.row, list.occurrences(e))))
            .unwrap();
        assert_eq!(counts, [(3, Some(2)), (4, Some(1))]);
    }
}
