//! A table's cases with their images in the model's size.

use std::path::{Component, Path, PathBuf};

use lucency_nn::{Interrupt, Progress};
use lucency_packs::digest;
use lucency_train::cohort::{Fingerprint, Member, Part};
use lucency_train::finetune::{BasePack, Pictures};
use lucency_zoo::preprocess::{Image8, Preprocess};
use rayon::prelude::*;

use super::{Table, refuse};
use crate::dto::TrainingData;
use crate::error::{AssistantError, Result};
use crate::evaluate::read_image;

/// Images read between two looks at the switch.
const CHUNK: usize = 32;

/// Every row of a table.
pub struct Cases {
    /// Where the images lie.
    pub folder: PathBuf,
    /// The image column's text.
    pub images: Vec<String>,
    /// The patient column's text; empty where none is named.
    pub patients: Vec<String>,
    /// The report column's text; empty where none is named.
    pub reports: Vec<String>,
    /// Each label column's name and values, after renaming.
    pub labels: Vec<(String, Vec<String>)>,
    /// What the table says a row is for.
    pub parts: Option<Vec<Part>>,
    /// Who and what each row shows; patients as digests.
    pub members: Vec<Member>,
    /// Renamings that were applied.
    pub renamed: Vec<(String, String)>,
    squares: Vec<Image8>,
}

impl Pictures for Cases {
    fn len(&self) -> usize {
        self.squares.len()
    }

    fn picture(&self, index: usize) -> lucency_train::Result<Image8> {
        Ok(self.squares[index].clone())
    }
}

/// Some of the cases.
pub struct Chosen<'a> {
    cases: &'a Cases,
    rows: &'a [usize],
}

impl Pictures for Chosen<'_> {
    fn len(&self) -> usize {
        self.rows.len()
    }

    fn picture(&self, index: usize) -> lucency_train::Result<Image8> {
        self.cases.picture(self.rows[index])
    }
}

impl Cases {
    /// Reads a table and all its images.
    ///
    /// - `base`: whose hash salts the patients' digests
    /// - `renamed`: renamings that apply before the data's own
    ///
    /// Errors name the row, counted from 1 without the header; never a patient.
    pub fn read(
        data: &TrainingData,
        preprocess: &Preprocess,
        base: &BasePack,
        renamed: &[(String, String)],
        stop: &Interrupt,
        report: &mut dyn FnMut(Progress),
    ) -> Result<Self> {
        let (columns, folder) = (&data.columns, PathBuf::from(&data.folder));
        let mut renamed = renamed.to_vec();
        renamed.extend(data.renamed.iter().cloned());
        let table = Table::read(Path::new(&data.table))?;
        let images = table.column(&columns.image)?;
        let or_empty = |column: &Option<String>| match column {
            Some(column) => table.column(column),
            None => Ok(vec![String::new(); images.len()]),
        };
        let (patients, reports) = (or_empty(&columns.patient)?, or_empty(&columns.report)?);
        let labels = columns
            .labels
            .iter()
            .map(|column| {
                let values = table.column(column)?;
                let values = values.into_iter().map(|v| rename(v, &renamed)).collect();
                Ok((column.clone(), values))
            })
            .collect::<Result<_>>()?;
        let parts = columns
            .split
            .as_ref()
            .map(|column| parts_of(&table.column(column)?))
            .transpose()?;
        let read = read_images(&folder, &images, preprocess, stop, report)?;
        let members = read
            .iter()
            .zip(&patients)
            .map(|((fingerprint, _), patient)| Member {
                patient: patient_digest(patient, base),
                fingerprint: fingerprint.clone(),
            })
            .collect();
        Ok(Self {
            folder,
            images,
            patients,
            reports,
            labels,
            parts,
            members,
            renamed,
            squares: read.into_iter().map(|(_, square)| square).collect(),
        })
    }

    /// Some of the cases, as pictures.
    pub fn chosen<'a>(&'a self, rows: &'a [usize]) -> Chosen<'a> {
        Chosen { cases: self, rows }
    }

