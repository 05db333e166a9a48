//! `lucency bench`: how fast this machine opens, scrolls, asks and finds. Measured, never asserted.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use clap::{Args, Subcommand};
use lucency_assistant::{Assistant, Options, Picture, assets};
use serde::Serialize;

use super::assist::{PackChoice, open};
use crate::output::{CommandError, Output};

/// Runs of each warm measure; the median counts.
const RUNS: usize = 15;
/// Slices of the scrolling series.
const SLICES: usize = 500;

/// `lucency bench`
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Bench {
    #[command(subcommand)]
    only: Option<Only>,
    /// Folder with a study to measure on [default: the demo study]
    #[arg(long, value_name = "DIR")]
    study: Option<PathBuf>,
    #[command(flatten)]
    pack: PackChoice,
}

/// One part of the application on its own.
#[derive(Subcommand)]
enum Only {
    /// Time the decoding of compressed DICOM files
    Decoding(super::bench_decoding::BenchDecoding),
    /// Time searches in a large library of synthetic vectors
    Library(super::bench_library::BenchLibrary),
    /// Time published architectures at their real sizes
    Models(super::bench_models::BenchModels),
    /// Time a step of fine-tuning, full and low-rank, and a probe
    Train(super::bench_train::BenchTrain),
    /// Time training of the question-answering network, and asking
    Vqa(super::bench_vqa::BenchVqa),
}

/// What was measured. Times are milliseconds, medians unless the name says otherwise.
#[derive(Serialize)]
struct Measured {
    machine: Machine,
    runs: usize,
    /// From path to 8-bit pixels of a 512 × 512 CT slice.
    open_ct_512_ms: f64,
    /// From path to 8-bit pixels of a radiograph of 2500 pixels' short side.
    open_radiograph_2500_ms: f64,
    /// Decoding and windowing one of 500 slices in turn: frames a second.
    scroll_500_slices_frames_per_s: f64,
    /// Longest of those frames.
    scroll_slowest_frame_ms: f64,
    /// Opening the pack: verifying its hashes and loading its networks.
    open_pack_ms: f64,
    /// `lucency ask` as a process of its own.
    ask_cold_process_ms: f64,
    /// `lucency findings` as a process of its own.
    findings_cold_process_ms: f64,
    /// A question on an image that was not seen before.
    ask_warm_new_image_ms: f64,
    /// A new question on the same image.
    ask_warm_same_image_ms: f64,
    /// Findings on an image that was not seen before.
    findings_warm_ms: f64,
    /// Largest resident memory of this process, MiB.
    peak_memory_mib: Option<f64>,
    /// Largest resident memory of the cold `lucency ask`, MiB.
    ask_process_peak_memory_mib: Option<f64>,
}

/// Where it was measured.
#[derive(Serialize)]
pub(super) struct Machine {
    pub(super) cpu: String,
    pub(super) threads: usize,
    os: String,
    pub(super) build: &'static str,
}

impl Bench {
    /// Measures and prints.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        match &self.only {
            Some(Only::Decoding(decoding)) => return decoding.run(output),
            Some(Only::Library(library)) => return library.run(output),
            Some(Only::Models(models)) => return models.run(output),
            Some(Only::Train(train)) => return train.run(output),
            Some(Only::Vqa(vqa)) => return vqa.run(output),
            None => {}
        }
        let scratch = tempfile::tempdir().map_err(io)?;
        let ct = scratch.path().join("ct");
        let film = scratch.path().join("film");
        crate::sample::ct_series(&ct, 512, SLICES)?;
        let film = crate::sample::radiograph(&film, 2500)?;
        let slices = files(&ct)?;

        let open_ct = median(RUNS, |i| open(&slices[i % slices.len()], 1).map(drop))?;
        let open_film = median(5, |_| open(&film, 1).map(drop))?;
        let mut slowest = 0f64;
        let begun = Instant::now();
        for slice in &slices {
            let one = Instant::now();
            open(slice, 1)?;
            slowest = slowest.max(ms(one));
        }
        let scroll = slices.len() as f64 / begun.elapsed().as_secs_f64();

        let study = match &self.study {
            Some(study) => study.clone(),
            None => assets::demo_study(&assets::find()?),
        };
        let file = files(&study)?.into_iter().next().ok_or_else(|| {
            CommandError::new("not_found", "the study to measure on has no files")
        })?;
        let question = "Is there a pleural effusion?";
        let (ask_cold, ask_memory) = cold(&["ask", "--question", question], &file)?;
        let (findings_cold, _) = cold(&["findings"], &file)?;

        let begun = Instant::now();
        let assistant = self.pack.open()?;
        let open_pack = ms(begun);
        let now = jiff::Timestamp::now;
        let picture = open(&file, 1)?;
        assistant.ask(&picture, question, now())?;
        assistant.findings(&picture, None, now())?;
        let ask_same = median(RUNS, |i| {
            let question = format!("Is there a pleural effusion on film {i}?");
            Ok(assistant.ask(&picture, &question, now()).map(drop)?)
        })?;
        // A store of its own, so that no embedding comes from an earlier run's disk.
        let fresh = fresh_assistant(&assistant, scratch.path())?;
        fresh.ask(&picture, question, now())?;
        let ask_new = median(RUNS, |i| {
            Ok(fresh
                .ask(&changed(&picture, i), question, now())
                .map(drop)?)
        })?;
        fresh.findings(&picture, None, now())?;
        let findings = median(RUNS, |i| {
            Ok(fresh
                .findings(&changed(&picture, 100 + i), None, now())
                .map(drop)?)
        })?;

        let measured = Measured {
            machine: machine(),
            runs: RUNS,
            open_ct_512_ms: open_ct,
            open_radiograph_2500_ms: open_film,
            scroll_500_slices_frames_per_s: scroll,
            scroll_slowest_frame_ms: slowest,
            open_pack_ms: open_pack,
            ask_cold_process_ms: ask_cold,
            findings_cold_process_ms: findings_cold,
            ask_warm_new_image_ms: ask_new,
            ask_warm_same_image_ms: ask_same,
            findings_warm_ms: findings,
            peak_memory_mib: status_mib("VmHWM:"),
            ask_process_peak_memory_mib: ask_memory,
        };
        output.print(&measured, text)
    }
}

