//! The case library: importing, embedding, searching, comparing side by side.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::window::{Window, difference};

/// WebDriver's code point of Enter.
const ENTER: &str = "\u{e007}";
/// WebDriver's code point of the down arrow.
const DOWN: &str = "\u{e015}";
/// Studies in the library; the one after them is on the screen.
pub(crate) const STUDIES: usize = 6;

/// Phantom studies, a table of their frontal films with a row whose image is missing, and a film that is not in the table.
pub(crate) struct Films {
    folder: tempfile::TempDir,
    pub(crate) current: PathBuf,
}

impl Films {
    pub(crate) fn make() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        let out = data.to_string_lossy().into_owned();
        let count = (STUDIES + 1).to_string();
        let words = "--json phantom --content chest --png --seed 900 --resolution 384 --count";
        let words = words.split(' ').chain([count.as_str(), "--out", &out]);
        let made = lucency_tests::lucency(folder.path())
            .args(words)
            .output()
            .expect("lucency runs");
        let why = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "phantoms: {why}");
        let manifest = fs::read_to_string(data.join("manifest.jsonl")).expect("a manifest");
        let studies: Vec<Value> = manifest
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        let mut table = String::from("image,patient,sex,age,view,report\n");
        for (i, study) in studies.iter().take(STUDIES).enumerate() {
            let film = film(study, "png");
            let (sex, age) = (["F", "M"][i % 2], 40 + i);
            let view = if film.ends_with("-ap.png") {
                "AP"
            } else {
                "PA"
            };
            let report = text(study, "report").replace('"', "\"\"");
            let _ = writeln!(table, "{film},P{i},{sex},{age},{view},\"{report}\"");
        }
        table.push_str("nowhere.png,P9,F,50,PA,\"The film was lost.\"\n");
        fs::write(data.join("films.csv"), table).expect("a table");
        let current = data.join(film(&studies[STUDIES], "dicom"));
        Self { folder, current }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }
}

fn text(value: &Value, key: &str) -> String {
    let text = value[key].as_str();
    text.unwrap_or_else(|| panic!("no {key} in {value}"))
        .to_owned()
}

/// The frontal film of a study below the folder of all, as `png` or `dicom`.
fn film(study: &Value, kind: &str) -> String {
    let images = study["images"].as_array().expect("images");
    let name = images.iter().find_map(|image| image[kind].as_str());
    format!("{}/{}", text(study, "study"), name.expect("a film"))
}

pub(crate) fn open_import(window: &Window) {
    window.click("tab-similar");
    window.click("open-import");
}

/// Names a folder and its table in the open import wizard and waits for their preview.
pub(crate) fn look_at_table(window: &Window, data: &Path, table: &str) {
    window.until(
        "the layouts are listed",
        "return document.querySelectorAll('[data-testid=import-format] option').length > 1",
    );
    window.run(
        "const list = document.querySelector('[data-testid=import-format]');
         list.value = 'table'; list.dispatchEvent(new Event('change', { bubbles: true }))",
    );
    window.type_into("import-data", &data.to_string_lossy());
    window.type_into("import-table", &data.join(table).to_string_lossy());
    window.click("import-look");
    window.element("import-column");
}

/// Imports the table through the dialog, up to its result.
pub(crate) fn import(window: &Window, data: &Path) {
    open_import(window);
    look_at_table(window, data, "films.csv");
    for (column, role) in [
        ("image", "image"),
        ("patient", "patient"),
        ("report", "report"),
    ] {
        let chosen = format!(
            "return document.querySelector('[data-testid=role-{column}]')?.value === '{role}'"
        );
        window.until(&format!("{column} is recognised"), &chosen);
    }
    window.until(
        "the row without its film says so",
        "return [...document.querySelectorAll('[data-testid=import-row]')].at(-1)?.textContent.includes('Refused')",
    );
    window.screenshot("preview");
    window.type_into("import-modality", "DX");
    window.type_into("import-body_part", "CHEST");
    window.until(
        "the import can begin",
        "return !document.querySelector('[data-testid=import-start]').disabled",
    );
    window.click("import-start");
    assert_eq!(window.text("import-taken"), STUDIES.to_string());
    let reject = window.text("import-reject");
    assert!(reject.starts_with(&(STUDIES + 1).to_string()), "{reject}");
}

