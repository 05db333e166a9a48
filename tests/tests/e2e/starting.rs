//! Starting: with files, twice, and on a machine without a session bus.

use crate::window::{Window, WithBus};

/// A grey ramp that opens as an image.
fn ramp(folder: &std::path::Path, name: &str) -> std::path::PathBuf {
    let path = folder.join(name);
    image::GrayImage::from_fn(64, 48, |x, y| image::Luma([(x * 3 + y) as u8]))
        .save(&path)
        .expect("the temporary folder is writable");
    path
}

fn series(window: &Window) -> u64 {
    window
        .run("return document.querySelectorAll('[data-testid=series-item]').length")
        .as_u64()
        .unwrap_or_default()
}

#[test]
fn window_opens_the_files_it_is_started_with() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = ramp(folder.path(), "ramp.png");
    let window = Window::open("file-argument", &[&file.to_string_lossy()]);
    window.painted();
    assert_eq!(series(&window), 1);
}

#[test]
fn window_gets_the_files_of_a_second_start() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let first = ramp(folder.path(), "first.png");
    let window = Window::open("second-start", &[&first.to_string_lossy()]);
    let painted = window.painted();
    let before = series(&window);

    let second = ramp(folder.path(), "second.png");
    window.start_again(&[&second]);
    window.painted_anew(&painted);
    assert_eq!(series(&window), before + 1, "the running window opened it");
    window.screenshot("opened");
}

#[test]
fn window_opens_without_a_session_bus() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = ramp(folder.path(), "ramp.png");
    let window = Window::open_with("no-bus", &[&file.to_string_lossy()], WithBus::No);
    window.painted();
}

#[test]
fn window_gets_pixels_as_raw_bytes_and_says_it_is_no_medical_device() {
    let window = Window::open("raw-path", &["--demo"]);
    window.painted();
    let notice = window.text("disclaimer").to_lowercase();
    assert!(notice.contains("not a medical device"), "{notice}");
    assert!(!window.has("error-bar"), "no warning about slow pixels");
    let measured = window.until(
        "the page measures its first paint",
        "return window.__lucency?.firstPaintMs > 0 ? window.__lucency : null",
    );
    println!("measured by the page: {measured}");
}

#[test]
fn window_runs_no_script_but_its_own() {
    let window = Window::open("policy", &[]);
    let blocked = window.run(
        "const script = document.createElement('script');
         script.textContent = 'window.__injected = true';
         document.body.append(script);
         return window.__injected !== true",
    );
    assert_eq!(blocked, true, "an injected script does not run");
    let fetched =
        window.run("return fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'refused')");
    assert_eq!(fetched, "refused");
    assert_eq!(window.run("return typeof window.__TAURI__"), "undefined");
}

#[test]
fn window_says_that_it_needs_a_display() {
    let output = std::process::Command::new(lucency_tests::executable("lucency-app"))
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .output()
        .expect("the application starts");
    assert!(!output.status.success());
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(message.contains("no display"), "{message}");
}
