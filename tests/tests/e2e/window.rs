//! The real application in a display of its own, seen and handled as a person would.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use image::GrayImage;
use serde_json::{Value, json};

use crate::surroundings::{Bus, Display, Driver};
use crate::webdriver::{Element, Session};

/// How long anything may take to appear; software rendering on two busy cores is slow.
const PATIENCE: Duration = Duration::from_secs(90);

/// Windows of one test process open one after another: each wants the machine to itself.
static TURN: Mutex<()> = Mutex::new(());

/// A running window. Dropping it closes the application and everything around it.
pub struct Window {
    session: Session,
    name: String,
    environment: Vec<(String, String)>,
    asked_ms: f64,
    // Dropped in this order.
    _driver: Driver,
    _bus: Option<Bus>,
    _display: Display,
    folder: tempfile::TempDir,
    _turn: MutexGuard<'static, ()>,
}

/// Whether a session bus is there, over which a second start finds the first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum WithBus {
    Yes,
    No,
}

impl Window {
    /// Starts the application with `arguments`; `name` is the test's, for screenshots.
    pub fn open(name: &str, arguments: &[&str]) -> Self {
        Self::open_with(name, arguments, WithBus::Yes)
    }

    /// Where the application keeps what is its own.
    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// The same, with or without a session bus.
    pub fn open_with(name: &str, arguments: &[&str], with_bus: WithBus) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let display = Display::start(1280, 800);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let bus = (with_bus == WithBus::Yes).then(|| Bus::start(folder.path()));
        let environment = environment(&display, bus.as_ref(), folder.path());
        let driver = Driver::start(&environment);
        let words: Vec<String> = arguments.iter().map(|&a| a.to_owned()).collect();
        let application = lucency_tests::executable("lucency-app");
        let since_1970 = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .expect("the clock is set");
        let session = Session::start(driver.port, &application, &words)
            .unwrap_or_else(|e| panic!("the window does not open: {e}"));
        let window = Self {
            session,
            name: name.to_owned(),
            environment,
            asked_ms: since_1970.as_secs_f64() * 1000.0,
            _driver: driver,
            _bus: bus,
            _display: display,
            folder,
            _turn: turn,
        };
        window.element("disclaimer");
        window
    }

    /// When the driver was asked for the window, milliseconds since 1970.
    pub fn asked_ms(&self) -> f64 {
        self.asked_ms
    }

    /// Starts the application once more on the same display and bus; returns when that process has ended.
    pub fn start_again(&self, arguments: &[&Path]) {
        let mut child = Command::new(lucency_tests::executable("lucency-app"))
            .args(arguments)
            .envs(self.environment.iter().map(|(k, v)| (k, v)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the application starts");
        let ended = wait_for(PATIENCE, || child.try_wait().ok().flatten());
        let _ = child.kill();
        let status = ended.expect("the second start hands its files over and ends");
        assert!(status.success(), "the second start ends well: {status}");
    }

    /// The element with this `data-testid`, once it is there.
    pub fn element(&self, id: &str) -> Element {
        self.selected(&format!("[data-testid=\"{id}\"]"))
    }

    /// The first element that matches, once it is there.
    pub fn selected(&self, selector: &str) -> Element {
        wait_for(PATIENCE, || self.session.find(selector).ok().flatten())
            .unwrap_or_else(|| self.give_up(&format!("{selector} never appeared")))
    }

    /// True if the element is there now.
    pub fn has(&self, id: &str) -> bool {
        let selector = format!("[data-testid=\"{id}\"]");
        matches!(self.session.find(&selector), Ok(Some(_)))
    }

    /// Waits until the page's `script` (a function body) returns something true, and returns it.
    pub fn until(&self, what: &str, script: &str) -> Value {
        wait_for(PATIENCE, || {
            let value = self.session.run(script, json!([])).ok()?;
            let done = !matches!(value, Value::Null | Value::Bool(false));
            done.then_some(value)
        })
        .unwrap_or_else(|| self.give_up(what))
    }

    /// Runs a function body in the page.
    pub fn run(&self, script: &str) -> Value {
        self.session
            .run(script, json!([]))
            .unwrap_or_else(|e| self.give_up(&e.to_string()))
    }

    /// Clicks the element with this `data-testid`.
    pub fn click(&self, id: &str) {
        let element = self.element(id);
        let clicked = wait_for(PATIENCE, || self.session.click(&element).ok());
        clicked.unwrap_or_else(|| self.give_up(&format!("{id} cannot be clicked")));
    }

    /// Types into the element with this `data-testid`.
    pub fn type_into(&self, id: &str, text: &str) {
        self.session
            .type_into(&self.element(id), text)
            .unwrap_or_else(|e| self.give_up(&e.to_string()));
    }

    /// Presses and releases each key, whatever has the focus. Special keys are WebDriver's code points.
    pub fn press(&self, keys: &str) {
        let strokes: Vec<Value> = keys
            .chars()
            .flat_map(|key| {
                ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key.to_string() }))
            })
            .collect();
        self.act(json!([{ "type": "key", "id": "keyboard", "actions": strokes }]));
    }

    /// Presses one stroke such as `Ctrl+Shift+o`, `PageUp` or `?`, as `ui/src/state/shortcuts.ts` names them.
    pub fn stroke(&self, name: &str) {
        let (held, key) = split_stroke(name);
        let action = |kind: &str, value: &str| json!({ "type": kind, "value": value });
        let strokes: Vec<Value> = held
            .iter()
            .map(|key| action("keyDown", key))
            .chain([action("keyDown", &key), action("keyUp", &key)])
            .chain(held.iter().rev().map(|key| action("keyUp", key)))
            .collect();
        self.act(json!([{ "type": "key", "id": "keyboard", "actions": strokes }]));
    }

    /// The display that the window is on.
    pub fn display(&self) -> &str {
        &self._display.name
    }

    /// Drags from the middle of the element by a way in pixels, with a button (0 left, 1 middle, 2 right).
    pub fn drag(&self, id: &str, button: u8, right: i32, down: i32) {
        let origin = self.element(id).argument();
        let step = |x: i32, y: i32| json!({ "type": "pointerMove", "duration": 60, "origin": origin, "x": x, "y": y });
        self.act(json!([{
            "type": "pointer",
            "id": "mouse",
            "parameters": { "pointerType": "mouse" },
            "actions": [
                step(0, 0),
                { "type": "pointerDown", "button": button },
                step(right / 2, down / 2),
                step(right, down),
                { "type": "pointerUp", "button": button },
            ],
        }]));
    }

    fn act(&self, sources: Value) {
        self.session
            .act(sources)
            .unwrap_or_else(|e| self.give_up(&e.to_string()));
    }

    /// The text of the element with this `data-testid`.
    pub fn text(&self, id: &str) -> String {
        let element = self.element(id);
        let text = self
            .session
            .run(
                "return arguments[0].textContent",
                json!([element.argument()]),
            )
            .unwrap_or_else(|e| self.give_up(&e.to_string()));
        text.as_str().unwrap_or_default().trim().to_owned()
    }

    /// What the viewport says that it painted last: series, frame and window.
    pub fn painted(&self) -> String {
        let script = "return document.querySelector('[data-testid=viewport-canvas]')?.dataset.painted || null";
        let painted = self.until("nothing was painted", script);
        painted.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the viewport has painted something else than `before`.
    pub fn painted_anew(&self, before: &str) -> String {
        wait_for(PATIENCE, || {
            Some(self.painted()).filter(|now| now != before)
        })
        .unwrap_or_else(|| self.give_up("the viewport painted nothing new"))
    }

    /// Waits until what the page has drawn is on the screen.
    fn settle(&self) {
        let frames = "return new Promise(done =>
            requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => done(true), 150))))";
        let _ = self.session.run(frames, json!([]));
    }

    /// The viewport's pixels as they are on the screen, in grey.
    pub fn pixels(&self) -> GrayImage {
        self.settle();
        let canvas = self.element("viewport-canvas");
        let png = self
            .session
            .screenshot_of(&canvas)
            .unwrap_or_else(|e| self.give_up(&e.to_string()));
        image::load_from_memory(&png)
            .expect("a screenshot is a PNG")
            .to_luma8()
    }

    /// Saves what the window shows.
    pub fn screenshot(&self, label: &str) {
        self.settle();
        let file = artifacts().join(format!("{}-{label}.png", self.name));
        match self.session.screenshot() {
            Ok(png) => std::fs::write(&file, png).expect("the artefact folder is writable"),
            Err(failure) => eprintln!("no screenshot: {failure}"),
        }
    }

    pub fn give_up(&self, what: &str) -> ! {
        self.screenshot("failed");
        panic!(
            "{what}; see {}",
            artifacts()
                .join(format!("{}-failed.png", self.name))
                .display()
        )
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        let _ = self.session.end();
    }
}

