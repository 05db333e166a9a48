//! How many words each text has, and whose it is, 4096 texts at a time: a search of words that half of a million reports have
//! needs it of all of them, and a row at a time takes longer than the search.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _, Row, Statement, Transaction};

use super::connection::Sql;
use super::varint::Numbers;

/// Texts of a block.
const BLOCK: usize = 4096;
/// Bytes of a number.
const WIDTH: usize = 4;
/// Of so few texts each is looked up by itself.
const FEW: usize = 512;

/// What is kept of each text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    /// How many words it has.
    Lengths,
    /// The row of its case.
    Cases,
}

impl Column {
    fn name(self) -> &'static str {
        match self {
            Self::Lengths => "lengths",
            Self::Cases => "cases",
        }
    }

    /// Where the numbers come from: the text's row, and what [`number`](Self::number) reads.
    fn source(self) -> &'static str {
        match self {
            Self::Lengths => "SELECT id, sz FROM words_docsize WHERE id >= ?1 AND id < ?2",
            Self::Cases => "SELECT row, case_row FROM texts WHERE row >= ?1 AND row < ?2",
        }
    }

    fn number(self, row: &Row<'_>) -> rusqlite::Result<u32> {
        if self == Self::Cases {
            return row.get(1);
        }
        let mut columns = Numbers::of(row.get_ref(1)?.as_blob().unwrap_or_default());
        let mut sum = 0;
        while let Some(words) = columns.next() {
            sum += words as u32;
        }
        Ok(sum)
    }

    /// Reads the tables' numbers of the texts from row `first` on.
    ///
    /// - `statement`: the prepared [`source`](Self::source)
    fn fill(self, statement: &mut Statement<'_>, first: usize, numbers: &mut [u32]) -> Sql<()> {
        let mut rows = statement.query((first as i64, (first + numbers.len()) as i64))?;
        while let Some(row) = rows.next()? {
            let place = row.get::<_, i64>(0)? as usize - first;
            numbers[place] = self.number(row)?;
        }
        Ok(())
    }

    /// The numbers of all texts by their rows, 0 where there is none.
    ///
    /// - `rows`: one more than the highest row
    pub fn all(self, connection: &Connection, rows: usize) -> Sql<Vec<u32>> {
        let mut numbers = Vec::with_capacity(rows + BLOCK);
        let sql = format!("SELECT {} FROM text_blocks ORDER BY block", self.name());
        let mut statement = connection.prepare(&sql)?;
        let mut blocks = statement.query([])?;
        while let Some(block) = blocks.next()? {
            let bytes = block.get_ref(0)?.as_blob().unwrap_or_default();
            let kept = bytes.as_chunks::<WIDTH>().0.iter();
            numbers.extend(kept.map(|bytes| u32::from_le_bytes(*bytes)));
            numbers.resize(numbers.len().next_multiple_of(BLOCK), 0);
        }
        let kept = numbers.len();
        numbers.resize(rows.max(kept), 0);
        let mut tail = connection.prepare(self.source())?;
        self.fill(&mut tail, kept, &mut numbers[kept..])?;
        Ok(numbers)
    }

    /// The numbers of some texts.
    ///
    /// - `texts`: their rows
    /// - `rows`: one more than the highest row
    pub fn of(self, connection: &Connection, texts: &[u32], rows: usize) -> Sql<Vec<u32>> {
        if texts.len() > FEW {
            let all = self.all(connection, rows)?;
            return Ok(texts.iter().map(|&row| all[row as usize]).collect());
        }
        let mut numbers = vec![0; texts.len()];
        let mut statement = connection.prepare(self.source())?;
        for (number, &row) in numbers.iter_mut().zip(texts) {
            self.fill(&mut statement, row as usize, std::slice::from_mut(number))?;
        }
        Ok(numbers)
    }
}

/// Keeps the numbers of all blocks that are full by now.
pub(super) fn keep(transaction: &Transaction<'_>) -> Sql<()> {
    let one = |sql: &str| transaction.query_row(sql, [], |row| row.get::<_, i64>(0));
    let mut block = one("SELECT ifnull(max(block) + 1, 0) FROM text_blocks")? as usize;
    let last = one("SELECT ifnull(max(row), 0) FROM texts")? as usize;
    let mut insert = transaction
        .prepare("INSERT INTO text_blocks (block, lengths, cases) VALUES (?1, ?2, ?3)")?;
    while (block + 1) * BLOCK <= last {
        let bytes = |column: Column| -> Sql<Vec<u8>> {
            let mut numbers = vec![0; BLOCK];
            let mut statement = transaction.prepare(column.source())?;
            column.fill(&mut statement, block * BLOCK, &mut numbers)?;
            Ok(numbers.iter().flat_map(|n| n.to_le_bytes()).collect())
        };
        insert.execute((block as i64, bytes(Column::Lengths)?, bytes(Column::Cases)?))?;
        block += 1;
    }
    Ok(())
}

/// Forgets the numbers of a case's texts.
pub(super) fn forget(transaction: &Transaction<'_>, case: i64) -> Sql<()> {
    let mut texts = transaction.prepare("SELECT row FROM texts WHERE case_row = ?1")?;
    let mut rows = texts.query([case])?;
    let mut blocks: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let row: i64 = row.get(0)?;
        let places = blocks.entry(row / BLOCK as i64).or_default();
        places.push((row % BLOCK as i64) as usize * WIDTH);
    }
    for (block, places) in blocks {
        let kept = transaction
            .prepare("SELECT lengths, cases FROM text_blocks WHERE block = ?1")?
            .query_row([block], |row| Ok([row.get(0)?, row.get(1)?]))
            .optional()?;
        let Some(mut columns): Option<[Vec<u8>; 2]> = kept else {
            continue;
        };
        for column in &mut columns {
            for &place in &places {
                if let Some(number) = column.get_mut(place..place + WIDTH) {
                    number.fill(0);
                }
            }
        }
        transaction
            .prepare("UPDATE text_blocks SET lengths = ?2, cases = ?3 WHERE block = ?1")?
            .execute((block, &columns[0], &columns[1]))?;
    }
    Ok(())
}

/// True if what is kept is what the tables say.
pub(super) fn agree(connection: &Connection) -> Sql<bool> {
    let rows = rows(connection)?;
    for column in [Column::Lengths, Column::Cases] {
        let kept = column.all(connection, rows)?;
        let mut told = vec![0; kept.len()];
        column.fill(&mut connection.prepare(column.source())?, 0, &mut told)?;
        if kept != told {
            return Ok(false);
        }
    }
    Ok(true)
}

/// One more than the highest row of a text.
pub(super) fn rows(connection: &Connection) -> Sql<usize> {
    let sql = "SELECT ifnull(max(row), 0) + 1 FROM texts";
    Ok(connection.query_row(sql, [], |row| row.get::<_, i64>(0))? as usize)
}
