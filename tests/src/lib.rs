//! What the whole-system tests share: where things are, and how to run the command line.

pub mod units;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The repository's root.
pub fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests
        .parent()
        .expect("tests/ lies in the root")
        .to_path_buf()
}

/// The folder of external test data, or none: the caller then returns after the `SKIPPED` line that this prints.
///
/// `LUCENCY_TEST_DATA` names it; otherwise `../shared/data` beside the checkout.
pub fn data(test: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("LUCENCY_TEST_DATA")
        .map_or_else(|| root().join("../shared/data"), PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("SKIPPED: {test} needs the data folder (LUCENCY_TEST_DATA)");
    None
}

/// An executable of this workspace: from the folder `LUCENCY_BIN`, or built in the profile of the running test.
///
/// Panics with the command that builds it if it is not there.
pub fn executable(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let profile = std::env::var_os("LUCENCY_BIN").map(PathBuf::from);
    let profile = profile.unwrap_or_else(|| {
        test.parent()
            .and_then(Path::parent)
            .expect("tests are built in <target>/<profile>/deps")
            .to_path_buf()
    });
    let path = profile.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(
        path.exists(),
        "{name} has not been built: cargo build --workspace --features lucency-app/custom-protocol --bins"
    );
    path
}

/// The files that come with the application: `LUCENCY_ASSETS`, or the checkout's.
pub fn assets() -> PathBuf {
    std::env::var_os("LUCENCY_ASSETS").map_or_else(|| root().join("assets"), PathBuf::from)
}

/// The command line, ready for arguments, with its own empty home folder.
pub fn lucency(home: &Path) -> Command {
    let mut command = Command::new(executable("lucency"));
    command
        .env("LUCENCY_HOME", home)
        .env("LUCENCY_ASSETS", assets())
        .current_dir(home);
    command
}

/// Runs a command with `--json`; panics if it panics.
pub fn run(home: &Path, words: &[&str]) -> Output {
    let mut command = lucency(home);
    let output = command.arg("--json").args(words).output();
    let output = output.expect("lucency runs");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!text.contains("panicked"), "{words:?} panics: {text}");
    output
}

/// What a command prints with `--json`; panics if it fails.
pub fn json(home: &Path, words: &[&str]) -> serde_json::Value {
    let output = run(home, words);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{words:?}: {error}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{words:?}: {e}"))
}

/// The `error` object that a failed command printed to standard error under `--json`.
///
/// Panics if the command succeeded or printed something else.
pub fn error_of(output: &Output) -> (String, String) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success(),
        "the command succeeded: {}",
        String::from_utf8_lossy(&output.stdout)
    );
    let line = text.lines().last().unwrap_or_default();
    let value: serde_json::Value = serde_json::from_str(line)
        .unwrap_or_else(|e| panic!("standard error is no JSON ({e}): {text}"));
    let word = |key: &str| {
        value["error"][key]
            .as_str()
            .unwrap_or_else(|| panic!("no error.{key} in {line}"))
            .to_owned()
    };
    (word("code"), word("message"))
}
