//! Verifying, backing up and restoring.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::Backup;
use serde::Serialize;
use serde_json::json;

use super::connection::{Place, Sql, StoreOptions, connect, sql_error};
use super::{DATABASE, INDEXES, KEY, SqliteStore, TABLES, blocks, open_key, runs, schema};
use crate::error::{LibraryError, Result};
use crate::files::file_digest;

/// Problems that are listed; further ones are only counted.
const MAX_PROBLEMS: usize = 100;

/// What verifying found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// True without problems.
    pub ok: bool,
    /// What is wrong, the first hundred.
    pub problems: Vec<String>,
    /// How many problems there are.
    pub problem_count: u64,
    /// Cases.
    pub cases: u64,
    /// Image files that were read and compared; 0 if that was not asked for.
    pub images_read: u64,
}

/// What restoring did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Restored {
    /// Cases in the restored library.
    pub cases: u64,
    /// Where the library that was there before is kept.
    pub previous: Option<PathBuf>,
}

impl SqliteStore {
    /// Checks the database's structure, references and words, the folders of runs and adapters that it names, and the image
    /// files if asked.
    ///
    /// - `images`: reads every image file and compares its hash
    /// - `stop`: asked between images; `true` ends the check with what was found
    pub fn verify(&self, images: bool, stop: &dyn Fn() -> bool) -> Result<Verified> {
        let mut report = Report::default();
        self.read(|connection| structure(connection, &mut report))?;
        // The full-text index checks itself against the texts; the check is written as an insertion but changes nothing.
        let words = "INSERT INTO words (words, rank) VALUES ('integrity-check', 1)";
        if let Err(error) = self.write(|transaction| Ok(transaction.execute(words, [])?)) {
            match error {
                LibraryError::Damaged { .. } | LibraryError::Database { .. } => {
                    report
                        .add("the words of the full-text index are not those of the texts".into());
                }
                other => return Err(other),
            }
        }
        if !self.read(blocks::agree)? {
            report.add("what is kept of each text by its row is not what the tables say".into());
        }
        let home = self.home();
        for folder in self.read(|connection| runs::missing_folders(connection, &home))? {
            report.add(folder);
        }
        let images_read = match images {
            true => self.read(|connection| check_images(connection, &mut report, stop))?,
            false => 0,
        };
        let cases = self.read(|connection| {
            let n: i64 =
                connection.query_row("SELECT count(*) FROM cases", [], |row| row.get(0))?;
            Ok(n as u64)
        })?;
        Ok(Verified {
            ok: report.count == 0,
            problems: report.problems,
            problem_count: report.count,
            cases,
            images_read,
        })
    }

    /// Writes a copy of the database to a file while the library stays in use. The file appears at once or not at all.
    ///
    /// The key of the pseudonyms is not in it: keep `patient.key` elsewhere.
    ///
    /// Errors if the file exists.
    pub fn backup(&self, to: &Path) -> Result<()> {
        if to.symlink_metadata().is_ok() {
            return Err(LibraryError::Exists { dir: to.into() });
        }
        copy(&self.lock(), &self.path, to)?;
        self.note("backup", &json!({}))
    }

    /// Replaces the library in a folder by a backup. What was there before is kept beside it.
    ///
    /// Errors, changing nothing, if the backup is damaged, of a newer version, or made with another key; or if another
    /// program has the library open.
    pub fn restore(dir: &Path, from: &Path) -> Result<Restored> {
        if !from.is_file() {
            let source = std::io::Error::from(std::io::ErrorKind::NotFound);
            return Err(LibraryError::io(from)(source));
        }
        super::create_private(dir)?;
        let path = dir.join(DATABASE);
        let staged = stage(dir, from, &path)?;
        let previous = match path.exists() {
            true => Some(set_aside(dir, &path)?),
            false => None,
        };
        // Row numbers begin again where the backup ended: an index of what came after it would fit by accident.
        remove_folder(&dir.join(INDEXES))?;
        remove_folder(&dir.join(TABLES))?;
        staged
            .persist(&path)
            .map_err(|e| LibraryError::io(&path)(e.error))?;
        sync_folder(dir);
        let store = Self::open(dir)?;
        let cases = store.verify(false, &|| false)?.cases;
        store.note("restore", &json!({ "cases": cases }))?;
        Ok(Restored { cases, previous })
    }

    /// Empties the log of changes into the database.
    pub(super) fn truncate_log(&self) -> Result<()> {
        let connection = self.lock();
        connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .at(&self.path)
    }
}

#[derive(Default)]
struct Report {
    problems: Vec<String>,
    count: u64,
}

impl Report {
    fn add(&mut self, problem: String) {
        self.count += 1;
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(problem);
        }
    }
}

fn structure(connection: &Connection, report: &mut Report) -> Sql<()> {
    let mut statement = connection.prepare("PRAGMA integrity_check(100)")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let line: String = row.get(0)?;
        if line != "ok" {
            report.add(format!("database: {line}"));
        }
    }
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (table, parent): (String, String) = (row.get(0)?, row.get(2)?);
        report.add(format!(
            "a row of {table} refers to a missing row of {parent}"
        ));
    }
    let lost: i64 = connection.query_row(
        "SELECT count(*) FROM texts LEFT JOIN questions ON text_row = texts.row
         WHERE (kind = 'question') <> (text_row IS NOT NULL)",
        [],
        |row| row.get(0),
    )?;
    if lost > 0 {
        report.add(format!("{lost} questions are incomplete"));
    }
    Ok(())
}

