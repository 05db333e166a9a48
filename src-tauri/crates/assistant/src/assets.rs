//! Where the files that come with the application are.

use std::path::{Path, PathBuf};

use crate::error::{AssistantError, Result};

/// The folder with `packs`, `demo` and `library`, found as [`lucency_packs::assets_dir`] says.
///
/// Errors if there is none: the installation is incomplete.
pub fn find() -> Result<PathBuf> {
    lucency_packs::assets_dir().ok_or(AssistantError::NoAssets)
}

/// The folder of bundled model packs.
pub fn packs(assets: &Path) -> PathBuf {
    assets.join("packs")
}

/// The demo study: DICOM files of a phantom.
pub fn demo_study(assets: &Path) -> PathBuf {
    assets.join("demo")
}

/// The demo library: phantoms.
pub fn demo_library(assets: &Path) -> PathBuf {
    assets.join("library")
}
