//! Every kernel's tests once more on lesser instruction sets than this machine's: what other machines run.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

use std::path::PathBuf;
use std::process::Command;

/// The crate's unit tests, beside this test.
fn unit_tests() -> PathBuf {
    let folder = std::env::current_exe().unwrap();
    let folder = folder.parent().unwrap();
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.starts_with("lucency_nn-") && path.extension().is_none()
        })
        .collect();
    // Earlier builds lie there too.
    found.sort_by_key(|path| path.metadata().unwrap().modified().unwrap());
    found
        .pop()
        .expect("the unit tests are built with this test")
}

fn pass_with(instructions: &str) {
    let output = Command::new(unit_tests())
        .args(["kernels::", "--test-threads", "2"])
        .env("LUCENCY_INSTRUCTIONS", instructions)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{instructions}: {told}");
    assert!(
        told.contains("test result: ok") && !told.contains(" 0 passed"),
        "{told}"
    );
}

#[test]
fn kernels_agree_on_a_machine_without_avx512() {
    pass_with("avx2");
}

#[test]
fn kernels_agree_on_a_machine_without_vector_extensions() {
    pass_with("portable");
}
