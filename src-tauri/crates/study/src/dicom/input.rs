//! A buffered input that never allocates for a length it does not have.

use std::io::{BufReader, Read, Seek, SeekFrom};

use crate::error::{Result, StudyError};

/// Anything that can be read and sought: a file, a zip member in memory, an inflated data set.
pub(crate) trait ReadSeek: Read + Seek + Send {}
impl<T: Read + Seek + Send> ReadSeek for T {}

/// A buffered input that knows its length and its position.
pub(crate) struct Input {
    inner: BufReader<Box<dyn ReadSeek>>,
    position: u64,
    length: u64,
}

impl Input {
    pub fn new(mut inner: Box<dyn ReadSeek>) -> Result<Self> {
        let length = inner.seek(SeekFrom::End(0))?;
        inner.rewind()?;
        Ok(Self {
            inner: BufReader::with_capacity(32 << 10, inner),
            position: 0,
            length,
        })
    }

    pub fn length(&self) -> u64 {
        self.length
    }

    pub fn position(&self) -> u64 {
        self.position
    }

    pub fn remaining(&self) -> u64 {
        self.length.saturating_sub(self.position)
    }

    pub fn seek(&mut self, position: u64) -> Result<()> {
        let delta = position.wrapping_sub(self.position) as i64;
        self.inner.seek_relative(delta)?;
        self.position = position;
        Ok(())
    }

    /// Reads `length` bytes, after checking that the input has them.
    pub fn take(&mut self, length: u64) -> Result<Vec<u8>> {
        if length > self.remaining() {
            return Err(StudyError::truncated(format!(
                "{length} bytes wanted where {} are left",
                self.remaining()
            )));
        }
        let mut bytes = vec![0; length as usize];
        self.inner.read_exact(&mut bytes)?;
        self.position += length;
        Ok(bytes)
    }

    /// Exactly `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.inner.read_exact(&mut bytes)?;
        self.position += N as u64;
        Ok(bytes)
    }

    /// Up to `N` bytes ahead, zeros past the end; the position stays.
    pub fn peek<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        let start = self.position;
        let have = (self.remaining() as usize).min(N);
        self.inner.read_exact(&mut bytes[..have])?;
        self.position += have as u64;
        self.seek(start)?;
        Ok(bytes)
    }
}