fn check_images(connection: &Connection, report: &mut Report, stop: &dyn Fn() -> bool) -> Sql<u64> {
    let mut statement = connection.prepare(
        "SELECT cases.id, root, path, sha256 FROM images JOIN cases ON cases.row = case_row
         JOIN sources ON sources.row = cases.source ORDER BY images.row",
    )?;
    let mut rows = statement.query([])?;
    let mut read = 0;
    while let Some(row) = rows.next()? {
        if stop() {
            break;
        }
        let (id, root, path): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let expected: [u8; 32] = row.get(3)?;
        match file_digest(&Path::new(&root).join(path)) {
            Ok((found, _)) if found == expected => {}
            Ok(_) => report.add(format!("case {id}: its image was changed")),
            Err(_) => report.add(format!("case {id}: its image is missing or cannot be read")),
        }
        read += 1;
    }
    Ok(read)
}

/// Removes a folder of what is made of the database again: vector indexes, tables of cases.
pub(super) fn remove_folder(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(LibraryError::io(folder)(e)),
        _ => Ok(()),
    }
}

/// Copies an open database to a file, through a temporary one beside it.
pub(super) fn copy(from: &Connection, path: &Path, to: &Path) -> Result<()> {
    let parent = match to.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let file = tempfile::NamedTempFile::new_in(parent).map_err(LibraryError::io(to))?;
    {
        let mut target = Connection::open(file.path()).map_err(|e| sql_error(e, to))?;
        let mut run = || -> rusqlite::Result<()> {
            let backup = Backup::new(from, &mut target)?;
            backup.run_to_completion(1024, Duration::from_millis(5), None)
        };
        run().map_err(|e| match sql_error(e, to) {
            LibraryError::Busy { .. } => LibraryError::Busy { path: path.into() },
            other => other,
        })?;
        // One file that needs no log beside it.
        target
            .pragma_update(None, "journal_mode", "DELETE")
            .map_err(|e| sql_error(e, to))?;
    }
    file.as_file().sync_all().map_err(LibraryError::io(to))?;
    file.persist(to)
        .map_err(|e| LibraryError::io(to)(e.error))?;
    sync_folder(parent);
    Ok(())
}

/// Copies a backup beside the library and checks the copy.
fn stage(dir: &Path, from: &Path, path: &Path) -> Result<tempfile::NamedTempFile> {
    let file = tempfile::Builder::new()
        .prefix(".restore-")
        .tempfile_in(dir)
        .map_err(LibraryError::io(dir))?;
    fs::copy(from, file.path()).map_err(LibraryError::io(from))?;
    let options = StoreOptions::default();
    let connection = connect(file.path(), &options, false).map_err(|e| rename(e, from))?;
    if schema::version(&connection, from)? == 0 {
        return Err(LibraryError::Damaged {
            path: from.into(),
            message: "this is an empty file, not a backup of a case library".into(),
        });
    }
    let mut report = Report::default();
    structure(&connection, &mut report).at(from)?;
    if let Some(problem) = report.problems.first() {
        return Err(LibraryError::Damaged {
            path: from.into(),
            message: format!("the backup is damaged: {problem}"),
        });
    }
    open_key(&connection, from, &path.with_file_name(KEY))?;
    connection
        .pragma_update(None, "journal_mode", "DELETE")
        .map_err(|e| sql_error(e, from))?;
    drop(connection);
    file.as_file().sync_all().map_err(LibraryError::io(dir))?;
    Ok(file)
}

/// An error about the staged copy is one about the backup.
fn rename(error: LibraryError, from: &Path) -> LibraryError {
    match error {
        LibraryError::Damaged { message, .. } => LibraryError::Damaged {
            path: from.into(),
            message,
        },
        other => other,
    }
}

/// Moves the present database out of the way, whatever state it is in.
fn set_aside(dir: &Path, path: &Path) -> Result<PathBuf> {
    let options = StoreOptions {
        busy_timeout: Duration::from_secs(2),
        ..StoreOptions::default()
    };
    if let Ok(connection) = connect(path, &options, false) {
        // Nobody else may have it open: a writer would go on writing into the file that is moved away.
        let locked = connection
            .pragma_update(None, "locking_mode", "EXCLUSIVE")
            .and_then(|()| connection.execute_batch("BEGIN EXCLUSIVE; COMMIT;"));
        match locked.map_err(|e| sql_error(e, path)) {
            Err(busy @ LibraryError::Busy { .. }) => return Err(busy),
            _ => drop(connection),
        }
    }
    let stamp: String = super::audit::now()
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    let aside = dir.join(format!("library.{stamp}.before-restore"));
    fs::rename(path, &aside).map_err(LibraryError::io(path))?;
    for part in ["-wal", "-shm"] {
        let mut from = path.as_os_str().to_owned();
        from.push(part);
        let mut to = aside.as_os_str().to_owned();
        to.push(part);
        let _ = fs::rename(from, to); // there is none after a clean end
    }
    Ok(aside)
}

/// A rename is on the disk when its folder is.
fn sync_folder(dir: &Path) {
    #[cfg(unix)]
    if let Ok(folder) = fs::File::open(dir) {
        let _ = folder.sync_all();
    }
    #[cfg(not(unix))]
    let _ = dir;
}
