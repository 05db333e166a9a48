//! Cases and their embeddings together.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::case::{Case, NewCase};
use crate::embeddings::{self, Key};
use crate::error::{LibraryError, Result};
use crate::files::{digest, hex};
use crate::store::{CaseStore, FolderStore};
use crate::vectors::{Effort, PartitionedIndex, VectorIndex as _};

/// A library of cases that can be searched by image.
#[derive(Debug)]
pub struct Library {
    store: FolderStore,
    /// Folders of embeddings: looked into in this order, written to the last.
    places: Vec<PathBuf>,
    loaded: Mutex<HashMap<String, Arc<PartitionedIndex>>>,
}

/// What a search leaves out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exclude {
    /// Cases whose image is known under this digest of pixels.
    pub pixel_hash: Option<String>,
    /// Cases of this patient.
    pub patient: Option<String>,
    /// The case with this identifier.
    pub case_id: Option<String>,
}

/// A case that a search found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit<'a> {
    /// The case.
    pub case: &'a Case,
    /// Cosine of its embedding and the query, -1 to 1.
    pub score: f32,
}

impl Library {
    /// Opens the library in a folder. Its embeddings are kept in the folder too.
    ///
    /// Errors as [`FolderStore::open`] does.
    pub fn open(dir: &Path) -> Result<Self> {
        Ok(Self::of(FolderStore::open(dir)?))
    }

    /// Writes a new library and opens it; see [`FolderStore::create`].
    pub fn create(
        dir: &Path,
        name: &str,
        licence: &str,
        cases: impl IntoIterator<Item = NewCase>,
    ) -> Result<Self> {
        Ok(Self::of(FolderStore::create(dir, name, licence, cases)?))
    }

    fn of(store: FolderStore) -> Self {
        Self {
            places: vec![store.dir().join("embeddings")],
            store,
            loaded: Mutex::default(),
        }
    }

    /// The same library with new embeddings written to a folder of the user's: a library that came
    /// with the application may lie where nothing can be written.
    pub fn with_cache(mut self, cache: &Path) -> Self {
        self.places
            .push(cache.join(&hex(&self.store.fingerprint())[..16]));
        self
    }

    /// The library's name, for people.
    pub fn name(&self) -> &str {
        self.store.name()
    }

    /// Number of cases.
    pub fn len(&self) -> usize {
        self.cases().len()
    }

    /// True if the library has no cases.
    pub fn is_empty(&self) -> bool {
        self.cases().is_empty()
    }

    /// Every case, always in the same order.
    pub fn cases(&self) -> &[Case] {
        self.store.cases()
    }

    /// The case with an identifier. Errors with [`LibraryError::NoCase`].
    pub fn case(&self, id: &str) -> Result<&Case> {
        self.store
            .case(id)
            .ok_or_else(|| LibraryError::NoCase { id: id.into() })
    }

    /// The bytes of a case's PNG, verified.
    ///
    /// Errors if there is no such case or if its image is missing or was changed.
    pub fn image_bytes(&self, id: &str) -> Result<Vec<u8>> {
        self.store.image_bytes(id)
    }

    /// The PNG file of a case, verified.
    ///
    /// Errors as [`image_bytes`](Self::image_bytes) does.
    pub fn image_file(&self, id: &str) -> Result<PathBuf> {
        self.store.image_file(id)
    }

    /// The stored embeddings of a model, row for row as [`cases`](Self::cases).
    ///
    /// - `model`: the hash of the model's pack
    ///
    /// Nothing if there are none for this model and the library as it is now; embeddings that are
    /// damaged or of an earlier state count as none.
    pub fn embeddings(&self, model: &str) -> Result<Option<Arc<PartitionedIndex>>> {
        let lock = || self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = lock().get(model) {
            return Ok(Some(index.clone()));
        }
        for place in &self.places {
            if let Some(index) = embeddings::read(&file(place, model), self.key(model))? {
                let index = Arc::new(index);
                lock().insert(model.to_string(), index.clone());
                return Ok(Some(index));
            }
        }
        Ok(None)
    }

    /// True if [`embeddings`](Self::embeddings) has some.
    pub fn has_embeddings(&self, model: &str) -> Result<bool> {
        Ok(self.embeddings(model)?.is_some())
    }

    /// Stores embeddings of every case, in the order of [`cases`](Self::cases).
    ///
    /// - `model`: the hash of the model's pack
    /// - `rows`: `[cases][dim]`, any length but zero
    ///
    /// Errors if there is not one row a case, if a row has no direction, or if they cannot be
    /// written.
    pub fn store_embeddings(
        &self,
        model: &str,
        rows: &[Vec<f32>],
    ) -> Result<Arc<PartitionedIndex>> {
        let place = self.places.last().expect("`of` puts one place");
        let index = Arc::new(embeddings::write(
            &file(place, model),
            self.key(model),
            rows,
        )?);
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.insert(model.to_string(), index.clone());
        Ok(index)
    }

    /// The `k` cases nearest to a query by cosine, best first; of equals the one listed first.
    ///
    /// - `model`: the hash of the pack that made the query
    /// - `query`: `[dim]`
    ///
    /// Errors with [`LibraryError::NotEmbedded`] if the cases were not embedded with this model, or
    /// if the query does not fit.
    pub fn nearest(
        &self,
        model: &str,
        query: &[f32],
        k: usize,
        exclude: &Exclude,
    ) -> Result<Vec<Hit<'_>>> {
        if self.is_empty() {
            return Ok(Vec::new());
        }
        let index = self
            .embeddings(model)?
            .ok_or_else(|| LibraryError::NotEmbedded {
                model: model.into(),
            })?;
        let cases = self.cases();
        let keep = |row: u64| !exclude.leaves_out(&cases[row as usize]);
        let hits = index.search(query, k, Effort::Automatic, &keep)?;
        Ok(hits
            .into_iter()
            .map(|hit| Hit {
                case: &cases[hit.id as usize],
                score: hit.cosine,
            })
            .collect())
    }

    fn key(&self, model: &str) -> Key {
        Key {
            model: digest(model.as_bytes()),
            library: self.store.fingerprint(),
            rows: self.len(),
        }
    }
}

impl Exclude {
    fn leaves_out(&self, case: &Case) -> bool {
        let same = |wanted: &Option<String>, value: &str| wanted.as_deref() == Some(value);
        same(&self.patient, &case.patient)
            || same(&self.case_id, &case.id)
            || case
                .pixel_hashes
                .iter()
                .any(|hash| same(&self.pixel_hash, hash))
    }
}

fn file(place: &Path, model: &str) -> PathBuf {
    place.join(format!("{}.bin", &hex(&digest(model.as_bytes()))[..32]))
}
