//! Runs that are killed, paused and cut short.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use lucency_tests::units::{cases, table};
use lucency_tests::{json, lucency};
use serde_json::Value;

use super::{LABELS, on, refused, tensors};

const KILLS: u64 = 50;
/// Methods that share the kills.
const ROUNDS: [&str; 5] = ["prompt", "lora", "ia3", "prefix", "prompt"];

/// The words that begin a run of a method.
fn begin<'a>(method: &'a str, name: &'a str, data: &'a Path, table: &'a Path) -> Vec<&'a str> {
    let words = [
        "train", method, "--name", name, "--epochs", "3", "--batch", "3", "--seed", "7",
    ];
    on(&words, data, table, LABELS)
}

/// Runs of one method that are killed at different moments and end with the weights of one that was not.
struct Killed<'a> {
    home: &'a Path,
    data: &'a Path,
    table: &'a Path,
    method: &'a str,
    whole: String,
    /// Seconds of the run that was left alone.
    duration: Duration,
}

impl Killed<'_> {
    fn curve(&self, name: &str) -> Value {
        json(self.home, &["runs", "show", name])["curve"].clone()
    }

    fn state(&self, name: &str) -> Value {
        json(self.home, &["runs", "show", name])["run"]["state"].clone()
    }

    /// Begins the run, or goes on with it, and kills it after a share of its duration. True if that met it at work.
    fn kill(&self, name: &str, share: f64) -> bool {
        let folder = self.home.join("runs").join(name);
        let words = match folder.exists() {
            true => vec!["runs", "resume", name],
            false => begin(self.method, name, self.data, self.table),
        };
        let mut child = lucency(self.home)
            .args(&words)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("lucency starts");
        std::thread::sleep(self.duration.mul_f64(share));
        let met = child.try_wait().expect("a child").is_none();
        child.kill().expect("SIGKILL");
        child.wait().expect("a child");
        met
    }

    fn finish(&self, name: &str) {
        if !self.home.join("runs").join(name).exists() {
            json(self.home, &begin(self.method, name, self.data, self.table));
        } else if self.state(name) == "paused" {
            json(self.home, &["runs", "resume", name]);
        }
        assert!(
            tensors(self.home, &self.whole) == tensors(self.home, name),
            "{}: a run that was killed ends with other weights",
            self.method
        );
        assert_eq!(self.curve(&self.whole), self.curve(name), "{}", self.method);
    }
}

#[test]
fn runs_that_are_killed_fifty_times_end_with_the_same_weights() {
    let home = tempfile::tempdir().expect("a folder");
    let (home, data) = (home.path(), home.path().join("data"));
    std::fs::create_dir(&data).expect("a folder");
    let table = &table(&data, "cases.csv", &cases(&data, 1, 6));
    let (mut met, mut ended) = (0, 0);
    for (round, method) in ROUNDS.into_iter().enumerate() {
        let whole = format!("whole{round}");
        let begun = Instant::now();
        json(home, &begin(method, &whole, &data, table));
        let killed = Killed {
            home,
            data: &data,
            table,
            method,
            whole,
            duration: begun.elapsed(),
        };
        let mut name = format!("cut{round}");
        for kill in 0..KILLS / ROUNDS.len() as u64 {
            // Spread over the first two thirds: every moment of starting, stepping and writing is hit somewhere.
            let share = (kill * 37 % 50 + round as u64) as f64 / 75.0;
            if killed.kill(&name, share.max(0.01)) {
                met += 1;
            } else {
                killed.finish(&name);
                ended += 1;
                name = format!("cut{round}-{kill}");
            }
        }
        killed.finish(&name);
        ended += 1;
    }
    assert!(met >= 25, "only {met} kills met a run at work");
    assert!(ended >= ROUNDS.len(), "{ended} runs were compared");
}

#[test]
fn a_paused_run_waits_and_a_checkpoint_cut_short_is_named() {
    let home = tempfile::tempdir().expect("a folder");
    let (home, data) = (home.path(), home.path().join("data"));
    std::fs::create_dir(&data).expect("a folder");
    let table = table(&data, "cases.csv", &cases(&data, 1, 8));
    let words = [
        "train", "lora", "--name", "long", "--epochs", "200", "--batch", "4",
    ];
    let mut child = lucency(home)
        .args(on(&words, &data, &table, LABELS))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("lucency starts");
    let log = home.join("runs/long/log.jsonl");
    let begun = Instant::now();
    while std::fs::read_to_string(&log)
        .unwrap_or_default()
        .lines()
        .count()
        < 2
    {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "the run takes no step"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(
        json(home, &["runs", "show", "long"])["run"]["state"],
        "running"
    );
    refused(
        home,
        &["runs", "resume", "long"],
        "run_busy",
        "being worked on",
    );
    refused(
        home,
        &["runs", "remove", "long"],
        "run_busy",
        "being worked on",
    );
    json(home, &["runs", "pause", "long"]);
    assert!(!child.wait().expect("a child").success());
    let run = json(home, &["runs", "show", "long"])["run"].clone();
    assert_eq!(run["state"], "paused");
    assert!(run["done"].as_u64() >= Some(2), "{run}");

    let pack = home.join("runs/long/base.json");
    let good = std::fs::read_to_string(&pack).expect("which pack it is");
    let other = good.replacen(|c: char| c.is_ascii_digit(), "f", 1);
    std::fs::write(&pack, other).expect("writable");
    refused(home, &["runs", "resume", "long"], "pack_changed", "demo");
    std::fs::write(&pack, good).expect("writable");

    let weights = home.join("runs/long/checkpoint/weights.safetensors");
    let bytes = std::fs::read(&weights).expect("a checkpoint");
    std::fs::write(&weights, &bytes[..bytes.len() / 2]).expect("writable");
    refused(
        home,
        &["runs", "resume", "long"],
        "bad_checkpoint",
        "weights.safetensors",
    );
    assert_eq!(
        json(home, &["runs", "show", "long"])["run"]["state"],
        "failed"
    );
    assert_eq!(
        std::fs::read(&weights).expect("it is there").len(),
        bytes.len() / 2
    );
    json(home, &["runs", "cancel", "long"]);
    refused(
        home,
        &["runs", "resume", "long"],
        "run_cancelled",
        "start a new one",
    );
    assert!(!weights.exists(), "a cancelled run keeps no checkpoint");
}
