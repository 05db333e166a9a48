//! How fast the window is. Measured and printed, never asserted: `make bench-window`.

use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};

use crate::training::{choose_cases, films};
use crate::window::Window;

const SLICES: u16 = 500;
const SIDE: u16 = 512;

/// Turns the wheel by one notch in every frame of the screen and counts the different images that were shown meanwhile. Stops after
/// 20 seconds.
const SCROLL: &str = "
    const notch = DIRECTION, notches = NOTCHES;
    const canvas = document.querySelector('[data-testid=viewport-canvas]');
    const frame = () => Number(canvas.dataset.painted.split(':')[1]);
    const turn = () => canvas.dispatchEvent(new WheelEvent('wheel', { deltaY: 120 * notch, bubbles: true, cancelable: true }));
    return new Promise(done => {
        const began = performance.now();
        let shown = frame(), last = began, slowest = 0, frames = 0, turns = 0;
        const step = now => {
            if (frame() !== shown) {
                shown = frame();
                frames++;
                slowest = Math.max(slowest, now - last);
                last = now;
            }
            if (turns === notches || now - began > 20000)
                return done({ frames, turns, per_s: frames / (now - began) * 1000, slowest_ms: slowest });
            turn();
            turns++;
            requestAnimationFrame(step);
        };
        requestAnimationFrame(step);
    })";

fn element(tag: (u16, u16), vr: &str, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(value.len() + 12);
    bytes.extend(tag.0.to_le_bytes());
    bytes.extend(tag.1.to_le_bytes());
    bytes.extend(vr.bytes());
    let padded = value.len().next_multiple_of(2);
    if vr == "OW" {
        bytes.extend([0, 0]);
        bytes.extend((padded as u32).to_le_bytes());
    } else {
        bytes.extend((padded as u16).to_le_bytes());
    }
    bytes.extend(value);
    bytes.resize(
        bytes.len() + padded - value.len(),
        if vr == "UI" { 0 } else { b' ' },
    );
    bytes
}

/// One slice: a bright disc that wanders through grey noise, 12 bits in 16.
fn slice(number: u16) -> Vec<u8> {
    let mut bytes = vec![0; 128];
    bytes.extend(b"DICM");
    let text = |tag, vr, value: String| element(tag, vr, value.as_bytes());
    let word = |tag, value: u16| element(tag, "US", &value.to_le_bytes());
    bytes.extend(text((2, 0x10), "UI", "1.2.840.10008.1.2.1".into()));
    bytes.extend(text((8, 0x16), "UI", "1.2.840.10008.5.1.4.1.1.2".into()));
    bytes.extend(text((8, 0x18), "UI", format!("1.2.3.4.{number}")));
    bytes.extend(text((8, 0x60), "CS", "CT".into()));
    bytes.extend(text((0x20, 0x0d), "UI", "1.2.3".into()));
    bytes.extend(text((0x20, 0x0e), "UI", "1.2.3.4".into()));
    bytes.extend(text((0x20, 0x13), "IS", number.to_string()));
    bytes.extend(text((0x20, 0x32), "DS", format!("0\\0\\{number}")));
    bytes.extend(text((0x20, 0x37), "DS", "1\\0\\0\\0\\1\\0".into()));
    bytes.extend(word((0x28, 2), 1));
    bytes.extend(text((0x28, 4), "CS", "MONOCHROME2".into()));
    bytes.extend(word((0x28, 0x10), SIDE));
    bytes.extend(word((0x28, 0x11), SIDE));
    bytes.extend(text((0x28, 0x30), "DS", "0.5\\0.5".into()));
    bytes.extend(word((0x28, 0x100), 16));
    bytes.extend(word((0x28, 0x101), 12));
    bytes.extend(word((0x28, 0x102), 11));
    bytes.extend(word((0x28, 0x103), 0));
    bytes.extend(text((0x28, 0x1050), "DS", "1040".into()));
    bytes.extend(text((0x28, 0x1051), "DS", "400".into()));
    let centre = 128 + i32::from(number) / 2;
    let value = |x: i32, y: i32| {
        let inside = (x - centre).pow(2) + (y - 256).pow(2) < 90 * 90;
        let noise = (x * 37 + y * 101 + i32::from(number) * 53) % 61;
        (900 + noise + if inside { 200 } else { 0 }) as u16
    };
    let side = i32::from(SIDE);
    let pixels: Vec<u8> = (0..side * side)
        .flat_map(|i| value(i % side, i / side).to_le_bytes())
        .collect();
    bytes.extend(element((0x7fe0, 0x10), "OW", &pixels));
    bytes
}

