//! Fine-tuning from the window: cases, a run, its report, going live and back.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use lucency_tests::units;
use serde_json::Value;

use crate::window::Window;

/// Films of each of two units.
const EACH: usize = 20;
/// Pixels along a side of the mark that films of the second unit carry.
const MARK: u32 = 40;

/// Chest phantoms of two units in `folder`, those of the second with a bright mark, and the table of them. Returns a film.
pub fn films(folder: &Path) -> PathBuf {
    let mut table = String::from("image,patient,unit,report\n");
    let mut last = PathBuf::new();
    for (unit, seed) in [("unit one", 1), ("unit two", 501)] {
        let words = "--json phantom --png --no-dicom --resolution 160 --content chest";
        let (seed, count) = (seed.to_string(), EACH.to_string());
        let made = lucency_tests::lucency(folder)
            .args(words.split(' '))
            .args(["--seed", &seed, "--count", &count, "--out", &seed])
            .output()
            .expect("lucency runs");
        let why = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "phantoms: {why}");
        let manifest = fs::read_to_string(folder.join(&seed).join("manifest.jsonl"));
        for line in manifest.expect("a manifest").lines() {
            let study: Value = serde_json::from_str(line).expect("JSON");
            let word = |value: &Value| value.as_str().expect("a word").to_owned();
            let id = word(&study["study"]);
            let name = format!("{seed}/{id}/{}", word(&study["images"][0]["png"]));
            last = folder.join(&name);
            if unit == "unit two" {
                mark(&last);
            }
            let _ = writeln!(table, "{name},{id},{unit},a film of {unit}");
        }
    }
    fs::write(folder.join("cases.csv"), table).expect("a table");
    last
}

fn mark(path: &Path) {
    let mut film = image::open(path).expect("a picture").to_luma8();
    for (x, y) in (0..MARK).flat_map(|x| (0..MARK).map(move |y| (x, y))) {
        film.put_pixel(x, y, image::Luma([255]));
    }
    film.save(path).expect("the folder is writable");
}

/// Says what a column of the table says.
fn set_role(window: &Window, column: &str, role: &str) {
    window.element(&format!("column-{column}"));
    window.run(&format!(
        "const list = document.querySelector('[data-testid=column-{column}]');
         list.value = '{role}'; list.dispatchEvent(new Event('change', {{ bubbles: true }}))"
    ));
}

/// Waits until an element's text contains `part`.
fn until_says(window: &Window, id: &str, part: &str) {
    let script = format!(
        "return document.querySelector('[data-testid={id}]')?.textContent.includes('{part}') ?? false"
    );
    window.until(&format!("{id} never says `{part}`"), &script);
}

/// Chooses the films of [`films`] as cases of a new run, up to its method.
pub fn choose_cases(window: &Window, folder: &Path) {
    window.click("tab-training");
    window.click("new-run");
    window.type_into("training-folder", &folder.to_string_lossy());
    window.type_into(
        "training-table",
        &folder.join("cases.csv").to_string_lossy(),
    );
    window.click("training-read");
    for (column, role) in [
        ("image", "image"),
        ("patient", "patient"),
        ("unit", "label"),
        ("report", "report"),
    ] {
        set_role(window, column, role);
    }
    window.click("training-look");
    let counted = format!(
        "const rows = [...document.querySelectorAll('[data-testid=class-row]')];
         // Films that look alike count as one patient's.
         return rows.length === 2 && rows.every(row => {{
             const [cases, patients] = [...row.querySelectorAll('.number')].map(cell => Number(cell.textContent));
             return cases === {EACH} && patients > {EACH} / 2 && patients <= {EACH} }})"
    );
    window.until("both units are counted by case and by patient", &counted);
    assert!(!window.has("training-problem"), "nothing speaks against it");
    window.screenshot("counts");
    window.click("training-next");
}

/// Trains a probe.
fn train(window: &Window, folder: &Path) {
    choose_cases(window, folder);
    window.click("method-reports");
    window.until(
        "contrastive training offers to keep the image tower, and does",
        "return document.querySelector('[data-testid=option-locked_images]')?.checked === true",
    );
    let numbers = "document.querySelector('[data-testid=new-run-dialog] details')";
    window.run(&format!("{numbers}.open = true"));
    window.screenshot("contrastive");
    window.run(&format!("{numbers}.open = false"));
    window.click("method-few_labels");
    assert!(
        !window.has("option-locked_images"),
        "a probe has no towers to keep"
    );
    window.click("measure");
    until_says(window, "estimate", "of memory");
    window.type_into("run-name", "units");
    window.screenshot("method");
    window.click("training-start");
    window.until(
        "the run is finished",
        "return document.querySelector('[data-testid=run][data-name=units]')?.dataset.state === 'finished'",
    );
    window.screenshot("finished");
}

/// What the panel Findings says of the film.
fn score(window: &Window) {
    window.click("tab-findings");
    window.click("run-findings");
    window.element("finding-row");
}

