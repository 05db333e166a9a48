//! Labelling from the keyboard: two readers, the second one blind, and how they agree.

use crate::comparing::{Films, STUDIES, import};
use crate::window::Window;

/// WebDriver's code point of Enter.
const ENTER: &str = "\u{e007}";
/// WebDriver's code point of Backspace.
const BACKSPACE: &str = "\u{e003}";

/// Waits until an element's text contains `part`.
fn until_says(window: &Window, id: &str, part: &str) {
    let script = format!(
        "return document.querySelector('[data-testid={id}]')?.textContent.includes('{part}') ?? false"
    );
    window.until(&format!("{id} never says `{part}`"), &script);
}

/// Waits until the label on a key is given, or is not.
fn until_given(window: &Window, key: usize, given: bool) {
    let script = format!(
        "const value = document.querySelector('[data-testid=label-key-{key}]')?.dataset.value;
         return (value === '1') === {given}"
    );
    window.until(&format!("the label on key {key} becomes {given}"), &script);
}

/// Brings the next case and returns its identifier once labels can be given.
fn next_case(window: &Window, before: &str) -> String {
    window.run("document.activeElement?.blur()");
    window.press(ENTER);
    let script = format!(
        "const id = document.querySelector('[data-testid=label-case]')?.textContent;
         return !!id && id !== '{before}' && !document.querySelector('[data-testid=label-key-1]').disabled && id"
    );
    let id = window.until("the next case is on the screen", &script);
    id.as_str().unwrap_or_default().to_owned()
}

/// Says who reads.
fn reader(window: &Window, name: &str) {
    window.element("label-reader");
    window.run(
        "const field = document.querySelector('[data-testid=label-reader]'); field.focus(); field.select()",
    );
    window.press(BACKSPACE);
    window.type_into("label-reader", &format!("{name}{ENTER}"));
    window.run("document.activeElement?.blur()");
}

#[test]
fn window_labels_by_key_undoes_and_compares_two_readers() {
    let films = Films::make();
    let current = films.current.to_string_lossy().into_owned();
    let window = Window::open("labelling", &[&current]);
    window.painted();
    import(&window, &films.data());
    window.click("embed-start");
    window.element("embed-done");
    window.click("import-done");

    window.click("tab-label");
    reader(&window, "Anna");
    window.click("label-new");
    window.type_into("set-name", "lungs");
    window.type_into("set-classes", &format!("clear{ENTER}opacity"));
    window.screenshot("set");
    window.click("set-keep");
    window.click("label-toggle");
    until_says(&window, "label-bar", "Anna");
    until_says(&window, "label-obstacle", "not in the library");

    // Keys are the labels', not those of grey levels; undo and redo.
    let before = window.painted();
    let first = next_case(&window, "");
    let look = window.painted_anew(&before);
    window.press("1");
    until_given(&window, 1, true);
    assert_eq!(
        window.painted(),
        look,
        "the window's presets rest meanwhile"
    );
    window.screenshot("labelled");
    window.stroke("Ctrl+z");
    until_given(&window, 1, false);
    window.stroke("Ctrl+Shift+z");
    until_given(&window, 1, true);
    until_says(&window, "label-progress", &format!("1 of {STUDIES}"));

    let mut cases = vec![first];
    for number in 1..STUDIES {
        let id = next_case(&window, cases.last().expect("a case"));
        assert!(!cases.contains(&id), "no case comes twice");
        let key = if number < STUDIES / 2 { 1 } else { 2 };
        window.press(&key.to_string());
        until_given(&window, key, true);
        cases.push(id);
    }
    until_says(
        &window,
        "label-progress",
        &format!("{STUDIES} of {STUDIES}"),
    );
    until_says(&window, "label-because", "probe");

    // Nothing is left to label.
    // The button lies under its words.
    window.run("document.querySelector('[data-testid=label-strategy-random]').click()");
    window.run("document.activeElement?.blur()");
    window.press(ENTER);
    window.until(
        "nothing is left",
        "return document.body.textContent.includes('Every case that was asked for is labelled')",
    );

    // A second reader who sees nothing of the first.
    reader(&window, "Ben");
    until_says(&window, "label-others", "Anna");
    window.click("label-blind");
    window.element("label-hidden");
    assert!(!window.has("label-others"), "nothing of Anna's is shown");
    let mut read = Vec::new();
    let mut id = window.text("label-case");
    while read.len() < STUDIES {
        assert!(!window.has("label-others"), "nothing of Anna's is shown");
        let number = cases
            .iter()
            .position(|case| *case == id)
            .expect("a case of hers");
        // They differ on her last case.
        let key = if number < STUDIES / 2 || number == STUDIES - 1 {
            1
        } else {
            2
        };
        window.run("document.activeElement?.blur()");
        window.press(&key.to_string());
        until_given(&window, key, true);
        read.push(id.clone());
        if read.len() < STUDIES {
            id = next_case(&window, &id);
        }
    }
    window.screenshot("blind");
    window.element("agreement-closed");
    window.run("document.activeElement?.blur()");
    window.stroke("b");
    window.click("compare-readers");
    // 5 of 6 the same; by chance 1/2 · 2/3 + 1/2 · 1/3 = 1/2: kappa is (5/6 - 1/2) / (1/2).
    until_says(&window, "agreement", "0.67");
    until_says(&window, "disagreement", "Anna");
    window.screenshot("agreement");
    let painted = window.painted();
    window.click("disagreement");
    if id != cases[STUDIES - 1] {
        window.painted_anew(&painted);
    }
    window.click("label-toggle");
    until_says(&window, "label-case", &cases[STUDIES - 1]);

    // Findings: present, absent, uncertain, the rest absent, all taken away.
    window.click("label-toggle");
    window.click("label-new");
    window.type_into("set-name", "signs");
    window.run("document.querySelector('[data-testid=set-kind-findings]').click()");
    window.type_into("set-classes", &format!("effusion{ENTER}nodule"));
    window.click("set-keep");
    until_says(&window, "label-set", "signs");
    window.click("label-toggle");
    window.element("label-key-2");
    window.run("document.activeElement?.blur()");
    for (stroke, values) in [
        ("1", ["1", ""]),
        ("Shift+1", ["0", ""]),
        ("Ctrl+1", ["-1", ""]),
        ("0", ["-1", "0"]),
        ("9", ["-1", "0"]),
        ("Delete", ["", ""]),
    ] {
        window.stroke(stroke);
        let [first, second] = values;
        let script = format!(
            "const value = key => document.querySelector(`[data-testid=label-key-${{key}}]`)?.dataset.value ?? '';
             return value(1) === '{first}' && value(2) === '{second}'"
        );
        window.until(&format!("{stroke} gives {values:?}"), &script);
    }
    window.screenshot("findings");
}
