//! Pre-training of the image networks on a folder of images: denoising or masking, and few-shot episodes.

mod cdae;
mod maml;
mod mask;

use std::path::Path;

pub use cdae::{CdaePlan, train_cdae};
pub use maml::{MamlPlan, train_maml};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::fit::{read_json, write_json};
use crate::{Result, TrainError};

/// Writes the plan into a run's folder, or checks that it is the folder's.
fn claim<P: Serialize + DeserializeOwned + PartialEq>(run: &Path, plan: &P) -> Result<()> {
    std::fs::create_dir_all(run).map_err(|e| TrainError::io(run, e))?;
    let path = run.join("plan.json");
    if path.is_file() && read_json::<P>(&path)? != *plan {
        return Err(TrainError::Plan(format!(
            "{} holds a run with other settings; give another --out, or the settings of its plan.json",
            run.display()
        )));
    }
    write_json(&path, plan)
}
