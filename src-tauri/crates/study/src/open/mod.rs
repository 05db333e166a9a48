//! From paths to studies: what is an image, what is not and why, and what belongs together.

mod archive;
mod dicomdir;
mod group;
mod instance;
mod walk;

use std::path::{Path, PathBuf};

use crate::error::{Result, StudyError};
use crate::model::{Format, Study};
use crate::source::Source;

pub(crate) use instance::{Entry, format_of, iso_date, patient};

/// Limits of one opening.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// Most files and archive members that are looked at.
    pub max_files: usize,
    /// Deepest folder below a path that is given.
    pub max_depth: usize,
    /// Most entries of the list of rejected files; later ones are only counted.
    pub max_rejected: usize,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            max_files: 200_000,
            max_depth: 32,
            max_rejected: 10_000,
        }
    }
}

/// How far opening has come; `total` grows while folders are still being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenProgress {
    /// Files looked at.
    pub done: u64,
    /// Files found.
    pub total: u64,
}

/// A file that is not shown, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// The file; for an archive's member the archive's path with the member's name appended.
    pub path: PathBuf,
    /// [`StudyError::code`].
    pub code: &'static str,
    /// The error in words, without patient data.
    pub message: String,
}

/// What opening found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OpenReport {
    /// In order of first appearance.
    pub studies: Vec<Study>,
    /// Files that are not shown.
    pub rejected: Vec<Rejected>,
    /// Rejected files beyond [`OpenOptions::max_rejected`].
    pub rejected_more: usize,
    /// True when `stop` ended the opening; what was read until then is there.
    pub cancelled: bool,
}

impl OpenReport {
    /// Number of frames over all studies.
    pub fn number_of_frames(&self) -> usize {
        let series = self.studies.iter().flat_map(|s| &s.series);
        series.map(|s| s.frames.len()).sum()
    }
}

/// Opens files, folders (recursively), zip archives and DICOMDIRs.
///
/// Content decides what a file is, never its name. Pixel data are not read. Every file that is not shown is in the
/// report with the reason. Hidden folders (a leading dot) inside folders are passed over.
///
/// - `stop`: asked between files; `true` ends the opening with what there is
/// - `report`: told after every file
pub fn open(
    paths: &[PathBuf],
    options: &OpenOptions,
    stop: &dyn Fn() -> bool,
    report: &mut dyn FnMut(OpenProgress),
) -> OpenReport {
    let mut opening = Opening {
        options,
        stop,
        report,
        progress: OpenProgress { done: 0, total: 0 },
        entries: Vec::new(),
        rejected: Vec::new(),
        rejected_more: 0,
        cancelled: false,
        in_directory: false,
    };
    let mut visited = walk::Visited::default();
    for path in paths {
        if opening.stopped() {
            break;
        }
        if path.is_dir() {
            opening.folder(path, &mut visited);
        } else {
            opening.progress.total += 1;
            opening.file(path, &mut visited);
        }
    }
    let (studies, copies) = group::group(std::mem::take(&mut opening.entries));
    for copy in copies {
        opening.reject(&copy.shown_path(), &StudyError::Duplicate);
    }
    OpenReport {
        studies,
        rejected: opening.rejected,
        rejected_more: opening.rejected_more,
        cancelled: opening.cancelled,
    }
}

struct Opening<'a> {
    options: &'a OpenOptions,
    stop: &'a dyn Fn() -> bool,
    report: &'a mut dyn FnMut(OpenProgress),
    progress: OpenProgress,
    entries: Vec<Entry>,
    rejected: Vec<Rejected>,
    rejected_more: usize,
    cancelled: bool,
    /// A DICOMDIR's files are being opened: another one among them is not followed.
    in_directory: bool,
}

impl Opening<'_> {
    fn stopped(&mut self) -> bool {
        self.cancelled = self.cancelled || (self.stop)();
        self.cancelled
    }

    fn folder(&mut self, path: &Path, visited: &mut walk::Visited) {
        let found = walk::files(path, self.options, visited);
        for (path, error) in found.rejected {
            self.reject(&path, &error);
        }
        self.progress.total += found.files.len() as u64;
        // A DICOMDIR beside the files it lists adds nothing, so it comes last and only brings what is still missing.
        for file in found.files {
            if self.stopped() {
                return;
            }
            self.file(&file, visited);
        }
    }

    fn file(&mut self, path: &Path, visited: &mut walk::Visited) {
        visited.mark_file(path);
        match self.read_file(path, visited) {
            Ok(()) => {}
            Err(error) => self.reject(path, &error),
        }
        self.count();
    }

    fn read_file(&mut self, path: &Path, visited: &mut walk::Visited) -> Result<()> {
        match format_of(&mut *Source::File(path.to_owned()).reader()?)? {
            Content::Zip => archive::members(self, path),
            Content::Image(format) => {
                let source = Source::File(path.to_owned());
                match instance::read(source, format)? {
                    instance::Outcome::Image(entry) => self.entries.push(*entry),
                    instance::Outcome::Directory(_) if self.in_directory => {
                        return Err(StudyError::unsupported("a DICOMDIR that lists another"));
                    }
                    instance::Outcome::Directory(data_set) => {
                        dicomdir::referenced(self, path, &data_set, visited)?;
                    }
                }
                Ok(())
            }
        }
    }

    fn count(&mut self) {
        self.progress.done += 1;
        self.progress.total = self.progress.total.max(self.progress.done);
        (self.report)(self.progress);
    }

    fn reject(&mut self, path: &Path, error: &StudyError) {
        if self.rejected.len() >= self.options.max_rejected {
            self.rejected_more += 1;
            return;
        }
        self.rejected.push(Rejected {
            path: path.to_owned(),
            code: error.code(),
            message: error.to_string(),
        });
    }
}

/// What a file's first bytes say it is.
pub(crate) enum Content {
    Image(Format),
    Zip,
}
