//! Truncated and corrupted files: never a panic, a hang, or more memory than the file could justify.
//!
//! `LUCENCY_ROBUSTNESS_SECONDS` sets the time spent on mutations (default 25).

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lucency_study::{ImageFile, OpenOptions, StudyError};

/// Counts what is allocated and remembers the most.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

#[allow(unsafe_code)]
// SAFETY: every call is passed on to the system allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(now, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(now, Ordering::Relaxed);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What a file of `bytes` bytes may take beyond what was allocated before.
fn allowance(bytes: usize) -> usize {
    (64 << 20) + 64 * bytes
}

/// Longest time one damaged file may take.
const LONGEST: Duration = Duration::from_secs(10);

/// A file that is rewritten for every case.
struct Patient {
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl Patient {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self {
            path: folder.path().join("case"),
            _folder: folder,
        }
    }

    /// Opens as a study, lists tags, decodes the first and the last frame; the outcome is how the last frame went.
    fn examine(&self, bytes: &[u8], what: &str) -> Result<(), StudyError> {
        let mut file = std::fs::File::create(&self.path).expect("a file");
        file.write_all(bytes).expect("written");
        drop(file);
        let before = NOW.load(Ordering::Relaxed);
        MOST.store(before, Ordering::Relaxed);
        let start = Instant::now();
        let report = lucency_study::open(
            std::slice::from_ref(&self.path),
            &OpenOptions::default(),
            &|| false,
            &mut |_| {},
        );
        let _ = lucency_study::tags(&lucency_study::Source::File(self.path.clone()));
        let outcome = ImageFile::open_path(&self.path).and_then(|mut image| {
            let last = image.number_of_frames() - 1;
            let first = image.frame(0).map(|frame| {
                frame.render_default();
            });
            if last > 0 {
                image.frame(last)?;
            }
            first
        });
        drop(report);
        let took = start.elapsed();
        let most = MOST.load(Ordering::Relaxed).saturating_sub(before);
        assert!(took < LONGEST, "{what} took {took:?}");
        assert!(
            most < allowance(bytes.len()),
            "{what} took {} MiB for {} KiB",
            most >> 20,
            bytes.len() >> 10
        );
        outcome
    }
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the collection")
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.is_file())
        .collect();
    paths.sort();
    let read = |p: PathBuf| {
        let name = p
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        (name, std::fs::read(&p).expect("readable"))
    };
    paths.into_iter().map(read).collect()
}

/// Offsets of every class: nothing, preamble, prefix, meta, header, start, middle and end of the pixels, last byte.
fn offsets(bytes: &[u8]) -> Vec<usize> {
    let length = bytes.len();
    let pixels = bytes
        .windows(4)
        .rposition(|w| w == [0xE0, 0x7F, 0x10, 0x00] || w == [0x7F, 0xE0, 0x00, 0x10])
        .unwrap_or(length / 2);
    let mut offsets = vec![
        0,
        1,
        64,
        130,
        132,
        140,
        160,
        400,
        pixels / 2,
        pixels,
        pixels + 6,
        pixels + 12,
        pixels + 20,
        pixels + 100,
        (pixels + length) / 2,
        length.saturating_sub(100),
        length.saturating_sub(9),
        length.saturating_sub(2),
        length.saturating_sub(1),
    ];
    offsets.retain(|o| *o < length);
    offsets
}

/// Panics that codecs caught would fill the output with backtraces.
fn quiet() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map_or("", |l| l.file());
        if place.contains("tests/") {
            eprintln!("{info}");
        }
    }));
}

#[test]
fn damaged_files_never_panic_hang_or_take_more_memory_than_they_justify() {
    let Some(folder) = common::collection() else {
        return;
    };
    quiet();
    let patient = Patient::new();
    let files = files(&folder);
    for (name, bytes) in &files {
        for offset in offsets(bytes) {
            let what = format!("{name} cut at {offset}");
            let outcome = patient.examine(&bytes[..offset], &what);
            let well_cut = bytes.len() - offset > 16;
            // Padding and trailing elements may be missed; pixels may not.
            assert!(
                outcome.is_err() || !well_cut || offset > bytes.len() / 2,
                "{what}"
            );
        }
    }
    let seconds = std::env::var("LUCENCY_ROBUSTNESS_SECONDS")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(25);
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut cases = 0;
    let seed = std::env::var("LUCENCY_ROBUSTNESS_SEED")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(7);
    let mut random = common::Random(seed);
    // Small files first in every round, so that each file gets its share of the time.
    'rounds: for round in 0.. {
        for (name, bytes) in &files {
            if Instant::now() > end {
                break 'rounds;
            }
            let mut damaged = bytes.clone();
            mutate(&mut damaged, &mut random, round);
            let what = format!("{name} mutated in round {round}");
            if std::env::var_os("LUCENCY_ROBUSTNESS_TRACE").is_some() {
                eprintln!("{what}");
            }
            let _ = patient.examine(&damaged, &what);
            cases += 1;
        }
    }
    println!("{cases} mutations of {} files", files.len());
    assert!(cases >= files.len(), "every file was mutated at least once");
}

/// Bytes anywhere, in the header, in the pixels; lengths made huge; runs of zeros and ones.
fn mutate(bytes: &mut [u8], random: &mut common::Random, round: usize) {
    if bytes.is_empty() {
        return;
    }
    let length = bytes.len();
    let header = length.min(2000);
    for _ in 0..1 + random.below(8) {
        let at = match round % 4 {
            0 => random.below(length),
            1 => 132 + random.below(header.saturating_sub(132)),
            2 => length - 1 - random.below(length / 2 + 1),
            // Around the pixel data element.
            _ => {
                let found = bytes.windows(2).rposition(|w| w == [0xE0, 0x7F]);
                found.unwrap_or(0) + random.below(200)
            }
        };
        let Some(tail) = bytes.get_mut(at..) else {
            continue;
        };
        let count = tail.len().min(1 + random.below(4));
        match random.below(4) {
            0 => tail[..count].fill(0xFF),
            1 => tail[..count].fill(0),
            2 => tail[0] ^= 1 << random.below(8),
            _ => tail[0] = random.next() as u8,
        }
    }
}

#[test]
fn hostile_sizes_are_refused_before_they_are_allocated() {
    quiet();
    let patient = Patient::new();
    let claims: [(&str, Vec<u8>); 3] = [
        (
            "native",
            common::dicom(65535, 65535, "1.2.840.10008.1.2.1", &[0; 64]),
        ),
        (
            "RLE",
            common::dicom(65535, 65535, "1.2.840.10008.1.2.5", &[1; 80]),
        ),
        (
            "JPEG 2000",
            common::dicom(
                65535,
                65535,
                "1.2.840.10008.1.2.4.90",
                &common::empty_j2k(65535),
            ),
        ),
    ];
    for (name, bytes) in claims {
        let error = patient.examine(&bytes, name).expect_err(name);
        let expected = ["truncated", "too_large", "corrupt"];
        assert!(expected.contains(&error.code()), "{name}: {error}");
    }
}