fn volume(folder: &Path) {
    for number in 0..SLICES {
        std::fs::write(folder.join(format!("{number:03}.dcm")), slice(number))
            .expect("the temporary folder is writable");
    }
}

fn scroll(window: &Window, direction: i32, notches: u16) -> Value {
    let script = SCROLL
        .replace("DIRECTION", &direction.to_string())
        .replace("NOTCHES", &notches.to_string());
    window.run(&script)
}

/// From the request for the window to its first image, milliseconds; the driver's own start is part of it.
fn first_image_ms(window: &Window) -> f64 {
    window.painted();
    let painted = window.until(
        "the page measures its first paint",
        "const ms = window.__lucency?.firstPaintMs; return ms > 0 && performance.timeOrigin + ms",
    );
    painted.as_f64().unwrap_or_default() - window.asked_ms()
}

/// Begins low-rank training in the window and waits for its first steps.
fn begin_training(window: &Window, folder: &Path) {
    films(folder);
    choose_cases(window, folder);
    window.click("method-hundreds");
    window.type_into("run-name", "beside");
    window.click("training-start");
    window.until(
        "training takes its first steps",
        "return /^Training · [1-9]/.test(document.querySelector('[data-testid=run-progress]')?.textContent.trim() ?? '')",
    );
}

/// Asks for findings again and again from now on.
const FINDINGS: &str = "
    document.querySelector('[data-testid=tab-findings]').click();
    setInterval(() => document.querySelector('[data-testid=run-findings]')?.click(), 300)";

#[test]
#[ignore = "a measurement: make bench-window"]
fn measure_the_window() {
    let mut starts: Vec<f64> = (0..3)
        .map(|_| first_image_ms(&Window::open("measured-start", &["--demo"])))
        .collect();
    starts.sort_by(f64::total_cmp);

    let folder = tempfile::tempdir().expect("a temporary folder");
    volume(folder.path());
    let window = Window::open("measured-scroll", &[&folder.path().to_string_lossy()]);
    window.painted();
    // The choice of a renderer happens once the first image has been shown for a while.
    std::thread::sleep(std::time::Duration::from_secs(3));
    let first = scroll(&window, 1, SLICES - 1);
    let again = scroll(&window, -1, first["turns"].as_u64().unwrap_or(1) as u16);
    window.screenshot("scrolled");
    let cases = tempfile::tempdir().expect("a temporary folder");
    begin_training(&window, cases.path());
    let progress = || window.text("run-progress");
    let before = progress();
    let training = scroll(&window, 1, SLICES - 1);
    let (during, after) = (progress(), {
        std::thread::sleep(std::time::Duration::from_secs(5));
        progress()
    });
    window.screenshot("training");
    window.run(FINDINGS);
    let both = scroll(&window, -1, SLICES - 1);
    let measured = json!({
        "start_to_first_image_ms": starts[1],
        "scroll_500_slices_new": first,
        "scroll_500_slices_in_memory": again,
        "scroll_while_training": training,
        "training_before_and_after_scrolling_and_5_s_later": [before, during, after],
        "scroll_while_training_and_listing_findings": both,
        "renderer": window.run("return window.__lucency.renderer"),
        "paint_ms": window.run(
            "const t = window.__lucency.frameTimesMs.toSorted((a, b) => a - b); return t[t.length >> 1]"),
    });
    let text = serde_json::to_string_pretty(&measured).expect("numbers are JSON");
    writeln!(std::io::stdout(), "{text}").expect("standard output is open");
}