#[test]
fn window_trains_a_probe_shows_its_report_and_takes_it_into_use_and_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let film = films(folder.path());
    let window = Window::open("training", &[&film.to_string_lossy()]);
    let painted = window.painted();
    train(&window, folder.path());
    assert_eq!(window.painted(), painted, "the image stays where it was");

    window.click("run-report");
    until_says(&window, "gate", "it may go live");
    let rows = window.run("return document.querySelectorAll('[data-testid=figure-row]').length");
    assert!(rows.as_u64() > Some(1), "figures by class: {rows}");
    let curves = window.run(
        "return [...document.querySelectorAll('[data-testid=class-plots] path.after')]
             .every(path => /^M[0-9.]+ [0-9.]+L/.test(path.getAttribute('d')))",
    );
    assert_eq!(curves, true, "ROC and reliability are drawn");
    window.screenshot("report");

    window.click("report-activate");
    until_says(&window, "footer-adapter", "units");
    window.run("document.querySelector('dialog[open] header button').click()");
    score(&window);
    until_says(&window, "findings-adapter", "units");
    until_says(&window, "provenance", "units");
    window.screenshot("live");

    window.click("tab-training");
    window.click("rollback");
    until_says(&window, "footer-adapter", "No adapter");
    score(&window);
    window.until(
        "the pack itself scores again",
        "return [...document.querySelectorAll('[data-testid=provenance]')].some(p => p.textContent.includes('none'))",
    );
    assert!(!window.has("findings-adapter"), "no adapter any more");
}

/// Brings low-rank updates that were trained in another home into the window's, as PEFT's two files alone.
fn from_elsewhere(window: &Window, folder: &Path) {
    let home = folder.join("elsewhere");
    let data = home.join("data");
    fs::create_dir_all(&data).expect("a folder");
    let table = units::table(&data, "cases.csv", &units::cases(&data, 1, 20));
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let (images, table) = (text(&data), text(&table));
    let learn = "train lora --name ward --epochs 30 --rate 0.01 --columns image=image,patient=patient,label=unit --data";
    let mut words: Vec<&str> = learn.split(' ').collect();
    words.extend([&images, "--table", &table]);
    lucency_tests::json(&home, &words);
    let bare = home.join("bare");
    fs::create_dir(&bare).expect("a folder");
    for file in ["adapter_model.safetensors", "adapter_config.json"] {
        fs::copy(home.join("adapters/ward").join(file), bare.join(file)).expect("a copy");
    }
    let bare = text(&bare);
    let import = "adapters import --pack demo --name elsewhere";
    let mut words: Vec<&str> = import.split(' ').collect();
    words.push(&bare);
    lucency_tests::json(&window.home(), &words);
}

/// Reads the table of cases to judge on, up to the button that begins.
fn read_judges(window: &Window) {
    window.click("training-read");
    set_role(window, "unit", "label");
    window.click("training-look");
    window.until(
        "both units are counted",
        "return document.querySelectorAll('[data-testid=class-row]').length === 2",
    );
    assert!(!window.has("training-problem"), "nothing speaks against it");
}

#[test]
fn window_judges_an_adapter_from_elsewhere_which_may_then_go_live() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("here");
    fs::create_dir(&data).expect("a folder");
    let judges = units::cases(&data, 4000, 24);
    units::table(&data, "judged.csv", &judges);
    let film = data.join(&judges[0][0]);
    let window = Window::open("judging", &[&film.to_string_lossy()]);
    from_elsewhere(&window, folder.path());
    window.click("tab-training");
    let (row, says) = ("[data-testid=version][data-name=elsewhere]", "Not judged");
    let unjudged =
        format!("return document.querySelector('{row}')?.textContent.includes('{says}') ?? false");
    window.until("the adapter is there, and nobody judged it", &unjudged);
    window.click("activate");
    until_says(&window, "refusal", "Evaluate on this site");

    window.click("version-judge");
    window.type_into("training-folder", &data.to_string_lossy());
    let table = data.join("judged.csv");
    window.type_into("training-table", &table.to_string_lossy());
    read_judges(&window);
    window.screenshot("cases");
    window.click("training-next");
    window.element("judge-progress");
    window.click("judge-background");
    until_says(&window, "progress", "Evaluating elsewhere");
    window.screenshot("background");
    window.click("cancel-job");
    window.until(
        "the evaluation has stopped",
        "return !document.querySelector('[data-testid=progress]')",
    );
    window.until("a stopped evaluation leaves no verdict", &unjudged);

    window.click("version-judge"); // which remembers the folder and the table
    read_judges(&window);
    window.click("training-next");
    until_says(&window, "gate", "it may go live");
    until_says(&window, "gate-warnings", "trained on");
    assert!(!window.has("report-refusal"), "the refusal is past");
    let rows = window.run("return document.querySelectorAll('[data-testid=figure-row]').length");
    assert!(rows.as_u64() > Some(1), "figures by class: {rows}");
    window.screenshot("report");
    window.click("report-activate");
    until_says(&window, "footer-adapter", "elsewhere");
    window.run("document.querySelector('dialog[open] header button').click()");
    assert!(!window.has("version-judge"), "it has its verdict");
    score(&window);
    until_says(&window, "provenance", "elsewhere");
    window.screenshot("live");
}
