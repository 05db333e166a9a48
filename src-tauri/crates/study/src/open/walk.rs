//! Files below a folder, each once, in a stable order.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::OpenOptions;
use crate::error::StudyError;

/// Folders and files that were reached already, by their canonical path: symbolic links cannot lead in a circle, and a
/// file named twice is opened once.
#[derive(Default)]
pub(crate) struct Visited {
    folders: HashSet<PathBuf>,
    files: HashSet<PathBuf>,
}

impl Visited {
    /// Remembers a file; `true` when it is new.
    pub fn mark_file(&mut self, path: &Path) -> bool {
        self.files.insert(canonical(path))
    }

    /// True when the file was opened already.
    pub fn has_file(&self, path: &Path) -> bool {
        self.files.contains(&canonical(path))
    }
}

fn canonical(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

pub(crate) struct Found {
    pub files: Vec<PathBuf>,
    pub rejected: Vec<(PathBuf, StudyError)>,
}

/// The files below `root`, folders in order of name, DICOMDIRs last.
pub(crate) fn files(root: &Path, options: &OpenOptions, visited: &mut Visited) -> Found {
    let mut found = Found {
        files: Vec::new(),
        rejected: Vec::new(),
    };
    descend(root, options, visited, 0, &mut found);
    let is_directory_file = |p: &PathBuf| {
        p.file_name()
            .is_some_and(|n| n.eq_ignore_ascii_case("DICOMDIR"))
    };
    found.files.sort_by_key(|p| is_directory_file(p));
    found
}

fn descend(
    folder: &Path,
    options: &OpenOptions,
    visited: &mut Visited,
    depth: usize,
    found: &mut Found,
) {
    if !visited.folders.insert(canonical(folder)) {
        return;
    }
    let refuse = |found: &mut Found, error| found.rejected.push((folder.to_owned(), error));
    if depth > options.max_depth {
        refuse(
            found,
            StudyError::TooLarge("folders nested too deeply".into()),
        );
        return;
    }
    let listing = match std::fs::read_dir(folder) {
        Ok(listing) => listing,
        Err(error) => {
            refuse(found, error.into());
            return;
        }
    };
    let mut paths: Vec<PathBuf> = listing.flatten().map(|entry| entry.path()).collect();
    paths.sort_by(|a, b| natural(&a.to_string_lossy(), &b.to_string_lossy()));
    for path in paths {
        let hidden = path
            .file_name()
            .is_some_and(|n| n.to_string_lossy().starts_with('.'));
        if path.is_dir() {
            if hidden {
                continue;
            }
            descend(&path, options, visited, depth + 1, found);
        } else if found.files.len() >= options.max_files {
            refuse(found, StudyError::TooLarge("too many files".into()));
            return;
        } else if path.is_file() {
            if !visited.has_file(&path) {
                found.files.push(path);
            }
        } else {
            // A dangling link, a socket, a device: opening one could block for ever.
            let error = match path.exists() {
                true => StudyError::NotAnImage("not a regular file".into()),
                false => StudyError::NotFound,
            };
            found.rejected.push((path, error));
        }
    }
}

/// Compares names so that `slice2` comes before `slice10`.
pub(crate) fn natural(a: &str, b: &str) -> std::cmp::Ordering {
    let (mut a, mut b) = (a.chars().peekable(), b.chars().peekable());
    loop {
        match (a.peek().copied(), b.peek().copied()) {
            (Some(x), Some(y)) if x.is_ascii_digit() && y.is_ascii_digit() => {
                let number = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>| {
                    let mut digits = String::new();
                    while let Some(d) = chars.next_if(char::is_ascii_digit) {
                        digits.push(d);
                    }
                    digits.trim_start_matches('0').to_owned()
                };
                let (x, y) = (number(&mut a), number(&mut b));
                let order = x.len().cmp(&y.len()).then(x.cmp(&y));
                if order.is_ne() {
                    return order;
                }
            }
            (x, y) if x == y => {
                if x.is_none() {
                    return std::cmp::Ordering::Equal;
                }
                a.next();
                b.next();
            }
            (x, y) => return x.cmp(&y),
        }
    }
}
