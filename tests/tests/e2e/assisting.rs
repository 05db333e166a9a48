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

#[test]
fn window_says_what_was_asked_and_asks_what_fits_by_key() {
    let window = Window::open("suggestions", &["--demo"]);
    window.painted();
    window.element("suggestion");
    let shown = window.text("suggestions-for").to_lowercase();
    assert!(
        shown.contains("chest") || shown.contains("head"),
        "the demo study says what it shows: {shown}"
    );
    window.stroke("Ctrl+1");
    let kind = window.text("answer-kind");
    assert!(kind.contains("closed"), "a yes-or-no question: {kind}");
    window.screenshot("asked");
}

#[test]
fn window_gives_a_reason_instead_of_an_invented_answer() {
    let window = Window::open("no-answer", &["--demo"]);
    window.painted();
    window.element("suggestion");
    // Neither part of the demo study shows a hand.
    window.type_into("ask-input", "Is there a fracture of the wrist?");
    window.press(ENTER);
    assert_eq!(window.text("answer-text"), "No answer");
    let reason = window.text("caution");
    assert!(reason.contains("hand"), "{reason}");
    assert!(!window.has("answer-confidence"), "no number for a guess");
    window.screenshot("other-region");

    window.type_into("ask-input", "这张图像中有胸腔积液吗?");
    window.click("ask-submit");
    window.until(
        "the question in another script is refused with the reason",
        "return [...document.querySelectorAll('[data-testid=answer] .failed')]
             .some(p => p.textContent.includes('English'))",
    );
    window.screenshot("other-script");
}
