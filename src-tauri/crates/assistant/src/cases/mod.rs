//! The department's case library: what it has, what it finds, and how cases come in. One use case a file.

pub(crate) mod describe;
mod embed;
mod held;
mod images;
mod import;
mod indexes;
mod query;
mod ranking;
mod search;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use lucency_library::{Coverage, Ledger as _, Restored, SqliteStore, Storage as _};

pub use images::{patient_of_file, picture_of_file};
pub use import::{formats, preview};
pub use query::CaseQuery;
pub use search::Seen;
pub(crate) use search::space;

use crate::cache::forget_embeddings;
use crate::dto::{LibraryCase, LibraryDeleted};
use crate::error::{AssistantError, Result};
use crate::finetune::{forget_images, shows_images};
use crate::ledger;
use indexes::Indexes;

/// The folder of the library in Lucency's home.
pub fn folder(home: &Path) -> PathBuf {
    home.join("library")
}

/// The case library of a workstation, shared between threads. It is opened when it is first needed.
pub struct CaseLibrary {
    folder: PathBuf,
    store: Mutex<Option<Arc<SqliteStore>>>,
    indexes: Arc<Indexes>,
    covered: Mutex<Option<Covered>>,
}

/// How much of the library a pack had embedded at a generation of the library.
#[derive(Clone)]
struct Covered {
    generation: u64,
    pack: String,
    images: Coverage,
    reports: Coverage,
}

impl CaseLibrary {
    /// The library in a home folder; nothing is opened or made yet.
    pub fn at(home: &Path) -> Self {
        let folder = folder(home);
        Self {
            indexes: Arc::new(Indexes::of(&folder)),
            store: Mutex::default(),
            covered: Mutex::default(),
            folder,
        }
    }

    /// The store; none if there is no library.
    ///
    /// Errors if there is one that cannot be opened.
    pub fn store(&self) -> Result<Option<Arc<SqliteStore>>> {
        let mut open = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        if open.is_none() && SqliteStore::exists(&self.folder) {
            *open = Some(Arc::new(SqliteStore::open(&self.folder)?));
        }
        Ok(open.clone())
    }

    /// The store. Errors if there is no library.
    pub(crate) fn existing(&self) -> Result<Arc<SqliteStore>> {
        self.store()?.ok_or_else(|| {
            let folder = self.folder.display();
            AssistantError::NoLibrary(format!("{folder}; import cases to make one"))
        })
    }

    /// A store of a job's own: its transactions keep no search waiting. A library is made if there is none.
    fn own_store(&self) -> Result<SqliteStore> {
        Ok(SqliteStore::open(&self.folder)?)
    }

    /// A case with everything that is known of it.
    ///
    /// Errors if there is no such case.
    pub fn case(&self, id: &str) -> Result<LibraryCase> {
        Ok(describe::case(self.existing()?.get(id)?))
    }

    /// The image files of a case, in its order.
    ///
    /// Errors if there is no such case.
    pub fn image_paths(&self, id: &str) -> Result<Vec<PathBuf>> {
        let case = self.existing()?.get(id)?;
        let root = Path::new(&case.source.root);
        Ok(case.images.iter().map(|i| root.join(&i.path)).collect())
    }

    /// Deletes cases with every trace of them, in the indexes, the reports of finished runs and the cache of embeddings too, and
    /// says which adapters learned from them: weights cannot forget.
    ///
    /// What lies outside the database goes first: killed meanwhile, the same call takes the rest.
    /// Errors, deleting none, if an identifier is unknown.
    pub fn delete(&self, ids: &[String]) -> Result<LibraryDeleted> {
        let store = self.existing()?;
        let seen = store.seen_by(ids)?;
        let home = self.home();
        let report_entries = match shows_images(home) {
            true => forget_images(home, &self.images_of(ids)?)?,
            false => 0,
        };
        forget_embeddings(home)?;
        let deleted = store.delete(ids)?;
        self.indexes.forget_deleted(&store)?;
        Ok(describe::deleted(deleted, &seen, report_entries))
    }

    /// Replaces the library by a backup, and writes the adapters that are there into its record.
    ///
    /// Errors, changing nothing, as [`SqliteStore::restore`] does.
    pub fn restore(&self, backup: &Path) -> Result<Restored> {
        *self.store.lock().unwrap_or_else(PoisonError::into_inner) = None; // nobody may have it open
        let restored = SqliteStore::restore(&self.folder, backup)?;
        ledger::note_adapters(self.home())?;
        Ok(restored)
    }

    /// The folder that the library's folder is in.
    fn home(&self) -> &Path {
        self.folder.parent().unwrap_or(Path::new("."))
    }

    /// The image files of cases.
    fn images_of(&self, ids: &[String]) -> Result<Vec<PathBuf>> {
        let paths: Result<Vec<_>> = ids.iter().map(|id| self.image_paths(id)).collect();
        Ok(paths?.concat())
    }
}