/// Waits until a canvas has painted something else than `before`.
fn painted_anew(window: &Window, canvas: &str, before: &str) -> String {
    let script = format!(
        "const now = document.querySelector('[data-testid={canvas}]')?.dataset.painted;
         return !!now && now !== {} && now",
        Value::from(before)
    );
    let now = window.until(&format!("{canvas} is painted anew"), &script);
    now.as_str().unwrap_or_default().to_owned()
}

#[test]
fn window_imports_searches_and_compares_cases() {
    let films = Films::make();
    let current = films.current.to_string_lossy().into_owned();
    let window = Window::open("library", &[&current]);
    let before = window.painted();

    import(&window, &films.data());
    window.screenshot("imported");
    window.click("embed-start");
    window.element("embed-done");
    window.screenshot("embedded");
    window.click("import-done");

    // By words, from the keyboard alone.
    window.run("document.activeElement?.blur()");
    window.stroke("/");
    window.until(
        "the keyboard is in the search field",
        "return document.activeElement?.id === 'library-search'",
    );
    window.type_into("library-search", "heart");
    window.press(ENTER);
    window.element("library-hit");
    window.until(
        "the word is highlighted in reports",
        "return [...document.querySelectorAll('[data-testid=library-hit] mark')]
             .some(mark => mark.textContent.toLowerCase() === 'heart')",
    );
    window.until(
        "the cases' images are shown",
        "const images = [...document.querySelectorAll('[data-testid=library-hit] img')];
         return images.length > 0 && images.every(i => i.complete && i.naturalWidth > 0)",
    );
    let facts = window.text("hit-facts");
    assert!(facts.starts_with("DX CHEST "), "{facts}");
    window.screenshot("found-by-words");

    // By image, whole, and side by side.
    window.run("document.querySelector('[data-testid=library-search]').select()");
    window.press("\u{e003}");
    window.click("library-like");
    window.until(
        "the nearest case is first by image",
        "return document.querySelector('[data-testid=library-hit] .why')?.textContent.includes('1st by image')",
    );
    window.run("document.querySelector('[data-testid=library-search]').focus()");
    window.press(&format!("{DOWN}{ENTER}"));
    window.element("library-case");
    window.press("c");
    let compared = painted_anew(&window, "compared-canvas", "");
    assert!(window.text("heading-compared").contains("Library case"));
    window.until(
        "the current study makes room and stays",
        "return document.querySelectorAll('[role=application]').length === 2",
    );
    window.screenshot("side-by-side");

    // Grey levels are linked until they are not.
    window.run("document.activeElement?.blur()");
    window.stroke("4");
    let narrow = window.painted_anew(&before);
    let follower = painted_anew(&window, "compared-canvas", &compared);
    let plain = window.pixels();
    window.stroke("i");
    let inverted = painted_anew(&window, "compared-canvas", &follower);
    assert!(inverted.ends_with(",inverted"), "{inverted}");
    assert!(
        difference(&plain, &window.pixels()) > 0.2,
        "both are inverted"
    );
    window.stroke("i");
    painted_anew(&window, "compared-canvas", &inverted);
    window.click("link-window");
    window.run("document.activeElement?.blur()");
    window.stroke("n");
    window.stroke("5");
    painted_anew(&window, "compared-canvas", &follower);
    assert_eq!(window.painted(), narrow, "the current study is left alone");
    window.stroke("+");
    window.screenshot("unlinked");

    window.stroke("Escape");
    window.until(
        "one viewport is left",
        "return document.querySelectorAll('[role=application]').length === 1",
    );
    assert_eq!(window.painted(), narrow);
}
