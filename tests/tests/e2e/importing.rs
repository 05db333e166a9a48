//! An import that takes a while: paused, taken up again, left, and gone on with later.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::comparing::{look_at_table, open_import};
use crate::window::Window;

/// Films of the table.
const FILMS: u32 = 2500;
/// Pixels along a side of a film.
const SIDE: u32 = 64;

/// Films of grey noise, each its own, and a table of them.
fn films(data: &Path) {
    let mut table = String::from("image,patient,report\n");
    for film in 0..FILMS {
        let grey = |x: u32, y: u32| {
            let mixed = (x / 8 * 31 + y / 8 * 57 + film * 101).wrapping_mul(2_654_435_761);
            image::Luma([(mixed >> 24) as u8])
        };
        let name = format!("{film}.png");
        image::GrayImage::from_fn(SIDE, SIDE, grey)
            .save(data.join(&name))
            .expect("the folder is writable");
        let _ = writeln!(table, "{name},P{film},Film number {film} of a long import.");
    }
    fs::write(data.join("many.csv"), table).expect("a table");
}

/// Cases that the wizard says were taken in.
fn taken(window: &Window) -> u32 {
    let digits: String = window
        .text("import-taken")
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    digits.parse().expect("a number of cases")
}

fn ready(window: &Window) {
    window.until(
        "the import can begin",
        "return document.querySelector('[data-testid=import-start]')?.disabled === false",
    );
}

fn start(window: &Window) {
    ready(window);
    window.click("import-start");
}

/// Clicks a button, and another one as soon as it is there: the way through the driver takes longer than a quick machine's import.
fn click_both(window: &Window, first: &str, then: &str) {
    window.element(first);
    window.run(&format!(
        "const button = (id) => document.querySelector(`[data-testid=${{id}}]`);
         const timer = setInterval(() => {{
             const then = button('{then}');
             if (!then || then.disabled) return;
             clearInterval(timer);
             then.click();
         }}, 5);
         button('{first}').click()"
    ));
}

/// Cases in the library, as the command line counts them.
fn cases(window: &Window) -> u64 {
    lucency_tests::json(&window.home(), &["library", "stats"])["cases"]
        .as_u64()
        .expect("a number of cases")
}

#[test]
fn window_pauses_resumes_and_leaves_an_import() {
    let folder = tempfile::tempdir().expect("a folder");
    films(folder.path());
    let window = Window::open("importing", &["--demo"]);
    let shown = window.painted();
    open_import(&window);
    look_at_table(&window, folder.path(), "many.csv");
    ready(&window);
    click_both(&window, "import-start", "import-pause");
    let first = taken(&window);
    assert!(first < FILMS, "it was paused on the way");
    window.screenshot("paused");
    assert_eq!(
        cases(&window),
        u64::from(first),
        "what was taken is in the library"
    );
    assert_eq!(window.painted(), shown, "the viewer shows what it showed");

    click_both(&window, "import-resume", "import-cancel");
    window.until(
        "the wizard is at its beginning again",
        "return document.querySelector('[data-testid=import-look]') !== null",
    );
    let left = cases(&window);
    assert!(
        (u64::from(first)..=u64::from(FILMS)).contains(&left),
        "{left} cases stay"
    );

    look_at_table(&window, folder.path(), "many.csv");
    start(&window);
    window.element("import-done");
    assert_eq!(
        cases(&window),
        u64::from(FILMS),
        "no film is missing and none is there twice"
    );
    window.screenshot("finished");
}
