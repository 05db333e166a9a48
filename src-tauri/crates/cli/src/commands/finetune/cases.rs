//! A table's cases with their images in the model's size.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use lucency_assistant::evaluate::read_image;
use lucency_packs::digest;
use lucency_train::TrainError;
use lucency_train::cohort::{Fingerprint, Member, Part};
use lucency_train::finetune::{BasePack, Pictures};
use lucency_zoo::preprocess::{Image8, Preprocess};
use rayon::prelude::*;

use super::super::table::{Columns, DataArgs, Table, renamings};
use crate::output::CommandError;

/// Every row of a table.
pub struct Cases {
    /// The image column's text.
    pub images: Vec<String>,
    /// The patient column's text; empty where none is named.
    pub patients: Vec<String>,
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
    /// - `renamed`: renamings that apply before `--map`
    ///
    /// Errors name the row, counted from 1 without the header; never a patient.
    pub fn read(
        data: &DataArgs,
        preprocess: &Preprocess,
        base: &BasePack,
        renamed: &[(String, String)],
    ) -> Result<Self, CommandError> {
        let columns = Columns::parse(&data.columns)?;
        let mut renamed = renamed.to_vec();
        renamed.extend(renamings(&data.map)?);
        let table = Table::read(&data.table)?;
        let images = table.column(&columns.image)?;
        let patients = match &columns.patient {
            Some(column) => table.column(column)?,
            None => vec![String::new(); images.len()],
        };
        let labels = columns
            .labels
            .iter()
            .map(|column| {
                let values = table.column(column)?;
                let values = values.into_iter().map(|v| rename(v, &renamed)).collect();
                Ok((column.clone(), values))
            })
            .collect::<Result<_, CommandError>>()?;
        let parts = columns
            .split
            .as_ref()
            .map(|column| parts_of(&table.column(column)?))
            .transpose()?;
        let read = read_images(&data.data, &images, preprocess)?;
        let members = read
            .iter()
            .zip(&patients)
            .map(|((fingerprint, _), patient)| Member {
                patient: patient_digest(patient, base),
                fingerprint: fingerprint.clone(),
            })
            .collect();
        Ok(Self {
            images,
            patients,
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

fn parts_of(values: &[String]) -> Result<Vec<Part>, CommandError> {
    values
        .iter()
        .enumerate()
        .map(|(row, value)| {
            Part::parse(value).ok_or_else(|| {
                CommandError::new(
                    "bad_split",
                    format!("row {}: a split is train, validation or test", row + 1),
                )
            })
        })
        .collect()
}

/// Decodes all images; keeps each in the model's size.
fn read_images(
    folder: &Path,
    images: &[String],
    preprocess: &Preprocess,
) -> Result<Vec<(Fingerprint, Image8)>, CommandError> {
    if !folder.is_dir() {
        return Err(CommandError::new(
            "not_found",
            format!("{} is not a folder", folder.display()),
        ));
    }
    let failed = AtomicU64::new(0);
    let read: Vec<Result<(Fingerprint, Image8), CommandError>> = images
        .par_iter()
        .enumerate()
        .map(|(row, name)| {
            let found = read_one(folder, name, preprocess).map_err(|reason| {
                failed.fetch_add(1, Ordering::Relaxed);
                CommandError::new("bad_image", format!("row {}: {reason}", row + 1))
            })?;
            Ok(found)
        })
        .collect();
    let failed = failed.into_inner();
    read.into_iter()
        .collect::<Result<Vec<_>, _>>()
        .map_err(|first| {
            let more = match failed {
                0 | 1 => String::new(),
                n => {
                    format!(" ({n} rows in all); take them out of the table or put the images back")
                }
            };
            CommandError::new(first.code, first.message + &more)
        })
}

fn read_one(
    folder: &Path,
    name: &str,
    preprocess: &Preprocess,
) -> Result<(Fingerprint, Image8), String> {
    if name.is_empty() {
        return Err("no image is named".into());
    }
    let below = Path::new(name);
    let inside = below.components().all(|part| {
        matches!(
            part,
            std::path::Component::Normal(_) | std::path::Component::CurDir
        )
    });
    if !inside {
        return Err("the image's path leaves the folder".into());
    }
    let path = folder.join(below);
    if !path.is_file() {
        return Err("its image is missing".into());
    }
    let image = read_image(&path).map_err(|e| format!("its image cannot be read: {e}"))?;
    let square = preprocess
        .resize_u8(&image)
        .map_err(|e| format!("its image cannot be prepared: {e}"))?;
    Ok((Fingerprint::of(&image), square))
}

impl From<TrainError> for CommandError {
    fn from(error: TrainError) -> Self {
        lucency_assistant::AssistantError::from(error).into()
    }
}
