//! Files to measure on: phantoms of given sizes.

use std::path::{Path, PathBuf};

use lucency_phantom::{Encoding, Site, Spec, StudyOptions, View, write_study};

use crate::output::CommandError;

const SEED: u64 = 9_000_001;

/// Writes a CT series of `slices` files of `side` × `side` pixels: one phantom's slices, repeated under new names.
pub fn ct_series(folder: &Path, side: usize, slices: usize) -> Result<(), CommandError> {
    let one = folder.join("drawn");
    let options = StudyOptions {
        film_side: side,
        slice_side: side,
        encoding: Encoding::Plain,
    };
    let spec = Spec::normal_head(SEED, Site::A);
    let drawn = write_study(&spec, &one, options, &|| false).map_err(phantom)?;
    for i in drawn.len()..slices {
        let from = &drawn[i % drawn.len()].path;
        let to = folder.join(format!("{i:04}.dcm"));
        std::fs::copy(from, to).map_err(|e| CommandError::new("io", e.to_string()))?;
    }
    Ok(())
}

/// Writes a radiograph whose short side has `short_side` pixels and returns its path.
pub fn radiograph(folder: &Path, short_side: usize) -> Result<PathBuf, CommandError> {
    let options = StudyOptions {
        film_side: short_side,
        slice_side: 256,
        encoding: Encoding::Plain,
    };
    let spec = Spec::normal_chest(SEED, Site::A).with_views(vec![View::Pa]);
    let drawn = write_study(&spec, folder, options, &|| false).map_err(phantom)?;
    let film = drawn.into_iter().next();
    Ok(film
        .ok_or_else(|| CommandError::new("phantom", "no film was drawn"))?
        .path)
}

fn phantom(error: lucency_phantom::PhantomError) -> CommandError {
    CommandError::new("phantom", error.to_string())
}
