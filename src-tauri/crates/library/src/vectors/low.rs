//! The low plane of the vectors: in memory, or in the index's file while nothing needs it.
//!
//! A search reads some tens of rows of this plane, so that a large index leaves it in its file: half the memory, and half of
//! what has to be read before the first search. What is read is verified each time, against checksums that were read and
//! verified when the file was opened: a file that changes later gives an error, never an answer.

use std::borrow::Cow;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::file::damaged;
use crate::error::{LibraryError, Result};

/// Bytes of the plane with a checksum of their own: a page of most disks.
pub(super) const PAGE: usize = 4096;

/// `[rows, dim]`, two's complement bytes.
#[derive(Debug, Clone)]
pub(super) struct LowPlane {
    dim: usize,
    /// The rows that lie in a file.
    file: Option<Arc<Stored>>,
    /// Those that came since.
    memory: Vec<u8>,
    /// Where each row lies: first those of the file, then those in memory. In their order if nothing is given.
    places: Option<Vec<u32>>,
}

/// A plane in a file.
#[derive(Debug)]
pub(super) struct Stored {
    /// The open file: it can be replaced and removed, and is read nevertheless.
    pub file: File,
    /// Where it was, for messages.
    pub path: PathBuf,
    /// Where in the file the plane begins.
    pub begin: u64,
    /// Rows of the plane.
    pub rows: usize,
    /// CRC-32 of each [`PAGE`] of it.
    pub checksums: Vec<u32>,
}

impl LowPlane {
    /// A plane without rows.
    pub fn new(dim: usize) -> Self {
        Self::of(dim, Vec::new())
    }

    /// A plane in memory.
    pub fn of(dim: usize, memory: Vec<u8>) -> Self {
        Self {
            dim,
            file: None,
            memory,
            places: None,
        }
    }

    /// A plane in a file.
    pub fn stored(dim: usize, file: Stored) -> Self {
        Self {
            file: Some(Arc::new(file)),
            ..Self::new(dim)
        }
    }

    fn in_file(&self) -> usize {
        self.file.as_ref().map_or(0, |file| file.rows)
    }

    pub fn memory_bytes(&self) -> usize {
        let places = self.places.as_ref().map_or(0, Vec::capacity);
        let checksums = self.file.as_ref().map_or(0, |file| file.checksums.len());
        self.memory.capacity() + 4 * (places + checksums)
    }

    pub fn reserve(&mut self, rows: usize) {
        self.memory.reserve_exact(rows * self.dim);
    }

    /// Adds a row.
    pub fn push(&mut self, row: impl Iterator<Item = u8>) {
        let place = self.in_file() + self.memory.len() / self.dim;
        self.memory.extend(row);
        if let Some(places) = &mut self.places {
            places.push(place as u32);
        }
    }

    fn place(&self, row: usize) -> usize {
        let place = self.places.as_ref().map(|places| places[row] as usize);
        place.unwrap_or(row)
    }

    /// One row.
    ///
    /// Errors with [`LibraryError::DamagedIndex`] if the file was changed, or as the operating system does.
    pub fn row(&self, row: usize) -> Result<Cow<'_, [u8]>> {
        let place = self.place(row);
        match &self.file {
            Some(file) if place < file.rows => file.row(place, self.dim).map(Cow::Owned),
            _ => {
                let begin = (place - self.in_file()) * self.dim;
                Ok(Cow::Borrowed(&self.memory[begin..begin + self.dim]))
            }
        }
    }

    /// Overwrites a row, as far as it lies in memory: a file is written anew without it.
    pub fn erase(&mut self, row: usize) {
        if let Some(place) = self.place(row).checked_sub(self.in_file()) {
            self.memory[place * self.dim..(place + 1) * self.dim].fill(0);
        }
    }

    /// Puts row `order[i]` at place `i`.
    pub fn reorder(&mut self, order: &[u32]) {
        if self.file.is_none() && self.places.is_none() {
            return super::rows::permute(&mut self.memory, self.dim, order);
        }
        let places = order.iter().map(|&row| self.place(row as usize) as u32);
        self.places = Some(places.collect());
    }

    /// Keeps the rows for which `keep` is true, in their order.
    ///
    /// - `rows`: how many there are
    pub fn retain(&mut self, rows: usize, keep: &dyn Fn(usize) -> bool) {
        let kept = (0..rows).filter(|&row| keep(row));
        if self.file.is_some() || self.places.is_some() {
            let places = kept.map(|row| self.place(row) as u32);
            self.places = Some(places.collect());
            return;
        }
        let mut to = 0;
        for from in kept {
            if from != to {
                let place = from * self.dim..(from + 1) * self.dim;
                self.memory.copy_within(place, to * self.dim);
            }
            to += 1;
        }
        self.memory.truncate(to * self.dim);
    }
}

impl Stored {
    fn row(&self, place: usize, dim: usize) -> Result<Vec<u8>> {
        let row = place * dim..(place + 1) * dim;
        let (first, end) = (row.start / PAGE, row.end.div_ceil(PAGE));
        let begin = first * PAGE;
        let mut bytes = vec![0; (end * PAGE).min(self.rows * dim) - begin];
        let at = self.begin + begin as u64;
        read_at(&self.file, at, &mut bytes).map_err(|e| match e.kind() {
            std::io::ErrorKind::UnexpectedEof => damaged(&self.path, "was cut short"),
            _ => LibraryError::io(&self.path)(e),
        })?;
        verify(&self.path, at, &bytes, PAGE, &self.checksums[first..end])?;
        bytes.truncate(row.end - begin);
        Ok(bytes.split_off(row.start - begin))
    }
}

/// Compares each block of some bytes with its checksum.
///
/// - `at`: where they are in the file, for messages
///
/// Errors with [`LibraryError::DamagedIndex`] if one differs.
pub(super) fn verify(
    path: &Path,
    at: u64,
    bytes: &[u8],
    block: usize,
    checksums: &[u32],
) -> Result<()> {
    for (i, (bytes, checksum)) in bytes.chunks(block).zip(checksums).enumerate() {
        if crc32fast::hash(bytes) != *checksum {
            let at = at + (i * block) as u64;
            let reason = format!("was changed in the block at byte {at}");
            return Err(damaged(path, reason));
        }
    }
    Ok(())
}

/// Fills `bytes` from a place in a file that several threads read.
pub(super) fn read_at(file: &File, at: u64, bytes: &mut [u8]) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        std::os::unix::fs::FileExt::read_exact_at(file, bytes, at)
    }
    #[cfg(windows)]
    {
        let mut done = 0;
        while done < bytes.len() {
            let read = std::os::windows::fs::FileExt::seek_read(
                file,
                &mut bytes[done..],
                at + done as u64,
            )?;
            if read == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            done += read;
        }
        Ok(())
    }
}
