//! Asking, findings and similar cases.

use crate::window::{Window, difference};

/// WebDriver's code point of Enter.
const ENTER: &str = "\u{e007}";

#[test]
fn window_answers_a_question_and_shows_why() {
    let window = Window::open("question", &["--demo"]);
    window.painted();
    window.click("tab-ask");
    window.type_into("ask-input", "Is there a pleural effusion?");
    window.click("ask-submit");
    let answer = window.text("answer-text");
    assert!(!answer.is_empty(), "there is an answer");
    let confidence = window.text("answer-confidence");
    assert!(
        confidence.contains('%'),
        "with its confidence: {confidence}"
    );

    let plain = window.pixels();
    window.click("heatmap-toggle");
    window.element("heatmap-opacity");
    let heated = window.pixels();
    window.screenshot("heat-map");
    assert!(
        difference(&plain, &heated) > 0.005,
        "the heat map lies over the image"
    );
}

#[test]
fn window_takes_a_question_from_the_keyboard() {
    let window = Window::open("question-by-key", &["--demo"]);
    window.painted();
    window.click("tab-ask");
    window.type_into("ask-input", "What modality is this?");
    window.press(ENTER);
    assert!(!window.text("answer-text").is_empty());
    window.screenshot("answer");
}

#[test]
fn window_lists_findings() {
    let window = Window::open("findings", &["--demo"]);
    window.painted();
    window.click("tab-findings");
    window.click("run-findings");
    window.element("finding-row");
    let rows = window.run("return document.querySelectorAll('[data-testid=finding-row]').length");
    assert!(rows.as_u64() > Some(1), "more than one label: {rows}");
    window.screenshot("list");
}

#[test]
fn window_finds_similar_cases() {
    let window = Window::open("similar", &["--demo"]);
    window.painted();
    window.click("tab-similar");
    window.click("similar-run");
    window.element("similar-case");
    window.until(
        "the cases' images are shown",
        "const images = [...document.querySelectorAll('[data-testid=similar-case] img')];
         return images.length > 0 && images.every(i => i.complete && i.naturalWidth > 0)",
    );
    window.screenshot("cases");
}
