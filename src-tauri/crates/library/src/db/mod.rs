//! The case library in SQLite.
//!
//! ```text
//! LUCENCY_HOME/library/library.db     the database, with -wal and -shm while it is open
//!                      patient.key    the key of the pseudonyms, 0600
//!                      index/         vector indexes, made of the database at any time
//! ```
//!
//! Every change is one transaction, on the disk before it is reported (WAL, `synchronous=FULL`). Deleted content is
//! overwritten (`secure_delete`, also in the full-text index).

mod audit;
mod blocks;
mod bm25;
mod cases;
mod connection;
mod coverage;
mod embeddings;
mod filter;
mod imports;
mod key;
mod labels;
mod leaks;
mod list;
mod maintain;
mod postings;
mod read;
mod runs;
mod schema;
mod varint;
mod words;
mod write;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, Transaction, TransactionBehavior};

pub use audit::AuditEntry;
pub use connection::StoreOptions;
pub use maintain::{Restored, Verified};

use crate::error::{LibraryError, Result};
use crate::import::{Checkpoint, ImportKey, Leaks, Reject, patient_in};
use crate::records::{
    CaseRecord, CaseSummary, Coverage, Embedded, Filter, ImageReference, NewEmbedding, Page,
    Source, Space, SpaceState, Stats, StoredEmbedding, Unembedded, Unreadable,
};
use crate::search::{WordHits, WordQuery};
use crate::storage::{Batch, Storage, Written};
use connection::{Place, Sql};
use key::PatientKey;

const DATABASE: &str = "library.db";
const KEY: &str = "patient.key";
const INDEXES: &str = "index";
/// The folder of tables of cases, beside the database.
const TABLES: &str = "tables";

/// A case library in one SQLite file, for one workstation.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    connection: Mutex<Connection>,
    key: PatientKey,
    last_filter: words::LastFilter,
}

impl SqliteStore {
    /// Opens the library in a folder; a new one is made if there is none.
    ///
    /// Errors if it is damaged, of a newer version, or locked; or if the key of its pseudonyms is missing.
    pub fn open(dir: &Path) -> Result<Self> {
        Self::open_with(dir, &StoreOptions::default())
    }

    /// Opens a library as [`open`](Self::open) does, in a way of the caller's.
    pub fn open_with(dir: &Path, options: &StoreOptions) -> Result<Self> {
        create_private(dir)?;
        let path = dir.join(DATABASE);
        let mut connection = connection::connect(&path, options, true)?;
        schema::version(&connection, &path)?;
        let migrated = schema::migrate(&mut connection, &path, schema::MIGRATIONS)?;
        make_private(&path)?;
        let key = open_key(&connection, &path, &dir.join(KEY))?;
        let store = Self {
            path,
            connection: Mutex::new(connection),
            key,
            last_filter: words::LastFilter::default(),
        };
        if let Some(backup) = migrated {
            let name = backup.file_name().unwrap_or_default().to_string_lossy();
            store.write(blocks::keep)?;
            store.note("migrate", &serde_json::json!({ "backup": name }))?;
        }
        Ok(store)
    }

    /// True if a folder holds a library.
    pub fn exists(dir: &Path) -> bool {
        dir.join(DATABASE).is_file()
    }

    /// The folder of the library's vector indexes.
    pub fn indexes(&self) -> PathBuf {
        self.path.with_file_name(INDEXES)
    }

    /// The folder of tables that were written of its cases, for programs that read tables; goes when a case is deleted.
    pub fn tables(&self) -> PathBuf {
        self.path.with_file_name(TABLES)
    }

    /// As [`tables`](Self::tables), of the library in a folder, which need not be open.
    pub fn tables_in(dir: &Path) -> PathBuf {
        dir.join(TABLES)
    }

