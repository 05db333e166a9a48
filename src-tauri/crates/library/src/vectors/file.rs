//! An index on disk, one file for each pack and generation.
//!
//! Layout, little endian: the header (see [`Header`]); a CRC-32 for each block of the body; a CRC-32 of
//! all that; the body. The body is a row of sections, each cut into blocks of a mebibyte: where lists
//! begin; then for the centroids and again for the vectors: identifiers, scales, slacks, the high plane,
//! the low plane. Every block is verified when the file is opened, on all threads while the next ones are
//! read: what was opened was intact.

use std::borrow::Cow;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use rayon::prelude::*;

use super::index::{Lists, PartitionedIndex};
use super::rows::Rows;
use crate::error::{LibraryError, Result};
use crate::files::{digest, hex};

const MAGIC: &[u8; 8] = b"LUCVECTS";
/// The version of the layout that this crate reads and writes.
const VERSION: u32 = 1;
const BLOCK: usize = 1 << 20;
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
    fn sections(&self) -> Option<Vec<usize>> {
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
            sections.push((lists + 1) * 4);
            sections.extend(rows_sections(lists, self.dim as usize)?);
        }
        sections.extend(rows_sections(rows, self.dim as usize)?);
        Some(sections)
    }
}

fn rows_sections(rows: usize, dim: usize) -> Option<[usize; 5]> {
    let plane = rows.checked_mul(dim)?;
    Some([rows * 8, rows * 4, rows * 4, plane, plane])
}

fn blocks(section: usize) -> usize {
    section.div_ceil(BLOCK)
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
        let mut sections: Vec<Cow<'_, [u8]>> = Vec::new();
        if let Some(lists) = &self.lists {
            sections.push(bytes(&lists.offsets, |n| n.to_le_bytes()));
            sections.extend(encode_rows(&lists.centroids));
        }
        sections.extend(encode_rows(&self.rows));
        let mut head = header.encode();
        for section in &sections {
            let checksums: Vec<u32> = section.par_chunks(BLOCK).map(crc32fast::hash).collect();
            head.extend(checksums.iter().flat_map(|c| c.to_le_bytes()));
        }
        let checksum = crc32fast::hash(&head);
        head.extend_from_slice(&checksum.to_le_bytes());
        write(path, &head, &sections).map_err(LibraryError::io(path))
    }

    /// Reads an index from a file and verifies all of it.
    ///
    /// Errors with [`LibraryError::DamagedIndex`] if the file is cut short or was changed, with
    /// [`LibraryError::StaleIndex`] if it belongs to another pack or generation, with
    /// [`LibraryError::FormatVersion`] if a newer version wrote it, or as the operating system does.
    pub fn open(path: &Path, key: IndexKey<'_>) -> Result<Self> {
        let mut file = File::open(path).map_err(LibraryError::io(path))?;
        let length = file.metadata().map_err(LibraryError::io(path))?.len();
        let (header, sections, checksums) = read_head(&mut file, path, length)?;
        check_key(&header, key, path)?;
        let mut reader = Reader {
            path,
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
fn read_head(file: &mut File, path: &Path, length: u64) -> Result<(Header, Vec<usize>, Vec<u32>)> {
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
    let count: usize = sections.iter().map(|s| blocks(*s)).sum();
    let body: u64 = sections.iter().map(|s| *s as u64).sum();
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

/// Reads one section after another.
struct Reader<'a> {
    path: &'a Path,
    at: u64,
    sections: std::vec::IntoIter<usize>,
    checksums: &'a [u32],
}

impl Reader<'_> {
    fn section(&mut self) -> Result<Vec<u8>> {
        let length = self.sections.next().expect("the header counted sections");
        let (mine, rest) = self.checksums.split_at(blocks(length));
        let mut bytes = vec![0; length];
        bytes
            .par_chunks_mut(BLOCK)
            .zip(mine)
            .enumerate()
            .try_for_each(|(i, (block, checksum))| {
                let at = self.at + (i * BLOCK) as u64;
                read_at(self.path, at, block).map_err(LibraryError::io(self.path))?;
                match crc32fast::hash(block) == *checksum {
                    true => Ok(()),
                    false => {
                        let reason = format!("was changed in the block at byte {at}");
                        Err(damaged(self.path, reason))
                    }
                }
            })?;
        self.at += length as u64;
        self.checksums = rest;
        Ok(bytes)
    }

    fn rows(&mut self, dim: usize) -> Result<Rows> {
        Ok(Rows {
            dim,
            ids: numbers(&self.section()?, u64::from_le_bytes),
            scales: numbers(&self.section()?, f32::from_le_bytes),
            slacks: numbers(&self.section()?, f32::from_le_bytes),
            high: self.section()?,
            low: self.section()?,
        })
    }
}

/// A handle of its own for each block: threads that share one would move each other's place.
fn read_at(path: &Path, at: u64, bytes: &mut [u8]) -> std::io::Result<()> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(bytes)
}

fn write(path: &Path, head: &[u8], sections: &[Cow<'_, [u8]>]) -> std::io::Result<()> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(parent)?;
    let mut file = tempfile::NamedTempFile::new_in(parent)?;
    file.write_all(head)?;
    for section in sections {
        file.write_all(section)?;
    }
    file.as_file().sync_all()?;
    file.persist(path).map_err(|e| e.error)?;
    // The new name itself reaches the disk only with its folder.
    #[cfg(unix)]
    File::open(parent)?.sync_all()?;
    Ok(())
}

fn encode_rows(rows: &Rows) -> [Cow<'_, [u8]>; 5] {
    [
        bytes(&rows.ids, |n| n.to_le_bytes()),
        bytes(&rows.scales, |n| n.to_le_bytes()),
        bytes(&rows.slacks, |n| n.to_le_bytes()),
        Cow::Borrowed(&rows.high),
        Cow::Borrowed(&rows.low),
    ]
}

fn bytes<T: Copy, const N: usize>(
    values: &[T],
    encode: impl Fn(T) -> [u8; N],
) -> Cow<'static, [u8]> {
    Cow::Owned(values.iter().flat_map(|v| encode(*v)).collect())
}

fn numbers<T, const N: usize>(bytes: &[u8], decode: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks().0.iter().map(|b| decode(*b)).collect()
}

fn damaged(path: &Path, reason: impl Into<String>) -> LibraryError {
    LibraryError::DamagedIndex {
        path: path.to_path_buf(),
        reason: reason.into(),
    }
}
