//! A WebDriver client for one session (W3C WebDriver, section numbers in the comments).

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use serde_json::{Value, json};

/// The key under which an element's reference travels, 12.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Longer than any one command may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Why a command failed: the protocol's error word and the driver's message.
#[derive(Debug, Clone)]
pub struct Failure {
    pub word: String,
    pub message: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.word, self.message)
    }
}

type Result<T> = std::result::Result<T, Failure>;

fn lost(what: impl std::fmt::Display) -> Failure {
    Failure {
        word: "connection".to_owned(),
        message: what.to_string(),
    }
}

/// A running session.
pub struct Session {
    port: u16,
    path: String,
}

/// A reference to an element of the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element(String);

impl Session {
    /// Starts `application` with `arguments` under the driver that listens on `port`, 8.1.
    pub fn start(port: u16, application: &Path, arguments: &[String]) -> Result<Self> {
        let body = json!({ "capabilities": { "alwaysMatch": {
            "tauri:options": { "application": application, "args": arguments },
        } } });
        let reply = request(port, "POST", "/session", Some(&body))?;
        let id = reply["sessionId"]
            .as_str()
            .ok_or_else(|| lost(format!("no session in {reply}")))?;
        Ok(Self {
            port,
            path: format!("/session/{id}"),
        })
    }

    fn post(&self, path: &str, body: Value) -> Result<Value> {
        request(
            self.port,
            "POST",
            &format!("{}{path}", self.path),
            Some(&body),
        )
    }

    fn get(&self, path: &str) -> Result<Value> {
        request(self.port, "GET", &format!("{}{path}", self.path), None)
    }

    /// Ends the session, which closes the application, 8.2.
    pub fn end(&self) -> Result<()> {
        request(self.port, "DELETE", &self.path, None).map(|_| ())
    }

    /// The first element that matches a CSS selector, if any, 12.3.2.
    pub fn find(&self, selector: &str) -> Result<Option<Element>> {
        let body = json!({ "using": "css selector", "value": selector });
        match self.post("/element", body) {
            Ok(value) => {
                let id = value[ELEMENT].as_str().ok_or_else(|| lost("no element"))?;
                Ok(Some(Element(id.to_owned())))
            }
            Err(failure) if failure.word == "no such element" => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Clicks in the element's middle, 12.5.1.
    pub fn click(&self, element: &Element) -> Result<()> {
        self.post(&format!("/element/{}/click", element.0), json!({}))
            .map(|_| ())
    }

    /// Types into an element, 12.5.3.
    pub fn type_into(&self, element: &Element, text: &str) -> Result<()> {
        self.post(
            &format!("/element/{}/value", element.0),
            json!({ "text": text }),
        )
        .map(|_| ())
    }

    /// Runs a function body in the page, 13.2.1.
    pub fn run(&self, script: &str, arguments: Value) -> Result<Value> {
        self.post(
            "/execute/sync",
            json!({ "script": script, "args": arguments }),
        )
    }

    /// Performs input actions, 15.7, and releases what is still pressed.
    pub fn act(&self, sources: Value) -> Result<()> {
        self.post("/actions", json!({ "actions": sources }))?;
        request(self.port, "DELETE", &format!("{}/actions", self.path), None).map(|_| ())
    }

    /// A PNG of the page, 17.1.
    pub fn screenshot(&self) -> Result<Vec<u8>> {
        decode(&self.get("/screenshot")?)
    }

    /// A PNG of one element, 17.2.
    pub fn screenshot_of(&self, element: &Element) -> Result<Vec<u8>> {
        decode(&self.get(&format!("/element/{}/screenshot", element.0))?)
    }
}

impl Element {
    /// The reference as an argument of a script.
    pub fn argument(&self) -> Value {
        json!({ ELEMENT: self.0 })
    }
}

fn decode(value: &Value) -> Result<Vec<u8>> {
    base64::engine::general_purpose::STANDARD
        .decode(value.as_str().unwrap_or_default())
        .map_err(lost)
}

/// One HTTP/1.1 exchange; returns the `value` of the reply, 6.3.
fn request(port: u16, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
    let body = body.map(Value::to_string).unwrap_or_default();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\
         Content-Type: application/json; charset=utf-8\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let message = head + &body;
    // The driver's proxy at times drops a connection before it passes the request on.
    let mut reply = exchange(port, &message)?;
    for _ in 0..3 {
        if !reply.is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
        reply = exchange(port, &message)?;
    }
    let value = value_of(&reply)?;
    match value["error"].as_str() {
        Some(word) => Err(Failure {
            word: word.to_owned(),
            message: value["message"].as_str().unwrap_or_default().to_owned(),
        }),
        None => Ok(value),
    }
}

/// Sends a request on a connection of its own and returns everything that comes back.
fn exchange(port: u16, message: &str) -> Result<Vec<u8>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).map_err(lost)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(lost)?;
    stream.write_all(message.as_bytes()).map_err(lost)?;
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).map_err(lost)?;
    Ok(reply)
}

/// The JSON `value` in a whole reply; chunked bodies are joined.
fn value_of(reply: &[u8]) -> Result<Value> {
    let end = reply
        .windows(4)
        .position(|w| w == b"\r\n\r\n")
        .ok_or_else(|| lost("the reply has no body"))?;
    let head = String::from_utf8_lossy(&reply[..end]).to_lowercase();
    let mut body = reply[end + 4..].to_vec();
    if head.contains("transfer-encoding: chunked") {
        body = join_chunks(&body)?;
    }
    let mut json: Value = serde_json::from_slice(&body).map_err(|e| {
        let text = String::from_utf8_lossy(&body).into_owned();
        lost(format!("{e} in {text:?}"))
    })?;
    Ok(json["value"].take())
}

fn join_chunks(mut rest: &[u8]) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest
            .windows(2)
            .position(|w| w == b"\r\n")
            .ok_or_else(|| lost("a chunk has no length"))?;
        let digits = String::from_utf8_lossy(&rest[..line]);
        let length = usize::from_str_radix(digits.trim(), 16).map_err(lost)?;
        rest = &rest[line + 2..];
        if length == 0 {
            return Ok(body);
        }
        let chunk = rest.get(..length).ok_or_else(|| lost("a chunk is short"))?;
        body.extend_from_slice(chunk);
        rest = rest.get(length + 2..).unwrap_or_default();
    }
}
