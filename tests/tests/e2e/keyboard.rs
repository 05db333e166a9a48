//! Every action by keyboard alone.

use std::collections::BTreeSet;

use crate::window::Window;

/// What a person can see of the window's state, as one text.
const STATE: &str = "
    const text = id => document.querySelector(`[data-testid=${id}]`)?.textContent ?? '';
    const pressed = [...document.querySelectorAll('[aria-pressed=true]')].map(b => b.textContent.trim());
    return JSON.stringify([
        document.querySelector('[data-testid=viewport-canvas]')?.dataset.painted ?? '',
        ...['window', 'zoom', 'slice'].map(id => text(`overlay-${id}`)),
        ...['left', 'top'].map(id => text(`orientation-${id}`)),
        pressed,
        document.querySelector('[role=tab][aria-selected=true]')?.textContent,
        document.querySelector('dialog[open] h2')?.textContent,
        document.activeElement?.id,
        document.querySelectorAll('[data-testid=series-item]').length,
        document.querySelectorAll('[data-testid=answer][data-state=done]').length,
        !!document.querySelector('[data-testid=heatmap-hide]'),
        document.querySelector('.viewport.active canvas')?.dataset.testid,
    ])";

/// Strokes that other tests press: they open the desktop's own dialogs, or need a list of cases.
const ELSEWHERE: &[&str] = &["Ctrl+o", "Ctrl+Shift+o", "Enter", "c"];

struct Walk<'a> {
    window: &'a Window,
    pressed: BTreeSet<String>,
}

impl Walk<'_> {
    fn state(&self) -> String {
        self.window
            .run(STATE)
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// Presses a stroke and waits until the window shows an effect.
    fn press(&mut self, stroke: &str) {
        let before = self.state();
        self.window.stroke(stroke);
        self.pressed.insert(stroke.to_owned());
        let quoted = serde_json::Value::from(before).to_string();
        let changed = format!("return (() => {{ {STATE} }})() !== {quoted}");
        self.window
            .until(&format!("{stroke} has an effect"), &changed);
    }

    /// The same for strokes that only move the image.
    fn press_to_paint(&mut self, stroke: &str) {
        let frames = self.window.run("return window.__lucency.framesRendered");
        self.window.stroke(stroke);
        self.pressed.insert(stroke.to_owned());
        let painted = format!("return window.__lucency.framesRendered > {frames}");
        self.window
            .until(&format!("{stroke} moves the image"), &painted);
    }

    fn all(&mut self, strokes: &str) {
        strokes
            .split_whitespace()
            .for_each(|stroke| self.press(stroke));
    }
}

/// A stroke as the list of shortcuts shows it.
fn label(stroke: &str) -> String {
    let part = |part: &str| match part {
        "ArrowUp" => "↑".to_owned(),
        "ArrowDown" => "↓".to_owned(),
        "ArrowLeft" => "←".to_owned(),
        "ArrowRight" => "→".to_owned(),
        "PageUp" => "Page up".to_owned(),
        "PageDown" => "Page down".to_owned(),
        "Escape" => "Esc".to_owned(),
        one if one.chars().count() == 1 => one.to_uppercase(),
        other => other.to_owned(),
    };
    if stroke == "+" {
        return stroke.to_owned();
    }
    stroke.split('+').map(part).collect::<Vec<_>>().join(" ")
}

#[test]
fn window_does_everything_by_keyboard() {
    let window = Window::open("keyboard-walk", &["--demo"]);
    window.painted();
    window.run("document.activeElement?.blur()");
    let mut walk = Walk {
        window: &window,
        pressed: BTreeSet::new(),
    };

    // To a series that can be scrolled.
    for _ in 0..4 {
        let slice = window.text("overlay-slice");
        if !slice.starts_with("Image 1/1 ") && slice != "Image 1/1" {
            break;
        }
        walk.press("j");
    }
    walk.all("ArrowDown ArrowUp ArrowRight ArrowLeft PageDown PageUp End Home");
    walk.press("Space");
    walk.press("Space");
    walk.all("2 3 4 5 1 i Shift+ArrowLeft Shift+ArrowRight Shift+ArrowUp Shift+ArrowDown");
    walk.all("+ - = x f [ ] h v r o o p z s w");
    for arrow in [
        "Ctrl+ArrowLeft",
        "Ctrl+ArrowRight",
        "Ctrl+ArrowUp",
        "Ctrl+ArrowDown",
    ] {
        walk.press_to_paint(arrow);
    }
    walk.press("k");
    walk.press("j");
    window.screenshot("viewed");

    walk.press("a");
    window.element("suggestion");
    walk.all("Alt+2 Alt+3 Alt+4 Alt+5 Alt+6 Alt+1 b Alt+1 /");
    walk.all("Ctrl+1 Ctrl+2 Ctrl+3 Ctrl+4 Ctrl+5");
    walk.press("Alt+1");
    walk.press("e");
    walk.press("e");
    window.screenshot("asked");

    window.click("compare-series");
    window.element("compared-canvas");
    window.run("document.activeElement?.blur()");
    walk.all("n n l l Escape");

    for dialog in ["m", "Ctrl+,", "Ctrl+i", "F1", "?"] {
        walk.press(dialog);
        window.stroke("Escape");
        window.until(
            "the dialog closes",
            "return !document.querySelector('dialog[open]')",
        );
    }
    walk.press("Ctrl+w");
    walk.press("d");

    window.stroke("?");
    let shown = window.until(
        "the list of shortcuts",
        // Keys of labelling mode are pressed where cases are labelled.
        "const sections = [...document.querySelectorAll('dialog section')]
             .filter(s => s.querySelector('h3').textContent !== 'While labelling');
         const keys = sections.flatMap(s => [...s.querySelectorAll('dl kbd')].map(k => k.textContent));
         return keys.length > 0 && keys",
    );
    window.screenshot("shortcuts");
    let walked = walk
        .pressed
        .iter()
        .map(String::as_str)
        .chain(ELSEWHERE.iter().copied());
    let walked: BTreeSet<String> = walked.map(label).collect();
    let listed = shown.as_array().expect("a list").iter();
    let missed: Vec<&str> = listed
        .filter_map(|key| key.as_str())
        .filter(|key| !walked.contains(*key))
        .collect();
    assert!(
        missed.is_empty(),
        "shortcuts that were not pressed: {missed:?}"
    );
}
