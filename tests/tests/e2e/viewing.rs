//! Opening and looking at images.

use crate::window::{Window, difference};

/// WebDriver's code point of the down arrow.
const DOWN: &str = "\u{e015}";

#[test]
fn window_shows_the_demo_study() {
    let window = Window::open("demo-study", &[]);
    window.click("open-demo");
    let painted = window.painted();
    assert!(
        painted.matches(':').count() >= 2,
        "series:frame:window, but {painted}"
    );
    let pixels = window.pixels();
    let (dark, bright) = pixels.pixels().fold((255, 0), |(low, high), p| {
        (p.0[0].min(low), p.0[0].max(high))
    });
    assert!(
        bright > 150 && dark < 60,
        "an image is on the screen: {dark} to {bright}"
    );
    assert!(!window.text("overlay-window").is_empty());
    assert!(!window.text("overlay-slice").is_empty());
    window.screenshot("open");
}

#[test]
fn window_letters_a_film_and_turns_the_letters_with_it() {
    let window = Window::open("letters", &["--demo"]);
    window.painted();
    // To the frontal film, which has no Image Orientation (Patient).
    let frontal = "const items = [...document.querySelectorAll('[data-testid=series-item]')];
        const film = items.find(i => /PA|AP/.test(i.textContent));
        film?.click();
        return !!film";
    assert_eq!(
        window.run(frontal),
        true,
        "the demo study has a frontal film"
    );
    let letters = |wanted: [&str; 4]| {
        let [left, right, top, bottom] = wanted;
        let script = format!(
            "const at = side => document.querySelector(`[data-testid=orientation-${{side}}]`)?.textContent;
             return ['left', 'right', 'top', 'bottom'].map(at).join() === '{left},{right},{top},{bottom}'"
        );
        window.until(&format!("the letters are {wanted:?}"), &script);
    };
    letters(["R", "L", "H", "F"]);
    window.screenshot("upright");
    window.click("tool-rotate-right");
    letters(["F", "H", "R", "L"]);
    window.screenshot("turned");
    window.click("tool-flip-h");
    letters(["H", "F", "R", "L"]);
    window.click("tool-reset");
    letters(["R", "L", "H", "F"]);
}

#[test]
fn window_changes_the_grey_levels_by_preset_and_by_drag() {
    let window = Window::open("grey-levels", &["--demo"]);
    let first = window.painted();
    let as_opened = window.pixels();
    let text = window.text("overlay-window");

    window.click("preset-4");
    let preset = window.painted_anew(&first);
    let with_preset = window.pixels();
    assert!(
        difference(&as_opened, &with_preset) > 0.02,
        "a preset changes what is seen"
    );
    assert_ne!(text, window.text("overlay-window"), "and says so");

    window.drag("viewport-canvas", 0, 120, 60);
    let dragged = window.painted_anew(&preset);
    assert!(
        difference(&with_preset, &window.pixels()) > 0.02,
        "dragging changes what is seen"
    );
    window.screenshot("dragged");

    window.click("tool-invert");
    window.painted_anew(&dragged);
    window.screenshot("inverted");
}

#[test]
fn window_can_be_handled_with_the_keyboard_alone() {
    let window = Window::open("keyboard", &["--demo"]);
    let first = window.painted();
    window.run("document.activeElement?.blur()");

    window.press("4");
    let preset = window.painted_anew(&first);
    window.press("i");
    let inverted = window.painted_anew(&preset);
    window.press("r");
    window.painted_anew(&inverted);

    window.press(DOWN);
    window.until(
        "the focus is visible and moves with Tab",
        "return document.querySelectorAll('button, input, [tabindex]').length > 8",
    );
    window.press("\u{e004}");
    window.until(
        "Tab moves the focus",
        "return document.activeElement && document.activeElement !== document.body",
    );
    window.screenshot("focus");
}

#[test]
fn window_says_what_is_wrong_with_a_corrupt_file_and_lives_on() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let corrupt = folder.path().join("corrupt.dcm");
    let mut bytes = vec![0; 128];
    bytes.extend_from_slice(b"DICM\x02\x00\x00\x00UL\x04\x00\xff\xff\xff\x7fnothing follows");
    std::fs::write(&corrupt, bytes).expect("the temporary folder is writable");

    let window = Window::open("corrupt-file", &[&corrupt.to_string_lossy()]);
    window.until(
        "the message names the file",
        "return [...document.querySelectorAll('[data-testid=error-bar]')]
             .some(bar => bar.textContent.includes('corrupt.dcm'))",
    );
    window.screenshot("error");

    window.click("error-dismiss");
    window.until(
        "the message can be dismissed",
        "return !document.querySelector('[data-testid=error-bar]')",
    );
    window.click("open-demo");
    window.painted();
    window.screenshot("lives-on");
}
