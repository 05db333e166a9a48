//! The body of an index's file: its sections, written and read one after another.

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::path::Path;

use rayon::prelude::*;

use super::low::{LowPlane, PAGE, Stored, read_at, verify};
use super::rows::Rows;
use crate::error::{LibraryError, Result};

const BLOCK: usize = 1 << 20;
/// Low planes up to this many bytes are kept in memory.
pub(super) const RESIDENT: usize = 1 << 20;

/// A part of the body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Section {
    pub bytes: usize,
    /// Bytes with a checksum of their own.
    pub block: usize,
}

impl Section {
    pub fn of(bytes: usize) -> Self {
        Self {
            bytes,
            block: BLOCK,
        }
    }

    pub fn blocks(self) -> usize {
        self.bytes.div_ceil(self.block)
    }
}

pub(super) fn rows_sections(rows: usize, dim: usize) -> Option<[Section; 5]> {
    let plane = rows.checked_mul(dim)?;
    let low = Section {
        bytes: plane,
        block: PAGE,
    };
    let [ids, scales, slacks, high] = [rows * 8, rows * 4, rows * 4, plane].map(Section::of);
    Some([ids, scales, slacks, high, low])
}

/// Reads one section after another.
pub(super) struct Reader<'a> {
    pub path: &'a Path,
    pub file: &'a File,
    pub at: u64,
    pub sections: std::vec::IntoIter<Section>,
    pub checksums: &'a [u32],
}

impl Reader<'_> {
    /// The next section, where it begins, and the checksums of its blocks.
    fn next(&mut self) -> (Section, u64, &[u32]) {
        let section = self.sections.next().expect("the header counted sections");
        let (mine, rest) = self.checksums.split_at(section.blocks());
        let at = self.at;
        self.checksums = rest;
        self.at += section.bytes as u64;
        (section, at, mine)
    }

    /// Reads and verifies the next section.
    pub fn section(&mut self) -> Result<Vec<u8>> {
        let (path, file) = (self.path, self.file);
        let (section, at, checksums) = self.next();
        // Several blocks at once: of a page each, they would be many small reads.
        let blocks = (BLOCK / section.block).max(1);
        let piece = blocks * section.block;
        let mut bytes = vec![0; section.bytes];
        bytes
            .par_chunks_mut(piece)
            .zip(checksums.par_chunks(blocks))
            .enumerate()
            .try_for_each(|(i, (bytes, checksums))| {
                let at = at + (i * piece) as u64;
                read_at(file, at, bytes).map_err(LibraryError::io(path))?;
                verify(path, at, bytes, section.block, checksums)
            })?;
        Ok(bytes)
    }

    /// Reads and verifies the next rows, all but a large low plane.
    pub fn rows(&mut self, dim: usize) -> Result<Rows> {
        let ids: Vec<u64> = numbers(&self.section()?, u64::from_le_bytes);
        Ok(Rows {
            dim,
            scales: numbers(&self.section()?, f32::from_le_bytes),
            slacks: numbers(&self.section()?, f32::from_le_bytes),
            high: self.section()?,
            low: self.low(dim, ids.len())?,
            ids,
        })
    }

    fn low(&mut self, dim: usize, rows: usize) -> Result<LowPlane> {
        if rows * dim <= RESIDENT {
            return Ok(LowPlane::of(dim, self.section()?));
        }
        let file = self.file.try_clone().map_err(LibraryError::io(self.path))?;
        let path = self.path.to_path_buf();
        let (_, begin, checksums) = self.next();
        let stored = Stored {
            file,
            path,
            begin,
            rows,
            checksums: checksums.to_vec(),
        };
        Ok(LowPlane::stored(dim, stored))
    }
}

/// Writes one section after another.
pub(super) struct Writer<'a> {
    pub path: &'a Path,
    pub file: &'a File,
    pub sections: std::vec::IntoIter<Section>,
    /// Of all blocks that were written.
    pub checksums: Vec<u32>,
    /// Where the last low plane begins and ends.
    pub low: Range<usize>,
}

impl Writer<'_> {
    pub fn seek(&mut self, at: u64) -> Result<()> {
        let sought = self.file.seek(SeekFrom::Start(at));
        sought.map(drop).map_err(LibraryError::io(self.path))
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.file.write_all(bytes);
        written.map_err(LibraryError::io(self.path))
    }

    /// Writes some blocks of a section.
    fn blocks(&mut self, bytes: &[u8], block: usize) -> Result<()> {
        self.checksums
            .par_extend(bytes.par_chunks(block).map(crc32fast::hash));
        self.write(bytes)
    }

    /// Writes the next section.
    pub fn section(&mut self, bytes: &[u8]) -> Result<()> {
        let section = self.sections.next().expect("the header counted sections");
        self.low = self.low.end..self.low.end + section.bytes;
        self.blocks(bytes, section.block)
    }

    /// Writes the next rows.
    pub fn rows(&mut self, rows: &Rows) -> Result<()> {
        self.section(&bytes(&rows.ids, |n| n.to_le_bytes()))?;
        self.section(&bytes(&rows.scales, |n| n.to_le_bytes()))?;
        self.section(&bytes(&rows.slacks, |n| n.to_le_bytes()))?;
        self.section(&rows.high)?;
        // The low plane may lie in another file, in another order: a piece of whole pages at a time.
        let section = self.sections.next().expect("the header counted sections");
        self.low = self.low.end..self.low.end + section.bytes;
        let mut piece = Vec::with_capacity(BLOCK + rows.dim);
        for row in 0..rows.len() {
            piece.extend_from_slice(&rows.low.row(row)?);
            if piece.len() >= BLOCK {
                let rest = piece.split_off(piece.len() / PAGE * PAGE);
                self.blocks(&piece, section.block)?;
                piece = rest;
            }
        }
        self.blocks(&piece, section.block)
    }
}

/// Gives a finished file its name, at once.
pub(super) fn publish(
    file: tempfile::NamedTempFile,
    path: &Path,
    parent: &Path,
) -> std::io::Result<()> {
    file.as_file().sync_all()?;
    file.persist(path).map_err(|e| e.error)?;
    // The new name itself reaches the disk only with its folder.
    #[cfg(unix)]
    File::open(parent)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = parent;
    Ok(())
}

pub(super) fn bytes<T: Copy, const N: usize>(
    values: &[T],
    encode: impl Fn(T) -> [u8; N],
) -> Vec<u8> {
    values.iter().flat_map(|v| encode(*v)).collect()
}

pub(super) fn numbers<T, const N: usize>(bytes: &[u8], decode: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks().0.iter().map(|b| decode(*b)).collect()
}