    /// Who and what some rows show.
    pub fn members_of(&self, rows: &[usize]) -> Vec<Member> {
        rows.iter().map(|i| self.members[*i].clone()).collect()
    }
}

/// A patient's key as a digest that another pack would give otherwise; none for an empty key.
fn patient_digest(key: &str, base: &BasePack) -> Option<String> {
    let key = key.trim();
    (!key.is_empty()).then(|| digest(format!("{}\n{key}", base.hash).as_bytes()))
}

fn rename(value: String, renamed: &[(String, String)]) -> String {
    let value = value.trim();
    let found = renamed.iter().find(|(from, _)| from == value);
    found.map_or(value, |(_, to)| to).to_owned()
}

fn parts_of(values: &[String]) -> Result<Vec<Part>> {
    let part = |(row, value): (usize, &String)| {
        Part::parse(value).ok_or_else(|| {
            refuse(
                "bad_split",
                format!("row {}: a split is train, validation or test", row + 1),
            )
        })
    };
    values.iter().enumerate().map(part).collect()
}

type Read = (Fingerprint, Image8);

/// Decodes all images; keeps each in the model's size.
fn read_images(
    folder: &Path,
    images: &[String],
    preprocess: &Preprocess,
    stop: &Interrupt,
    report: &mut dyn FnMut(Progress),
) -> Result<Vec<Read>> {
    if !folder.is_dir() {
        let message = format!("{} is not a folder", folder.display());
        return Err(refuse("not_found", message));
    }
    let mut read: Vec<Read> = Vec::with_capacity(images.len());
    let mut failures: Vec<(usize, String)> = Vec::new();
    for (chunk, names) in images.chunks(CHUNK).enumerate() {
        let first = chunk * CHUNK;
        if stop.is_stopped() {
            return Err(AssistantError::Stopped);
        }
        report(Progress::new(
            "reading images",
            first as u64,
            images.len() as u64,
        ));
        let some: Vec<Result<Read, String>> = names
            .par_iter()
            .map(|name| read_one(folder, name, preprocess))
            .collect();
        for (i, one) in some.into_iter().enumerate() {
            match one {
                Ok(one) => read.push(one),
                Err(reason) => failures.push((first + i + 1, reason)),
            }
        }
    }
    match failures.first() {
        None => Ok(read),
        Some((row, reason)) => {
            let more = match failures.len() {
                1 => String::new(),
                n => {
                    format!(" ({n} rows in all); take them out of the table or put the images back")
                }
            };
            Err(refuse("bad_image", format!("row {row}: {reason}{more}")))
        }
    }
}

/// Where a table's image is: below the folder, or below `images` in it, as data sets are laid out and the library imports them.
pub fn image_below(folder: &Path, name: &Path) -> PathBuf {
    let nested = folder.join("images").join(name);
    match !folder.join(name).is_file() && nested.is_file() {
        true => nested,
        false => folder.join(name),
    }
}

fn read_one(folder: &Path, name: &str, preprocess: &Preprocess) -> Result<Read, String> {
    if name.is_empty() {
        return Err("no image is named".into());
    }
    let below = Path::new(name);
    let inside = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    if !below.components().all(inside) {
        return Err("the image's path leaves the folder".into());
    }
    let path = image_below(folder, below);
    if !path.is_file() {
        return Err("its image is missing".into());
    }
    let image = read_image(&path).map_err(|e| format!("its image cannot be read: {e}"))?;
    let square = preprocess
        .resize_u8(&image)
        .map_err(|e| format!("its image cannot be prepared: {e}"))?;
    Ok((Fingerprint::of(&image), square))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_found_below_the_folder_and_below_images_in_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let (data, name) = (folder.path(), Path::new("a.png"));
        std::fs::create_dir(data.join("images")).expect("a folder");
        assert_eq!(image_below(data, name), data.join("a.png"));
        std::fs::write(data.join("images/a.png"), b"").expect("a file");
        assert_eq!(image_below(data, name), data.join("images/a.png"));
        std::fs::write(data.join("a.png"), b"").expect("a file");
        assert_eq!(image_below(data, name), data.join("a.png"));
    }
}
