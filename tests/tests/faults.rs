//! Damaged input, through the whole program: an error that says what is wrong, never a panic, never a patient's name.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, Instant};

use lucency_tests::{error_of, lucency};

/// Longer than any single small file may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

fn run(home: &Path, words: &[&str]) -> Output {
    let begin = Instant::now();
    let output = lucency(home).args(words).output().expect("lucency runs");
    assert!(begin.elapsed() < PATIENCE, "{words:?} takes too long");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!text.contains("panicked"), "{words:?} panics: {text}");
    assert!(
        output.status.code().is_some(),
        "{words:?} was killed by a signal"
    );
    output
}

/// Files of one phantom study.
fn phantom(home: &Path) -> Vec<PathBuf> {
    let folder = home.join("phantom");
    let out = folder.to_string_lossy().into_owned();
    let words = "phantom --content chest --seed 7 --count 1 --out";
    let words: Vec<&str> = words.split(' ').chain([out.as_str()]).collect();
    let output = run(home, &words);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut files = vec![];
    collect(&folder, &mut files);
    files.retain(|f| f.extension().is_some_and(|e| e == "dcm"));
    assert!(!files.is_empty(), "a phantom study has files");
    files.sort();
    files
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("readable").flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}

/// Patient's Name and ID of a data set, read as bytes: `(0010,0010)` and `(0010,0020)` in explicit little endian.
fn identity(bytes: &[u8]) -> Vec<String> {
    [b"\x10\x00\x10\x00PN", b"\x10\x00\x20\x00LO"]
        .iter()
        .filter_map(|tag| {
            let at = bytes.windows(tag.len()).position(|w| w == *tag)? + tag.len();
            let length = usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
            let value = bytes.get(at + 2..at + 2 + length)?;
            Some(String::from_utf8_lossy(value).trim().to_owned())
        })
        .filter(|value| value.len() > 3)
        .collect()
}

#[test]
fn a_truncated_file_is_an_error_and_no_output_is_left() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let whole = std::fs::read(&phantom(home.path())[0]).expect("readable");
    let names = identity(&whole);
    let short = home.path().join("short.dcm");
    let picture = home.path().join("short.png");
    for keep in [
        0,
        1,
        100,
        131,
        132,
        140,
        300,
        whole.len() / 2,
        whole.len() - 1,
    ] {
        std::fs::write(&short, &whole[..keep]).expect("writable");
        let words = [
            "--json",
            "render",
            &short.to_string_lossy(),
            "--out",
            &picture.to_string_lossy(),
        ];
        let output = run(home.path(), &words);
        if output.status.success() {
            // Only the odd last byte of the pixels may be missing without harm.
            assert_eq!(keep, whole.len() - 1, "{keep} bytes cannot be an image");
            continue;
        }
        let (_, message) = error_of(&output);
        assert!(!picture.exists(), "no half-written picture");
        for name in &names {
            assert!(!message.contains(name), "{keep} bytes: patient data");
        }
    }
}

#[test]
fn flipped_bytes_never_bring_the_program_down() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let whole = std::fs::read(&phantom(home.path())[0]).expect("readable");
    let damaged = home.path().join("damaged.dcm");
    let out = home.path().join("damaged.npy");
    // The header is where a byte can mislead most; a fixed stride keeps the test repeatable.
    for at in (132..whole.len().min(2400)).step_by(61) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0xff;
        std::fs::write(&damaged, &bytes).expect("writable");
        let words = [
            "--json",
            "pixels",
            &damaged.to_string_lossy(),
            "--out",
            &out.to_string_lossy(),
        ];
        let output = run(home.path(), &words);
        if !output.status.success() {
            error_of(&output);
        }
    }
}

#[test]
fn a_folder_of_good_and_bad_files_opens_with_a_report() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let good = phantom(home.path());
    let folder = home.path().join("mixed");
    std::fs::create_dir(&folder).expect("writable");
    std::fs::copy(&good[0], folder.join("good")).expect("writable");
    std::fs::write(folder.join("notes.txt"), "no image").expect("writable");
    std::fs::write(folder.join("empty.dcm"), "").expect("writable");
    let output = run(
        home.path(),
        &["--json", "inspect", &folder.to_string_lossy()],
    );
    assert!(output.status.success(), "one good file is enough");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("notes.txt"), "the rejected file is named");
    assert!(text.contains("empty.dcm"), "the rejected file is named");
}

#[test]
fn a_tampered_pack_is_refused_and_the_file_named() {
    let pack = lucency_tests::assets().join("packs/demo");
    if !pack.join("pack.toml").is_file() {
        println!("SKIPPED: the demo pack is not there");
        return;
    }
    let home = tempfile::tempdir().expect("a temporary folder");
    let copy = home.path().join("tampered");
    std::fs::create_dir(&copy).expect("writable");
    let mut weights = None;
    for entry in std::fs::read_dir(&pack).expect("readable").flatten() {
        let to = copy.join(entry.file_name());
        std::fs::copy(entry.path(), &to).expect("writable");
        if to.extension().is_some_and(|e| e == "safetensors") {
            weights = Some(to);
        }
    }
    let weights = weights.expect("a pack has weights");
    let mut bytes = std::fs::read(&weights).expect("readable");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&weights, bytes).expect("writable");

    let file = phantom(home.path()).remove(0);
    let words = [
        "--json",
        "ask",
        &file.to_string_lossy(),
        "--question",
        "Is it normal?",
        "--pack",
        &copy.to_string_lossy(),
    ];
    let (_, message) = error_of(&run(home.path(), &words));
    let name = weights
        .file_name()
        .expect("a file has a name")
        .to_string_lossy();
    assert!(message.contains(&*name), "{message} names {name}");
}
