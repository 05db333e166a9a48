//! The rules of the house, checked on every run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Packages that may know Tauri: the shell, and Tauri's own parts.
const MAY_USE_TAURI: &[&str] = &[
    "lucency-app",
    "tauri-plugin-dialog",
    "tauri-plugin-fs",
    "tauri-plugin-single-instance",
];

/// Everything that may stand at the root: the drawn tree, and dotfiles.
const TOP_LEVEL: &[&str] = &[
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "Makefile",
    "README.md",
    "assets",
    "deny.toml",
    "docs",
    "models",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "src-tauri",
    "tests",
    "typos.toml",
    "ui",
];

const LARGE: u64 = 2 * 1024 * 1024;

/// What cargo resolves for this machine; for another one it would have to download.
fn metadata() -> Value {
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .args(["--filter-platform", &platform])
        .args(["--features", "lucency-app/custom-protocol"])
        .current_dir(lucency_tests::root())
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON")
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

/// Tracked files, relative to the root; none outside a git checkout.
fn tracked() -> Vec<PathBuf> {
    let output = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(lucency_tests::root())
        .output();
    let Ok(output) = output else { return vec![] };
    String::from_utf8_lossy(&output.stdout)
        .split('\0')
        .filter(|p| !p.is_empty())
        .map(PathBuf::from)
        .collect()
}

#[test]
fn only_the_shell_knows_tauri() {
    let metadata = metadata();
    let names: BTreeMap<&str, &str> = list(&metadata, "packages")
        .iter()
        .map(|p| (text(p, "id"), text(p, "name")))
        .collect();
    let mut users = BTreeSet::new();
    for node in list(&metadata["resolve"], "nodes") {
        let uses = list(node, "deps").iter().any(|d| {
            let name = names.get(text(d, "pkg")).copied().unwrap_or_default();
            name == "tauri" && has_normal_kind(d)
        });
        if uses {
            users.insert(names[text(node, "id")]);
        }
    }
    assert!(users.contains("lucency-app"), "the shell is a Tauri app");
    let strangers: Vec<_> = users
        .iter()
        .filter(|u| !MAY_USE_TAURI.contains(u))
        .collect();
    assert!(
        strangers.is_empty(),
        "only the shell may use tauri: {strangers:?}"
    );
}

fn has_normal_kind(dependency: &Value) -> bool {
    list(dependency, "dep_kinds")
        .iter()
        .any(|k| k["kind"].is_null())
}

#[test]
fn studies_and_models_know_nothing_of_each_other() {
    let metadata = metadata();
    let allowed: &[(&str, &[&str])] = &[
        ("lucency-study", &[]),
        ("lucency-likeness", &[]),
        ("lucency-library", &["lucency-likeness", "lucency-study"]),
        ("lucency-nn", &[]),
        ("lucency-zoo", &["lucency-nn"]),
        ("lucency-packs", &["lucency-nn", "lucency-zoo"]),
        (
            "lucency-train",
            &["lucency-likeness", "lucency-nn", "lucency-zoo"],
        ),
    ];
    for (name, allowed) in allowed {
        let package = list(&metadata, "packages")
            .iter()
            .find(|p| text(p, "name") == *name)
            .unwrap_or_else(|| panic!("{name} is a member"));
        for dependency in list(package, "dependencies") {
            let used = text(dependency, "name");
            if used.starts_with("lucency-") && dependency["kind"].is_null() {
                assert!(allowed.contains(&used), "{name} must not know {used}");
            }
        }
    }
}

#[test]
fn no_dependency_is_under_the_gpl() {
    let metadata = metadata();
    let offenders: Vec<String> = list(&metadata, "packages")
        .iter()
        .filter(|p| !can_do_without_gpl(text(p, "license")))
        .map(|p| format!("{} ({})", text(p, "name"), text(p, "license")))
        .collect();
    assert!(offenders.is_empty(), "licences: {offenders:?}");
}

/// True if the SPDX expression offers a choice without the GPL, LGPL or AGPL.
fn can_do_without_gpl(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ").replace(['(', ')'], " ");
    expression
        .split(" OR ")
        .any(|choice| !choice.contains("GPL"))
}

#[test]
fn every_crate_inherits_the_workspace_lints() {
    let metadata = metadata();
    let members: BTreeSet<&str> = list(&metadata, "workspace_members")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    for package in list(&metadata, "packages") {
        if !members.contains(text(package, "id")) {
            continue;
        }
        let manifest = std::fs::read_to_string(text(package, "manifest_path")).expect("readable");
        let squeezed: String = manifest.split_whitespace().collect();
        let name = text(package, "name");
        assert!(
            squeezed.contains("[lints]workspace=true"),
            "{name} does not inherit the workspace's lints"
        );
        assert_eq!(text(package, "license"), "MIT OR Apache-2.0", "{name}");
    }
}

#[test]
fn the_top_level_is_as_drawn() {
    for path in tracked() {
        let first = path.iter().next().unwrap_or_default().to_string_lossy();
        let known = first.starts_with('.') || TOP_LEVEL.contains(&first.as_ref());
        assert!(known, "{first} has no place at the top level");
    }
}

#[test]
fn every_large_file_is_explained_beside_it() {
    let root = lucency_tests::root();
    for path in tracked() {
        let size = std::fs::metadata(root.join(&path)).map_or(0, |m| m.len());
        if size <= LARGE {
            continue;
        }
        let explained = path.ancestors().skip(1).take(2).any(|folder| {
            ["README.md", "CARD.md", "card.md"]
                .iter()
                .any(|name| root.join(folder).join(name).is_file())
        });
        assert!(
            explained,
            "{} is larger than 2 MiB and has no README.md beside it",
            path.display()
        );
    }
}

#[test]
fn the_window_may_call_exactly_the_shells_commands() {
    let shell = lucency_tests::root().join("src-tauri");
    let capability = json(&shell.join("capabilities/main.json"));
    let allowed: BTreeSet<String> = list(&capability, "permissions")
        .iter()
        .filter_map(Value::as_str)
        .filter_map(|p| p.strip_prefix("allow-"))
        .map(|p| p.replace('-', "_"))
        .collect();
    let library = std::fs::read_to_string(shell.join("src/lib.rs")).expect("readable");
    let handlers = library
        .split_once("generate_handler![")
        .and_then(|(_, rest)| rest.split_once(']'))
        .map(|(inside, _)| inside)
        .expect("the shell registers its commands");
    let registered: BTreeSet<String> = handlers
        .split(',')
        .filter_map(|path| path.trim().rsplit("::").next())
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    assert_eq!(allowed, registered);
}

#[test]
fn the_window_has_a_strict_content_security_policy() {
    let configuration = json(&lucency_tests::root().join("src-tauri/tauri.conf.json"));
    let security = &configuration["app"]["security"];
    let policy = &security["csp"];
    assert_eq!(policy["default-src"], "'none'");
    assert_eq!(policy["script-src"], "'self'");
    assert_eq!(policy["object-src"], "'none'");
    assert_eq!(policy["connect-src"], "ipc: http://ipc.localhost");
    assert_eq!(security["freezePrototype"], true);
    assert_eq!(security["capabilities"], serde_json::json!(["main"]));
    let remote = ["https:", "ws:", "wss:", "unsafe-eval", "*"];
    let written = policy.to_string();
    for word in remote {
        assert!(!written.contains(word), "{word} in the policy");
    }
}

fn json(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).expect("readable");
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
