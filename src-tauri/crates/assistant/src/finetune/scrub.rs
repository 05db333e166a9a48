//! Takes images out of what finished runs left behind.

use std::path::{Path, PathBuf};

use super::adapters::{REPORT, VERDICT, part};
use super::fit::json;
use super::judge::Details;
use crate::error::Result;
use crate::ledger;

/// What shows worst errors: beside the report of the run, and beside a later verdict.
const DETAILS: [&str; 2] = [REPORT[1], VERDICT[1]];

/// Takes images out of the reports of all adapters, which show the worst errors of their runs.
///
/// - returns how many entries went
///
/// Errors if a report cannot be written; those before it are written then, and the same call goes on.
pub(crate) fn forget_images(home: &Path, images: &[PathBuf]) -> Result<usize> {
    let mut taken_out = 0;
    for mut adapter in ledger::adapters(home) {
        for file in DETAILS {
            let Ok(mut details) = part::<Details>(&adapter, file) else {
                continue; // it shows nothing
            };
            let before = details.worst.len();
            details.worst.retain(|worst| {
                !images
                    .iter()
                    .any(|image| same(image, Path::new(&worst.path)))
            });
            if details.worst.len() < before {
                adapter.replace(file, &json(&details)?)?;
                taken_out += before - details.worst.len();
            }
        }
    }
    Ok(taken_out)
}

/// True if the report of an adapter shows an image.
pub(crate) fn shows_images(home: &Path) -> bool {
    let shows = |details: Details| !details.worst.is_empty();
    ledger::adapters(home).any(|adapter| {
        DETAILS
            .iter()
            .any(|file| part(&adapter, file).is_ok_and(shows))
    })
}

/// True for two ways to write one file's path, whether the file is there or not.
fn same(a: &Path, b: &Path) -> bool {
    let whole = |path: &Path| path.canonicalize().or_else(|_| std::path::absolute(path));
    a == b
        || whole(a)
            .ok()
            .zip(whole(b).ok())
            .is_some_and(|(a, b)| a == b)
}