/// The modifiers and the key of a stroke's name, as WebDriver's code points (W3C WebDriver, 17.4.2).
fn split_stroke(name: &str) -> (Vec<String>, String) {
    let code = |part: &str| match part {
        "Ctrl" => "\u{e009}".to_owned(),
        "Shift" => "\u{e008}".to_owned(),
        "Alt" => "\u{e00a}".to_owned(),
        "Escape" => "\u{e00c}".to_owned(),
        "Space" => "\u{e00d}".to_owned(),
        "PageUp" => "\u{e00e}".to_owned(),
        "PageDown" => "\u{e00f}".to_owned(),
        "Delete" => "\u{e017}".to_owned(),
        "End" => "\u{e010}".to_owned(),
        "Home" => "\u{e011}".to_owned(),
        "ArrowLeft" => "\u{e012}".to_owned(),
        "ArrowUp" => "\u{e013}".to_owned(),
        "ArrowRight" => "\u{e014}".to_owned(),
        "ArrowDown" => "\u{e015}".to_owned(),
        "F1" => "\u{e031}".to_owned(),
        other => other.to_owned(),
    };
    if name == "+" {
        return (vec![], code(name));
    }
    let mut parts: Vec<String> = name.split('+').map(code).collect();
    let key = parts.pop().unwrap_or_default();
    (parts, key)
}

