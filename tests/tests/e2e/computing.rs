//! Where networks compute: named in the status bar, changed in the settings, kept for the next start.

use crate::window::Window;

/// Sets a field of the settings as a hand would.
fn choose(window: &Window, field: &str, value: &str) {
    window.run(&format!(
        "const field = document.getElementById('{field}');
         field.value = '{value}';
         field.dispatchEvent(new Event('change', {{ bubbles: true }}))"
    ));
}

#[test]
fn window_names_the_device_and_moves_the_models_to_another() {
    let window = Window::open("device", &["--demo"]);
    window.painted();
    window.until(
        "the status bar names the processor",
        "return document.querySelector('[data-testid=footer-device]')?.textContent.includes('Processor')",
    );
    let asked = |window: &Window| {
        window.click("tab-ask");
        window.type_into("ask-input", "Is there a pleural effusion?");
        window.click("ask-submit");
        (window.text("answer-text"), window.text("answer-confidence"))
    };
    let before = asked(&window);

    window.click("footer-device");
    window.element("device-now");
    choose(&window, "device", "reference");
    window.until(
        "the models are on the reference",
        "return document.querySelector('[data-testid=footer-device]').textContent.includes('f64')",
    );
    let told = window.text("device-now");
    assert!(told.contains("results differ by"), "{told}");
    window.screenshot("settings");
    window.press("\u{e00c}"); // Escape
    let after = asked(&window);
    assert_eq!(before, after, "the answer does not depend on the device");
    let kept = std::fs::read_to_string(window.home().join("computing.json"));
    assert!(kept.expect("the choice is kept").contains("reference"));

    window.click("footer-device");
    choose(&window, "device", "auto");
    choose_when_ready(&window, "matrix-bits", "q8");
    window.press("\u{e00c}");
    let small = asked(&window);
    assert_eq!(before.0, small.0, "eight bits give the same answer here");
    window.screenshot("eight-bits");
}

/// [`choose`] once the field can be used again.
fn choose_when_ready(window: &Window, field: &str, value: &str) {
    let script = format!("return !document.getElementById('{field}').disabled");
    window.until("the last choice is in use", &script);
    choose(window, field, value);
    window.until("this choice is in use", &script);
}
