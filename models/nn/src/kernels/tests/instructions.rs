//! Every kernel's tests once more on lesser instruction sets than this machine's: what other machines run.

use std::process::Command;

/// Runs the tests of this module's neighbours in a process of their own, which asks for its instructions anew.
fn pass_with(instructions: &str) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "kernels::",
            "--skip",
            "instructions::",
            "--test-threads",
            "2",
        ])
        .env("LUCENCY_INSTRUCTIONS", instructions)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{instructions}: {told}");
    assert!(
        told.contains("test result: ok. ") && !told.contains("ok. 0 passed"),
        "{told}"
    );
}

#[test]
fn kernels_agree_on_a_machine_without_avx512() {
    pass_with("avx2");
}

#[test]
fn kernels_agree_in_portable_code() {
    pass_with("portable");
}