/// Where screenshots are kept: `LUCENCY_ARTIFACTS`, or a folder beside the build.
fn artifacts() -> PathBuf {
    let folder = std::env::var_os("LUCENCY_ARTIFACTS").map_or_else(
        || {
            let executable = lucency_tests::executable("lucency-app");
            executable.with_file_name("e2e-artifacts")
        },
        PathBuf::from,
    );
    std::fs::create_dir_all(&folder).expect("the artefact folder can be made");
    folder
}

/// Polls until `look` finds something, or none when time is up.
pub fn wait_for<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() > deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(60));
    }
}

/// How many pixels differ clearly, as a fraction of all.
pub fn difference(a: &GrayImage, b: &GrayImage) -> f64 {
    assert_eq!(a.dimensions(), b.dimensions(), "the viewport kept its size");
    let differing = a
        .pixels()
        .zip(b.pixels())
        .filter(|(a, b)| a.0[0].abs_diff(b.0[0]) > 8)
        .count();
    differing as f64 / a.pixels().len() as f64
}

/// Variables for the application: nothing of the user's own is read or written.
fn environment(display: &Display, bus: Option<&Bus>, folder: &Path) -> Vec<(String, String)> {
    let inside = |name: &str| {
        let path = folder.join(name);
        std::fs::create_dir_all(&path).expect("the temporary folder is writable");
        path.to_string_lossy().into_owned()
    };
    let runtime = inside("runtime");
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&runtime, private).expect("the folder is ours");
    let nowhere = format!("unix:path={}/no-bus", folder.display());
    let assets = lucency_tests::assets();
    [
        ("DISPLAY", display.name.clone()),
        ("WAYLAND_DISPLAY", String::new()),
        ("GDK_BACKEND", "x11".to_owned()),
        ("NO_AT_BRIDGE", "1".to_owned()),
        (
            "DBUS_SESSION_BUS_ADDRESS",
            bus.map_or(nowhere, |b| b.address.clone()),
        ),
        ("XDG_RUNTIME_DIR", runtime),
        ("XDG_DATA_HOME", inside("data")),
        ("XDG_CACHE_HOME", inside("cache")),
        ("XDG_CONFIG_HOME", inside("config")),
        ("LUCENCY_HOME", inside("home")),
        ("LUCENCY_ASSETS", assets.to_string_lossy().into_owned()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .to_vec()
}
