//! What holds for every command of `lucency`.

use std::path::Path;

use lucency_tests::{error_of, lucency};

/// The names in the `Commands:` list of a help text.
fn commands_in(help: &str) -> Vec<String> {
    help.lines()
        .skip_while(|line| !line.starts_with("Commands:"))
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        .filter_map(|line| line.strip_prefix("  "))
        .filter(|line| !line.starts_with(' '))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

fn help_of(words: &[String], home: &Path) -> String {
    let output = lucency(home)
        .args(words)
        .arg("--help")
        .output()
        .expect("lucency runs");
    let name = words.join(" ");
    assert!(output.status.success(), "lucency {name} --help fails");
    let help = String::from_utf8(output.stdout).expect("help is UTF-8");
    assert!(help.contains("Usage:"), "lucency {name} --help: {help}");
    help
}

#[test]
fn every_command_explains_itself() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let mut pending = vec![vec![]];
    let mut seen = 0;
    while let Some(words) = pending.pop() {
        let help = help_of(&words, home.path());
        seen += 1;
        let first = help.lines().next().unwrap_or_default();
        assert!(!first.is_empty(), "lucency {words:?} has a description");
        for name in commands_in(&help) {
            pending.push([words.clone(), vec![name]].concat());
        }
    }
    assert!(seen > 1, "there are commands");
}

#[test]
fn every_command_has_json() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let top = help_of(&[], home.path());
    for name in commands_in(&top) {
        let help = help_of(std::slice::from_ref(&name), home.path());
        assert!(help.contains("--json"), "lucency {name} takes --json");
    }
}

#[test]
fn a_missing_file_is_an_error_with_a_code() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let top = help_of(&[], home.path());
    let commands = commands_in(&top);
    let calls: &[&[&str]] = &[
        &["inspect", "absent.dcm"],
        &["pixels", "absent.dcm", "--out", "x.npy"],
        &["render", "absent.dcm", "--out", "x.png"],
        &["ask", "absent.dcm", "--question", "Is it normal?"],
        &["findings", "absent.dcm"],
        &["similar", "absent.dcm", "-k", "3"],
        &["embed", "--image", "absent.dcm", "--out", "x.npy"],
        &["packs", "show", "absent"],
        &["packs", "import", "absent"],
    ];
    for call in calls.iter().filter(|c| commands.iter().any(|n| n == c[0])) {
        let output = lucency(home.path())
            .arg("--json")
            .args(*call)
            .output()
            .expect("lucency runs");
        let (code, message) = error_of(&output);
        let plain = code
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        assert!(plain && !code.is_empty(), "{call:?}: code {code:?}");
        assert!(!message.is_empty(), "{call:?} says what is wrong");
    }
}

#[test]
fn an_error_without_json_is_one_line_for_people() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let output = lucency(home.path())
        .args(["inspect", "absent.dcm"])
        .output()
        .expect("lucency runs");
    assert!(!output.status.success());
    assert!(output.stdout.is_empty(), "results go to standard output");
    assert!(!output.stderr.is_empty(), "errors go to standard error");
}