/// The same pack with an empty cache.
pub(super) fn fresh_assistant(
    assistant: &Assistant,
    scratch: &Path,
) -> Result<Assistant, CommandError> {
    let standard = crate::computing::options(None)?;
    Ok(Assistant::open(Options {
        home: scratch.join("home"),
        pack: Some(assistant.pack().dir().display().to_string()),
        ..standard
    })?)
}

/// The picture with one pixel changed and a hash of its own: never seen before.
pub(super) fn changed(picture: &Picture, i: usize) -> Picture {
    let mut picture = picture.clone();
    let n = picture.image.data.len();
    picture.image.data[i % n] ^= 1;
    picture.pixel_hash = format!("bench-{i}");
    picture
}

/// Runs this program as a process of its own, three times: median milliseconds and largest resident memory.
fn cold(arguments: &[&str], file: &Path) -> Result<(f64, Option<f64>), CommandError> {
    let program = std::env::current_exe().map_err(io)?;
    let home = tempfile::tempdir().map_err(io)?;
    let memory = home.path().join("memory");
    let time = median(3, |_| {
        let (command, rest) = arguments.split_first().unwrap_or((&"", &[]));
        let status = Command::new(&program)
            .arg(command)
            .arg(file)
            .args(rest)
            .env("LUCENCY_HOME", home.path())
            .env("LUCENCY_REPORT_MEMORY", &memory)
            .stdout(Stdio::null())
            .status()
            .map_err(io)?;
        match status.success() {
            true => Ok(()),
            false => Err(CommandError::new(
                "bench",
                format!("lucency {command} failed"),
            )),
        }
    })?;
    let peak = std::fs::read_to_string(&memory)
        .ok()
        .and_then(|t| t.trim().parse().ok());
    Ok((time, peak))
}

/// Writes the peak memory where `LUCENCY_REPORT_MEMORY` says, at the end of a command.
pub fn report_memory() {
    if let (Some(path), Some(peak)) = (
        std::env::var_os("LUCENCY_REPORT_MEMORY"),
        status_mib("VmHWM:"),
    ) {
        // Only a benchmark reads it; without it the figure is missing.
        let _ = std::fs::write(path, peak.to_string());
    }
}

pub(super) fn median(
    runs: usize,
    mut run: impl FnMut(usize) -> Result<(), CommandError>,
) -> Result<f64, CommandError> {
    let mut times = Vec::with_capacity(runs);
    for i in 0..runs {
        let begun = Instant::now();
        run(i)?;
        times.push(ms(begun));
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

pub(super) fn ms(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1000.0
}

/// A figure of `/proc/self/status` in MiB, where there is one.
pub(super) fn status_mib(field: &str) -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with(field))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024.0)
}

pub(super) fn machine() -> Machine {
    let cpu = std::fs::read_to_string("/proc/cpuinfo")
        .ok()
        .and_then(|t| {
            let line = t.lines().find(|l| l.starts_with("model name"))?;
            Some(line.split(':').nth(1)?.trim().to_owned())
        })
        .unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    Machine {
        cpu,
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        os: std::env::consts::OS.to_owned(),
        build: if cfg!(debug_assertions) {
            "debug assertions on"
        } else {
            "release"
        },
    }
}

/// The files of a folder and its subfolders, sorted.
pub(super) fn files(folder: &Path) -> Result<Vec<PathBuf>, CommandError> {
    let mut files = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).map_err(io)? {
            let path = entry.map_err(io)?.path();
            if path.is_dir() {
                open.push(path);
            } else if path
                .extension()
                .is_some_and(|e| e.eq_ignore_ascii_case("dcm"))
            {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn io(error: std::io::Error) -> CommandError {
    CommandError::new("io", error.to_string())
}

fn text(m: &Measured) -> String {
    let value = serde_json::to_value(m).unwrap_or_default();
    let Some(fields) = value.as_object() else {
        return String::new();
    };
    let mut lines = vec![format!(
        "{}, {} threads, {}",
        m.machine.cpu, m.machine.threads, m.machine.build
    )];
    for (name, value) in fields.iter().filter(|(name, _)| *name != "machine") {
        if let Some(number) = value.as_f64() {
            lines.push(format!("{name:34} {number:10.1}"));
        }
    }
    lines.join("\n")
}
