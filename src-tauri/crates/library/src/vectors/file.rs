//! An index on disk, one file for each pack and generation.
//!
//! Layout, little endian: the header (see [`Header`]); a CRC-32 for each block of the body; a CRC-32 of
//! all that; the body. The body is a row of sections, each cut into blocks of a mebibyte: where lists
//! begin; then for the centroids and again for the vectors: identifiers, scales, slacks, the high plane,
//! the low plane, whose blocks are pages. Every block that is read is verified, on all threads while the next ones are read.
//! A low plane of more than [`RESIDENT`] bytes is not read when the file is opened but stays there, see
//! [`LowPlane`]; everything else is.

use std::fs::File;
use std::io::Read as _;
use std::ops::Range;
use std::path::Path;

use super::body::{RESIDENT, Reader, Section, Writer, bytes, numbers, publish, rows_sections};
use super::index::{Lists, PartitionedIndex};
use super::low::{LowPlane, PAGE, Stored};
use super::rows::Rows;
use crate::error::{LibraryError, Result};
use crate::files::{digest, hex};

const MAGIC: &[u8; 8] = b"LUCVECTS";
/// The version of the layout that this crate reads and writes.
const VERSION: u32 = 2;
const CRC: usize = 4;

/// What an index on disk belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexKey<'a> {
    /// The hash of the model's pack.
    pub model: &'a str,
    /// The library's generation: it grows with every change of its embeddings.
    pub generation: u64,
}

impl IndexKey<'_> {
    /// What the names of all files of this pack begin with.
    pub(super) fn prefix(&self) -> String {
        format!("{}-", &hex(&digest(self.model.as_bytes()))[..16])
    }

    /// The name of this file.
    pub fn file_name(&self) -> String {
        format!("{}{}.vectors", self.prefix(), self.generation)
    }
}

/// The first bytes of the file, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Header {
    dim: u32,
    rows: u64,
    lists: u64,
    probes: u64,
    generation: u64,
    model: [u8; 32],
}

impl Header {
    /// Magic, version and the fields.
    const BYTES: usize = 8 + 4 + 4 + 4 * 8 + 32;

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::BYTES);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.dim.to_le_bytes());
        for number in [self.rows, self.lists, self.probes, self.generation] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&self.model);
        bytes
    }

    fn decode(bytes: &[u8; Self::BYTES]) -> Self {
        let u32_at = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        let u64_at = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        Self {
            dim: u32_at(12),
            rows: u64_at(16),
            lists: u64_at(24),
            probes: u64_at(32),
            generation: u64_at(40),
            model: std::array::from_fn(|i| bytes[48 + i]),
        }
    }

    /// Bytes of each section, in order; nothing if the numbers cannot be true.
    fn sections(&self) -> Option<Vec<Section>> {
        let (rows, lists) = (usize::try_from(self.rows).ok()?, self.lists as usize);
        let possible = (1..=65_536).contains(&self.dim)
            && self.rows <= u64::from(u32::MAX)
            && self.lists <= self.rows
            && self.probes <= self.lists;
        if !possible {
            return None;
        }
        let mut sections = Vec::new();
        if lists > 0 {
            sections.push(Section::of((lists + 1) * 4));
            sections.extend(rows_sections(lists, self.dim as usize)?);
        }
        sections.extend(rows_sections(rows, self.dim as usize)?);
        Some(sections)
    }
}

impl PartitionedIndex {
    /// Writes the index to a file, at once or not at all. Gaps that removed vectors left are closed first.
    ///
    /// Errors as the operating system does; a file that was there before is then still there.
    pub fn save(&mut self, path: &Path, key: IndexKey<'_>) -> Result<()> {
        self.compact();
        let (lists, probes) = self.list_counts().unwrap_or((0, 0));
        let header = Header {
            dim: self.rows.dim as u32,
            rows: self.rows.len() as u64,
            lists: lists as u64,
            probes: probes as u64,
            generation: key.generation,
            model: digest(key.model.as_bytes()),
        };
        let sections = header.sections().ok_or_else(|| {
            LibraryError::Vectors("there are too many vectors for one file".into())
        })?;
        let count: usize = sections.iter().map(|s| s.blocks()).sum();
        let body = Header::BYTES + CRC * (count + 1);
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        std::fs::create_dir_all(parent).map_err(LibraryError::io(parent))?;
        let file = tempfile::NamedTempFile::new_in(parent).map_err(LibraryError::io(parent))?;
        let mut writer = Writer {
            path,
            file: file.as_file(),
            sections: sections.into_iter(),
            checksums: Vec::with_capacity(count),
            low: body..body,
        };
        writer.seek(body as u64)?;
        if let Some(lists) = &self.lists {
            writer.section(&bytes(&lists.offsets, |n| n.to_le_bytes()))?;
            writer.rows(&lists.centroids)?;
        }
        writer.rows(&self.rows)?;
        let mut head = header.encode();
        head.extend(writer.checksums.iter().flat_map(|c| c.to_le_bytes()));
        let checksum = crc32fast::hash(&head);
        head.extend_from_slice(&checksum.to_le_bytes());
        writer.seek(0)?;
        writer.write(&head)?;
        let Writer { checksums, low, .. } = writer;
        publish(file, path, parent).map_err(LibraryError::io(path))?;
        self.leave_low_plane(path, low, checksums)
    }

