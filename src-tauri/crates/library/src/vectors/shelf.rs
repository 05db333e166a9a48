//! A folder of indexes: the one of the current pack and generation is opened, or made anew.

use std::path::{Path, PathBuf};

use super::file::IndexKey;
use super::index::PartitionedIndex;
use super::{VectorIndex as _, Watch};
use crate::error::{LibraryError, Result};

/// Seed of the lists: the same vectors give the same index on every machine.
const SEED: u64 = 4;

/// A folder with one index for each pack.
#[derive(Debug, Clone)]
pub struct IndexShelf {
    dir: PathBuf,
}

/// An index that was opened or made.
#[derive(Debug)]
pub struct Opened {
    /// The index, of the pack and generation that were asked for.
    pub index: PartitionedIndex,
    /// Why it was made anew; nothing if it was read from its file.
    pub rebuilt: Option<Rebuilt>,
}

/// Why an index was made anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rebuilt {
    /// There was no file for this pack and generation.
    Missing,
    /// The file could not be used.
    Unusable(String),
}

impl IndexShelf {
    /// The folder `dir`; it is made when the first index is written.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Where the index of a pack and generation is.
    pub fn path(&self, key: IndexKey<'_>) -> PathBuf {
        self.dir.join(key.file_name())
    }

    /// The index of a pack and generation; nothing if there is no file.
    ///
    /// Errors as [`PartitionedIndex::open`] does: a damaged or stale file is never answered from.
    pub fn open(&self, key: IndexKey<'_>) -> Result<Option<PartitionedIndex>> {
        match PartitionedIndex::open(&self.path(key), key) {
            Err(LibraryError::Io { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                Ok(None)
            }
            opened => opened.map(Some),
        }
    }

    /// The newest index of the pack of an earlier generation, to be brought up to date before it is used; nothing if there
    /// is none that is intact.
    ///
    /// Errors as the operating system does.
    pub fn open_earlier(&self, key: IndexKey<'_>) -> Result<Option<PartitionedIndex>> {
        if !self.dir.is_dir() {
            return Ok(None);
        }
        let generation = |path: &PathBuf| {
            let name = path.file_stem()?.to_str()?;
            name.strip_prefix(&key.prefix())?.parse::<u64>().ok()
        };
        let files = self.files_of(key)?;
        let mut earlier: Vec<u64> = files.iter().filter_map(generation).collect();
        earlier.retain(|generation| *generation < key.generation);
        earlier.sort_unstable();
        for generation in earlier.into_iter().rev() {
            let key = IndexKey { generation, ..key };
            match self.open(key) {
                Err(
                    LibraryError::DamagedIndex { .. }
                    | LibraryError::StaleIndex { .. }
                    | LibraryError::FormatVersion { .. },
                ) => {}
                opened => return opened,
            }
        }
        Ok(None)
    }

    /// Opens the index of a pack and generation, or makes and keeps it where there is none, or none that
    /// can be used. Made for a background thread: opening is quick, making takes about a minute a million.
    ///
    /// - `vectors`: called only if the index is made: see [`PartitionedIndex::build`]
    /// - returns nothing if the watch says stop; nothing was changed then
    ///
    /// Errors if the vectors do not fit, or as the operating system does.
    pub fn open_or_build<I>(
        &self,
        key: IndexKey<'_>,
        dim: usize,
        vectors: impl FnOnce() -> Result<I>,
        watch: &mut Watch<'_>,
    ) -> Result<Option<Opened>>
    where
        I: Iterator<Item = Result<(u64, Vec<f32>)>>,
    {
        let why = match self.open(key) {
            Ok(Some(index)) if index.dim() == dim => {
                return Ok(Some(Opened {
                    index,
                    rebuilt: None,
                }));
            }
            Ok(Some(index)) => {
                let found = index.dim();
                Rebuilt::Unusable(format!("its vectors have {found} dimensions, not {dim}"))
            }
            Ok(None) => Rebuilt::Missing,
            Err(LibraryError::DamagedIndex { reason, .. }) => Rebuilt::Unusable(reason),
            Err(LibraryError::StaleIndex { reason, .. }) => Rebuilt::Unusable(reason),
            Err(LibraryError::FormatVersion { found, .. }) => {
                Rebuilt::Unusable(format!("it has format {found}"))
            }
            Err(other) => return Err(other),
        };
        let Some(mut index) = PartitionedIndex::build(dim, vectors()?, SEED, watch)? else {
            return Ok(None);
        };
        self.save(&mut index, key)?;
        Ok(Some(Opened {
            index,
            rebuilt: Some(why),
        }))
    }

    /// Writes an index and removes the same pack's other generations: vectors that were deleted since are
    /// then gone from the disk too.
    ///
    /// Errors as the operating system does.
    pub fn save(&self, index: &mut PartitionedIndex, key: IndexKey<'_>) -> Result<()> {
        let path = self.path(key);
        index.save(&path, key)?;
        for other in self.files_of(key)? {
            if other != path {
                std::fs::remove_file(&other).map_err(LibraryError::io(&other))?;
            }
        }
        Ok(())
    }

    /// Removes the files of a pack, whatever their generation.
    ///
    /// Errors as the operating system does.
    pub fn clear(&self, key: IndexKey<'_>) -> Result<()> {
        if self.dir.is_dir() {
            for path in self.files_of(key)? {
                std::fs::remove_file(&path).map_err(LibraryError::io(&path))?;
            }
        }
        Ok(())
    }

    fn files_of(&self, key: IndexKey<'_>) -> Result<Vec<PathBuf>> {
        let prefix = key.prefix();
        let of_pack = |path: &Path| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.starts_with(&prefix) && name.ends_with(".vectors"))
        };
        let entries = std::fs::read_dir(&self.dir).map_err(LibraryError::io(&self.dir))?;
        let mut files = Vec::new();
        for entry in entries {
            let path = entry.map_err(LibraryError::io(&self.dir))?.path();
            if of_pack(&path) {
                files.push(path);
            }
        }
        Ok(files)
    }
}
