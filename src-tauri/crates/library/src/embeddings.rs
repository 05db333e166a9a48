//! Embeddings of a library's cases on disk, one file a model.
//!
//! Layout, little endian: the word `LUCEMB01`; the model's hash and the library's fingerprint, 32
//! bytes each; rows and dimensions, 4 bytes each; the numbers as 16-bit floats, row by row; SHA-256
//! of all that. A file that does not fit the model, the library or its own checksum is not used.

use std::fs;
use std::path::Path;

use half::f16;

use crate::error::{LibraryError, Result};
use crate::files::{digest, write_atomic};
use crate::vectors::{PartitionedIndex, VectorIndex as _, unit};

const MAGIC: &[u8; 8] = b"LUCEMB01";
const HEADER: usize = 8 + 32 + 32 + 4 + 4;
const CHECKSUM: usize = 32;

/// What a file of embeddings belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    /// Digest of the model's hash: whatever text names the model.
    pub model: [u8; 32],
    /// Digest of the list of cases.
    pub library: [u8; 32],
    /// How many cases there are.
    pub rows: usize,
}

/// Reads the embeddings in a file.
///
/// Nothing if there is no file, or if it is damaged or belongs to another model or another state of
/// the library: embeddings are made again then. Errors only as the operating system does.
pub(crate) fn read(path: &Path, key: Key) -> Result<Option<PartitionedIndex>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(LibraryError::io(path)(e)),
    };
    Ok(decode(&bytes, key))
}

fn decode(bytes: &[u8], key: Key) -> Option<PartitionedIndex> {
    let (content, checksum) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM)?)?;
    let (header, numbers) = content.split_at_checked(HEADER)?;
    let number = |at: usize| {
        let bytes = header[at..at + 4]
            .try_into()
            .expect("a range of four bytes");
        u32::from_le_bytes(bytes) as usize
    };
    let (rows, dim) = (number(72), number(76));
    let fits = header[..8] == *MAGIC
        && header[8..40] == key.model
        && header[40..72] == key.library
        && rows == key.rows
        && rows.checked_mul(dim)?.checked_mul(2)? == numbers.len()
        && digest(content) == checksum;
    if !fits {
        return None;
    }
    let numbers: Vec<f32> = numbers
        .as_chunks::<2>()
        .0
        .iter()
        .map(|&pair| f16::from_le_bytes(pair).to_f32())
        .collect();
    index(dim, &numbers).ok()
}

/// An index whose identifiers are the rows' numbers.
fn index(dim: usize, numbers: &[f32]) -> Result<PartitionedIndex> {
    let mut index = PartitionedIndex::new(dim)?;
    for (row, vector) in (0..).zip(numbers.chunks_exact(dim)) {
        index.add(row, vector)?;
    }
    Ok(index)
}

/// Writes embeddings and returns them as they will be read: rounded to 16 bits.
///
/// Errors if there is not one row a case, if rows differ in length, or if one has no direction.
pub(crate) fn write(path: &Path, key: Key, rows: &[Vec<f32>]) -> Result<PartitionedIndex> {
    let dim = rows.first().map_or(1, Vec::len);
    if rows.len() != key.rows || rows.iter().any(|row| row.len() != dim) {
        return Err(LibraryError::Vectors(format!(
            "{} rows for {} cases, or rows of different lengths",
            rows.len(),
            key.rows
        )));
    }
    // Unit length first: 16-bit floats hold numbers up to 1 best.
    let mut rounded = Vec::with_capacity(rows.len() * dim);
    for (i, row) in rows.iter().enumerate() {
        let unit = unit(row, dim).map_err(|why| LibraryError::Vectors(format!("row {i} {why}")))?;
        rounded.extend(unit.into_iter().map(f16::from_f32));
    }
    let mut content = Vec::with_capacity(HEADER + 2 * rounded.len() + CHECKSUM);
    content.extend_from_slice(MAGIC);
    content.extend_from_slice(&key.model);
    content.extend_from_slice(&key.library);
    for count in [rows.len(), dim] {
        let count = u32::try_from(count)
            .map_err(|_| LibraryError::Vectors(format!("{count} is too large")))?;
        content.extend_from_slice(&count.to_le_bytes());
    }
    content.extend(rounded.iter().flat_map(|x| x.to_le_bytes()));
    let checksum = digest(&content);
    write_atomic(path, &[&content, &checksum])?;
    let numbers: Vec<f32> = rounded.into_iter().map(f16::to_f32).collect();
    index(dim, &numbers)
}
