//! Where Lucency keeps what a user installs, and where it finds what it was shipped with.

use std::env;
use std::path::{Path, PathBuf};

use crate::error::{PackError, Result};

/// The folder of installed packs and of everything else that belongs to the user.
///
/// `LUCENCY_HOME` if set and not empty, otherwise `lucency` in the operating system's data folder
/// (`$XDG_DATA_HOME` or `~/.local/share`, `~/Library/Application Support`, `%LOCALAPPDATA%`).
///
/// Errors if neither is known. The folder need not exist yet.
pub fn home() -> Result<PathBuf> {
    match env::var_os("LUCENCY_HOME") {
        Some(home) if !home.is_empty() => Ok(PathBuf::from(home)),
        _ => dirs::data_local_dir()
            .map(|dir| dir.join("lucency"))
            .ok_or(PackError::NoHome),
    }
}

/// The folder of shipped files (`packs/`, `library/`, …), if one is found.
///
/// Looked for in this order: `LUCENCY_ASSETS`; `assets` beside the executable; the places where
/// installers put resources (`../share/lucency/assets`, `../lib/lucency/assets`,
/// `../Resources/assets`); `assets` in a folder above the executable (a build inside the source
/// tree); the source tree this program was built from.
pub fn assets_dir() -> Option<PathBuf> {
    if let Some(dir) = env::var_os("LUCENCY_ASSETS").filter(|dir| !dir.is_empty()) {
        return Some(PathBuf::from(dir));
    }
    let executable = env::current_exe().and_then(|path| path.canonicalize()).ok();
    let folder = executable.as_deref().and_then(Path::parent);
    let mut places = Vec::new();
    if let Some(folder) = folder {
        places.push(folder.join("assets"));
        for installed in ["share/lucency", "lib/lucency", "lib/Lucency", "Resources"] {
            places.extend(folder.parent().map(|up| up.join(installed).join("assets")));
        }
        places.extend(folder.ancestors().skip(1).map(|up| up.join("assets")));
    }
    places.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets"));
    places
        .into_iter()
        .find(|place| place.join("packs").is_dir())
}

/// Folders that hold the packs which come with the application, for [`PackStore`](crate::PackStore).
pub fn bundled_packs() -> Vec<PathBuf> {
    assets_dir()
        .map(|assets| assets.join("packs"))
        .into_iter()
        .collect()
}
