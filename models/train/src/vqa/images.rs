//! The images of a question file, found on disk.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::records::QaRecord;
use crate::{Result, TrainError};

/// The files below a folder.
pub struct ImageIndex {
    dir: PathBuf,
    by_name: HashMap<String, Vec<PathBuf>>,
}

impl ImageIndex {
    /// Lists every file below `dir`.
    ///
    /// Errors if the folder cannot be read.
    pub fn open(dir: &Path) -> Result<Self> {
        let mut by_name: HashMap<String, Vec<PathBuf>> = HashMap::new();
        let mut open = vec![dir.to_path_buf()];
        while let Some(folder) = open.pop() {
            let entries = std::fs::read_dir(&folder).map_err(|e| TrainError::io(&folder, e))?;
            for entry in entries.flatten() {
                let path = entry.path();
                if path.is_dir() {
                    open.push(path);
                } else if let Some(name) = entry.file_name().to_str() {
                    by_name.entry(name.to_string()).or_default().push(path);
                }
            }
        }
        Ok(Self {
            dir: dir.to_path_buf(),
            by_name,
        })
    }

    /// The file that a record's name means: the path below the folder or one of its subfolders, `xmlab1/source.jpg` for example.
    ///
    /// Errors with [`TrainError::Question`] if there is none, or if several files fit.
    ///
    /// - `questions`, `number`: the question file and the record, for the message
    pub fn find(&self, name: &str, questions: &Path, number: usize) -> Result<&Path> {
        let parts: Vec<&str> = name.split(['/', '\\']).filter(|p| !p.is_empty()).collect();
        let refuse = |reason: String| TrainError::Question {
            path: questions.to_path_buf(),
            record: number,
            reason,
        };
        let file = parts.last().copied().unwrap_or_default();
        let named = self.by_name.get(file).map_or(&[][..], Vec::as_slice);
        let wanted: PathBuf = parts.iter().collect();
        let fitting: Vec<&PathBuf> = named.iter().filter(|p| p.ends_with(&wanted)).collect();
        match (fitting.as_slice(), named) {
            ([one], _) => Ok(one),
            ([], [one]) => Ok(one),
            ([], []) => Err(refuse(format!(
                "the image {name} is not below {}; give the folder with the images, or take the record out",
                self.dir.display()
            ))),
            _ => Err(refuse(format!(
                "several files below {} are called {name}; name the folder too",
                self.dir.display()
            ))),
        }
    }

    /// The files of all records' images, each once, in the order in which they first occur, and each record's place in that list.
    ///
    /// Errors as [`ImageIndex::find`].
    pub fn files(
        &self,
        records: &[QaRecord],
        questions: &Path,
    ) -> Result<(Vec<PathBuf>, Vec<usize>)> {
        let mut places: HashMap<&str, usize> = HashMap::new();
        let mut files = Vec::new();
        let mut image_of = Vec::with_capacity(records.len());
        for (i, record) in records.iter().enumerate() {
            let place = match places.get(record.image.as_str()) {
                Some(place) => *place,
                None => {
                    files.push(self.find(&record.image, questions, i + 1)?.to_path_buf());
                    places.insert(&record.image, files.len() - 1);
                    files.len() - 1
                }
            };
            image_of.push(place);
        }
        Ok((files, image_of))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_folders_are_told_apart_and_a_missing_image_names_its_record() {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["imgs/xmlab1", "imgs/xmlab2"] {
            std::fs::create_dir_all(dir.path().join(folder)).unwrap();
            std::fs::write(dir.path().join(folder).join("source.jpg"), folder).unwrap();
        }
        std::fs::write(dir.path().join("imgs/one.png"), "x").unwrap();
        let index = ImageIndex::open(dir.path()).unwrap();
        let q = Path::new("train.json");
        let found = index.find("xmlab2/source.jpg", q, 1).unwrap();
        assert!(found.ends_with("imgs/xmlab2/source.jpg"));
        assert!(index.find("elsewhere/one.png", q, 1).is_ok());
        let missing = index.find("two.png", q, 7).unwrap_err().to_string();
        assert!(
            missing.contains("record 7") && missing.contains("two.png"),
            "{missing}"
        );
        let several = index.find("source.jpg", q, 2).unwrap_err().to_string();
        assert!(several.contains("several"), "{several}");
    }
}