    /// The folder that the library's folder is in: paths of runs and adapters begin there.
    fn home(&self) -> PathBuf {
        let library = self.path.parent().unwrap_or(Path::new("."));
        library.parent().unwrap_or(Path::new(".")).to_path_buf()
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads one state of the database, whatever others write meanwhile.
    fn read<T>(&self, read: impl FnOnce(&Connection) -> Sql<T>) -> Result<T> {
        let connection = self.lock();
        let transaction = connection.unchecked_transaction().at(&self.path)?;
        let value = read(&transaction).at(&self.path)?;
        transaction.finish().at(&self.path)?;
        Ok(value)
    }

    /// Writes all of it or nothing.
    fn write<T>(&self, write: impl FnOnce(&Transaction<'_>) -> Sql<T>) -> Result<T> {
        let mut connection = self.lock();
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .at(&self.path)?;
        let value = write(&transaction).at(&self.path)?;
        transaction.commit().at(&self.path)?;
        Ok(value)
    }

    /// As [`write`](Self::write), and what was made of the earlier state is stale.
    fn change<T>(&self, write: impl FnOnce(&Transaction<'_>) -> Sql<T>) -> Result<T> {
        self.write(|transaction| {
            let value = write(transaction)?;
            transaction.execute(
                "UPDATE meta SET value = value + 1 WHERE key = 'generation'",
                [],
            )?;
            Ok(value)
        })
    }
}

impl Storage for SqliteStore {
    fn put(&self, source: &Source, batch: &Batch) -> Result<Written> {
        self.change(|transaction| write::batch(transaction, &self.key, source, batch))
    }

    fn get(&self, id: &str) -> Result<CaseRecord> {
        self.read(|connection| read::case(connection, id))
    }

    fn list(&self, filter: &Filter, page: Page) -> Result<Vec<CaseSummary>> {
        self.read(|connection| list::cases(connection, filter, page))
    }

    fn count(&self, filter: &Filter) -> Result<u64> {
        self.read(|connection| list::count(connection, filter))
    }

    fn delete(&self, ids: &[String]) -> Result<u64> {
        let (deleted, had_embeddings) =
            self.change(|transaction| cases::delete(transaction, ids))?;
        // What the log of changes still holds goes too; a reader elsewhere can delay this until the next checkpoint.
        self.truncate_log()?;
        if had_embeddings {
            maintain::remove_folder(&self.indexes())?;
        }
        if deleted > 0 {
            maintain::remove_folder(&self.tables())?;
        }
        Ok(deleted)
    }

    fn stats(&self) -> Result<Stats> {
        let mut stats = self.read(list::stats)?;
        stats.bytes = std::fs::metadata(&self.path).map_or(0, |m| m.len());
        Ok(stats)
    }

    fn search_words(&self, query: &WordQuery) -> Result<WordHits> {
        let terms = query.terms()?;
        let cut = words::cut(&self.lock(), &terms).at(&self.path)?;
        self.read(|connection| words::search(connection, query, &terms, &cut, &self.last_filter))
    }

    fn pseudonym(&self, domain: &str, patient: &str) -> String {
        self.key
            .pseudonym(write::PATIENT, &patient_in(domain, patient))
    }

    fn put_embeddings(&self, space: &Space, embeddings: &[NewEmbedding]) -> Result<()> {
        self.change(|transaction| embeddings::put(transaction, space, embeddings))
    }

    fn embeddings_after(
        &self,
        space: &Space,
        after: i64,
        limit: usize,
    ) -> Result<Vec<StoredEmbedding>> {
        self.read(|connection| embeddings::after(connection, space, after, limit))
    }

    fn count_embeddings(&self, space: &Space) -> Result<u64> {
        self.read(|connection| embeddings::count(connection, space))
    }

    fn unembedded(&self, space: &Space, after: i64, limit: usize) -> Result<Vec<Unembedded>> {
        self.read(|connection| coverage::missing(connection, space, after, limit))
    }

    fn coverage(&self, space: &Space) -> Result<Coverage> {
        self.read(|connection| coverage::coverage(connection, space))
    }

    fn put_unreadable(&self, space: &Space, dim: usize, images: &[Unreadable]) -> Result<()> {
        self.change(|transaction| coverage::put_unreadable(transaction, space, dim, images))
    }

    fn space_state(&self, space: &Space) -> Result<SpaceState> {
        self.read(|connection| embeddings::state(connection, space))
    }

    fn embedding_rows(&self, space: &Space, filter: &Filter) -> Result<Vec<i64>> {
        self.read(|connection| embeddings::rows(connection, space, filter))
    }

    fn embedded(&self, rows: &[i64]) -> Result<Vec<Embedded>> {
        self.read(|connection| embeddings::embedded(connection, rows))
    }

    fn cases_with_image(
        &self,
        file: Option<&[u8; 32]>,
        pixels: Option<&[u8; 32]>,
    ) -> Result<Vec<String>> {
        self.read(|connection| read::cases_with_image(connection, file, pixels))
    }

    fn generation(&self) -> Result<u64> {
        self.read(list::generation)
    }

    fn open_import(&self, source: &Source, key: &ImportKey) -> Result<Checkpoint> {
        self.write(|transaction| imports::open(transaction, source, key))
    }

    fn interrupted_import(&self, source: &str, key: &ImportKey) -> Result<Option<Checkpoint>> {
        self.read(|connection| imports::interrupted(connection, source, key))
    }

    fn known_image(&self, source: &str, path: &str) -> Result<Option<ImageReference>> {
        self.read(|connection| read::known_image(connection, source, path))
    }

    fn rejects(&self, checkpoint: &Checkpoint, limit: usize) -> Result<Vec<Reject>> {
        self.read(|connection| imports::rejects(connection, checkpoint.import, limit))
    }

    fn leaks(&self, source: &str) -> Result<Leaks> {
        self.read(|connection| leaks::find(connection, source))
    }
}

/// Makes the folder of the library, readable by its owner alone.
fn create_private(dir: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(dir).map_err(LibraryError::io(dir))
}

#[cfg_attr(not(unix), allow(clippy::unnecessary_wraps))]
fn make_private(path: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
            .map_err(LibraryError::io(path))?;
    }
    Ok(())
}

/// Reads the key that belongs to a database, or makes it for a new one.
fn open_key(connection: &Connection, path: &Path, key_path: &Path) -> Result<PatientKey> {
    let stored: Option<String> = read::meta(connection, "key_check").at(path)?;
    let key = match (PatientKey::read(key_path)?, &stored) {
        (Some(key), _) => key,
        (None, None) => PatientKey::create(key_path)?,
        (None, Some(_)) => {
            return Err(LibraryError::PatientKey {
                path: key_path.into(),
                message:
                    "the key of the patients' pseudonyms is missing; put it back from your backup"
                        .into(),
            });
        }
    };
    let check = key.pseudonym("check", "");
    match stored {
        Some(stored) if stored != check => Err(LibraryError::PatientKey {
            path: key_path.into(),
            message: "this key belongs to another library: the pseudonyms here were made with a different one"
                .into(),
        }),
        Some(_) => Ok(key),
        None => {
            let now = audit::now();
            let begin = || -> rusqlite::Result<()> {
                connection.execute(
                    "INSERT OR IGNORE INTO meta (key, value) VALUES ('key_check', ?1), ('created', ?2), ('generation', 1)",
                    (&check, &now),
                )?;
                Ok(())
            };
            begin().at(path)?;
            Ok(key)
        }
    }
}
