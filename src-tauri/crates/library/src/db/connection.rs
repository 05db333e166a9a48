//! Opening the database, and its errors in the library's words.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::error::{LibraryError, Result};

/// How a library is opened.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// How long to wait for another program that is writing.
    pub busy_timeout: Duration,
    /// Most bytes that the database may take; none for as many as the disk holds.
    pub max_bytes: Option<u64>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            busy_timeout: Duration::from_secs(10),
            max_bytes: None,
        }
    }
}

/// Opens a database file and sets what is not stored in it.
pub(crate) fn connect(path: &Path, options: &StoreOptions, create: bool) -> Result<Connection> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if create {
        flags |= OpenFlags::SQLITE_OPEN_CREATE;
    }
    let open = || {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(options.busy_timeout)?;
        // Readers go on while one program writes; a commit is on the disk before it is reported.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        // Deleted cases are overwritten, not only forgotten.
        connection.pragma_update(None, "secure_delete", true)?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        connection.pragma_update(None, "cache_size", -65_536)?; // KiB
        connection.pragma_update(None, "mmap_size", 1_i64 << 30)?;
        if let Some(bytes) = options.max_bytes {
            let page: i64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
            let pages = i64::try_from(bytes).unwrap_or(i64::MAX) / page;
            connection.pragma_update(None, "max_page_count", pages.max(1))?;
        }
        Ok(connection)
    };
    open().map_err(|e| sql_error(e, path))
}

/// Puts the database's place into an error.
pub(crate) trait Place<T> {
    /// The library's error, naming the file.
    fn at(self, path: &Path) -> Result<T>;
}

impl<T> Place<T> for rusqlite::Result<T> {
    fn at(self, path: &Path) -> Result<T> {
        self.map_err(|e| sql_error(e, path))
    }
}

/// SQLite's error in the library's words.
pub(crate) fn sql_error(error: rusqlite::Error, path: &Path) -> LibraryError {
    let path = path.to_path_buf();
    let code = error.sqlite_error_code();
    match code {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => LibraryError::Busy { path },
        Some(ErrorCode::DiskFull) => LibraryError::Full { path },
        Some(ErrorCode::NotADatabase) => LibraryError::Damaged {
            path,
            message: "this is no database".into(),
        },
        Some(ErrorCode::DatabaseCorrupt) => LibraryError::Damaged {
            path,
            message: "the database is damaged".into(),
        },
        Some(ErrorCode::SystemIoFailure) => LibraryError::Database {
            path,
            message: "the disk failed or is full".into(),
        },
        _ => LibraryError::Database {
            path,
            message: error.to_string(),
        },
    }
}

/// An error inside the database's own functions, before the file's place is known.
#[derive(Debug)]
pub(crate) enum Fault {
    /// SQLite's.
    Sql(rusqlite::Error),
    /// The library's.
    Library(LibraryError),
}

/// Result of the database's own functions.
pub(crate) type Sql<T> = std::result::Result<T, Fault>;

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<LibraryError> for Fault {
    fn from(error: LibraryError) -> Self {
        Self::Library(error)
    }
}

impl<T> Place<T> for Sql<T> {
    fn at(self, path: &Path) -> Result<T> {
        self.map_err(|fault| match fault {
            Fault::Sql(error) => sql_error(error, path),
            Fault::Library(error) => error,
        })
    }
}