    /// Lets the low plane go from memory, once it lies in a file.
    ///
    /// - `low`: where in the file it is, the last of its sections
    /// - `checksums`: of all blocks of the file
    fn leave_low_plane(
        &mut self,
        path: &Path,
        low: Range<usize>,
        mut checksums: Vec<u32>,
    ) -> Result<()> {
        if low.len() > RESIDENT {
            let pages = low.len().div_ceil(PAGE);
            let stored = Stored {
                file: File::open(path).map_err(LibraryError::io(path))?,
                path: path.to_path_buf(),
                begin: low.start as u64,
                rows: self.rows.len(),
                checksums: checksums.split_off(checksums.len() - pages),
            };
            self.rows.low = LowPlane::stored(self.rows.dim, stored);
        }
        Ok(())
    }

    /// Reads an index from a file and verifies what it reads: all but a large low plane, which is verified where a search
    /// reads it.
    ///
    /// Errors with [`LibraryError::DamagedIndex`] if the file is cut short or what was read was changed, with
    /// [`LibraryError::StaleIndex`] if it belongs to another pack or generation, with
    /// [`LibraryError::FormatVersion`] if a newer version wrote it, or as the operating system does.
    pub fn open(path: &Path, key: IndexKey<'_>) -> Result<Self> {
        let mut file = File::open(path).map_err(LibraryError::io(path))?;
        let length = file.metadata().map_err(LibraryError::io(path))?.len();
        let (header, sections, checksums) = read_head(&mut file, path, length)?;
        check_key(&header, key, path)?;
        let mut reader = Reader {
            path,
            file: &file,
            at: (Header::BYTES + CRC * (checksums.len() + 1)) as u64,
            sections: sections.into_iter(),
            checksums: &checksums,
        };
        let dim = header.dim as usize;
        let lists = match header.lists {
            0 => None,
            _ => Some(Lists {
                offsets: numbers(&reader.section()?, u32::from_le_bytes),
                centroids: reader.rows(dim)?,
                probes: header.probes as usize,
            }),
        };
        let rows = reader.rows(dim)?;
        if let Some(why) = contradiction(&rows, lists.as_ref()) {
            return Err(damaged(path, why));
        }
        Ok(Self::of(rows, lists))
    }
}

/// The header, the lengths of the sections and the checksums of the blocks.
fn read_head(
    file: &mut File,
    path: &Path,
    length: u64,
) -> Result<(Header, Vec<Section>, Vec<u32>)> {
    let mut read = |bytes: &mut [u8]| {
        file.read_exact(bytes).map_err(|e| match e.kind() {
            std::io::ErrorKind::UnexpectedEof => damaged(path, "is cut short in its header"),
            _ => LibraryError::io(path)(e),
        })
    };
    let mut first = [0; Header::BYTES];
    read(&mut first)?;
    if first[..8] != *MAGIC {
        return Err(damaged(path, "is no vector index"));
    }
    let version = u32::from_le_bytes(std::array::from_fn(|i| first[8 + i]));
    if version != VERSION {
        return Err(LibraryError::FormatVersion {
            path: path.to_path_buf(),
            found: u64::from(version),
            supported: VERSION,
        });
    }
    let header = Header::decode(&first);
    let impossible = || damaged(path, "has a header that cannot be true");
    let sections = header.sections().ok_or_else(impossible)?;
    let count: usize = sections.iter().map(|s| s.blocks()).sum();
    let body: u64 = sections.iter().map(|s| s.bytes as u64).sum();
    let expected = (Header::BYTES + CRC * (count + 1)) as u64 + body;
    if length != expected {
        let reason = format!("has {length} bytes, {expected} are expected");
        return Err(damaged(path, reason));
    }
    let mut table = vec![0; CRC * count];
    read(&mut table)?;
    let mut checksum = [0; CRC];
    read(&mut checksum)?;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&first);
    hasher.update(&table);
    if hasher.finalize() != u32::from_le_bytes(checksum) {
        return Err(damaged(path, "has a damaged header"));
    }
    Ok((header, sections, numbers(&table, u32::from_le_bytes)))
}

fn check_key(header: &Header, key: IndexKey<'_>, path: &Path) -> Result<()> {
    let stale = |reason: String| LibraryError::StaleIndex {
        path: path.to_path_buf(),
        reason,
    };
    if header.model != digest(key.model.as_bytes()) {
        return Err(stale("it was made with another model pack".into()));
    }
    if header.generation != key.generation {
        return Err(stale(format!(
            "it is of generation {}, the library of generation {}",
            header.generation, key.generation
        )));
    }
    Ok(())
}

/// What no undamaged index has, however it was written.
fn contradiction(rows: &Rows, lists: Option<&Lists>) -> Option<&'static str> {
    let sound = |rows: &Rows| {
        let scales = rows.scales.iter().all(|s| s.is_finite() && *s > 0.0);
        scales && rows.slacks.iter().all(|s| s.is_finite() && *s >= 0.0)
    };
    if !sound(rows) || !lists.is_none_or(|l| sound(&l.centroids)) {
        return Some("has vectors that cannot be");
    }
    let offsets = lists.map_or(&[0][..], |l| &l.offsets);
    let rising = offsets.is_sorted() && offsets.first() == Some(&0);
    let last = offsets.last().is_some_and(|l| *l as usize <= rows.len());
    (!rising || !last).then_some("has lists that cannot be")
}

/// The error for a file that cannot be answered from.
pub(super) fn damaged(path: &Path, reason: impl Into<String>) -> LibraryError {
    LibraryError::DamagedIndex {
        path: path.to_path_buf(),
        reason: reason.into(),
    }
}
