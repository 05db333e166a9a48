//! Opening by drag and drop, and stopping what takes long.

use std::path::{Path, PathBuf};

use crate::dragging::drop_files;
use crate::window::Window;

/// Files of the long opening: links to one slice, so that they cost no room on disk.
const MANY: usize = 40_000;

fn series(window: &Window) -> u64 {
    window
        .run("return document.querySelectorAll('[data-testid=series-item]').length")
        .as_u64()
        .unwrap_or_default()
}

fn ramp(path: &Path) {
    image::GrayImage::from_fn(64, 48, |x, y| image::Luma([(x * 3 + y) as u8]))
        .save(path)
        .expect("the temporary folder is writable");
}

/// A DICOM file of the demo study.
fn demo_file() -> PathBuf {
    let mut open = vec![lucency_tests::assets().join("demo")];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let entries = std::fs::read_dir(&path).expect("the demo study is readable");
            open.extend(entries.map(|e| e.expect("readable").path()));
        } else if path.extension().is_some_and(|e| e == "dcm") {
            return path;
        }
    }
    panic!("the demo study has DICOM files")
}

/// A folder that takes seconds to read.
fn long_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let first = folder.path().join("0.dcm");
    std::fs::copy(demo_file(), &first).expect("the temporary folder is writable");
    for i in 1..MANY {
        std::fs::hard_link(&first, folder.path().join(format!("{i}.dcm")))
            .expect("the temporary folder takes links");
    }
    folder
}

#[test]
fn window_opens_the_files_that_are_dropped_on_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let files = ["one.png", "with a blank.png"].map(|name| folder.path().join(name));
    files.iter().for_each(|file| ramp(file));
    let window = Window::open("drop", &[]);
    window.until(
        "the window has heard from the application",
        "return document.querySelector('[data-testid=footer-model]')?.textContent.startsWith('Model:')",
    );
    let dropped: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    drop_files(window.display(), &dropped)
        .unwrap_or_else(|e| window.give_up(&format!("the drop fails: {e}")));
    window.painted();
    assert_eq!(series(&window), 2, "both files are open");
    assert!(!window.has("error-bar"), "and nothing is wrong with them");
    window.until(
        "the invitation to drop goes away",
        "return !document.querySelector('.drop')",
    );
    window.screenshot("opened");
}

#[test]
fn window_shows_long_work_and_stops_it() {
    let folder = long_folder();
    let window = Window::open("cancel", &["--demo"]);
    window.painted();
    for by_key in [false, true] {
        window.start_again(&[folder.path()]);
        window.element("cancel-job");
        let bar = window.until(
            "the progress is counted",
            "const bar = document.querySelector('progress[max]');
             return bar && bar.value > 0 ? { done: bar.value, total: bar.max } : null",
        );
        assert_eq!(bar["total"].as_u64(), Some(MANY as u64), "{bar}");
        window.screenshot("running");
        match by_key {
            true => window.stroke("Escape"),
            false => window.click("cancel-job"),
        }
        window.until(
            "the job ends",
            "return !document.querySelector('[data-testid=cancel-job]')",
        );
        assert!(
            bar["done"].as_u64() < Some(MANY as u64),
            "it had not come to its end: {bar}"
        );
        assert!(!window.has("error-bar"), "stopping is no failure");
    }
    let painted = window.painted();
    window.stroke("i");
    window.painted_anew(&painted);
    window.screenshot("lives-on");
}
