//! `lucency bench decoding`: from a file on disk to the stored values of its first frame, for each compressed file.
//!
//! With one file and `--serve` it speaks the protocol for comparisons of [`super::bench_serve`].

use std::path::{Path, PathBuf};

use clap::Args;
use lucency_study::{
    Format, Frame, ImageFile, Instance, OpenOptions, Source, StudyError, transfer_syntax_name,
};
use serde::Serialize;

use super::bench::{Machine, machine, median};
use super::bench_serve::serve;
use crate::output::{CommandError, Output};

/// Times each file is decoded.
const RUNS: usize = 9;

/// `lucency bench decoding`
#[derive(Args)]
pub struct BenchDecoding {
    /// Files and folders; uncompressed images are passed over
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Decode the one file as often as each line of standard input says, for `tests/peers/decoding.py`
    #[arg(long)]
    serve: bool,
}

/// One file.
#[derive(Serialize)]
struct Timed {
    file: String,
    transfer_syntax: String,
    rows: u32,
    columns: u32,
    samples: u16,
    bits: u16,
    /// Median, file opened anew each time.
    median_ms: f64,
    /// Stored values a second, in millions.
    megasamples_per_s: f64,
}

/// What was measured.
#[derive(Serialize)]
struct Measured {
    machine: Machine,
    runs: usize,
    files: Vec<Timed>,
    /// Compressed files that do not decode, and why.
    refused: Vec<Refused>,
}

#[derive(Serialize)]
struct Refused {
    file: String,
    reason: String,
}

impl BenchDecoding {
    /// Measures and prints.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        if self.serve {
            let [file] = self.paths.as_slice() else {
                return Err(CommandError::new("bad_request", "--serve takes one file"));
            };
            return serve(
                || decode(file).map_err(failed),
                std::io::stdin().lock(),
                std::io::stdout().lock(),
            );
        }
        let report =
            lucency_study::open(&self.paths, &OpenOptions::default(), &|| false, &mut |_| {});
        let series = report.studies.iter().flat_map(|s| &s.series);
        let mut measured = Measured {
            machine: machine(),
            runs: RUNS,
            files: Vec::new(),
            refused: Vec::new(),
        };
        for instance in series.flat_map(|s| &s.instances) {
            let Source::File(path) = &instance.source else {
                continue;
            };
            if !is_compressed(instance) {
                continue;
            }
            match decode(path) {
                Ok(_) => measured.files.push(timed(path, instance)?),
                Err(error) => measured.refused.push(Refused {
                    file: name(path),
                    reason: error.to_string(),
                }),
            }
        }
        measured.files.sort_by(|a, b| {
            let key = |t: &Timed| (t.transfer_syntax.clone(), t.file.clone());
            key(a).cmp(&key(b))
        });
        output.print(&measured, text)
    }
}

/// Neither plain nor deflated as a whole.
fn is_compressed(instance: &Instance) -> bool {
    let uid = instance.transfer_syntax.as_str();
    instance.format == Format::Dicom
        && (uid.starts_with("1.2.840.10008.1.2.4.") || uid == "1.2.840.10008.1.2.5")
}

fn decode(path: &Path) -> Result<Frame, StudyError> {
    ImageFile::open_path(path)?.frame(0)
}

fn failed(error: StudyError) -> CommandError {
    CommandError::new(error.code(), error.to_string())
}

fn timed(path: &Path, instance: &Instance) -> Result<Timed, CommandError> {
    let median_ms = median(RUNS, |_| {
        std::hint::black_box(decode(path).map_err(failed)?);
        Ok(())
    })?;
    let pixels = f64::from(instance.rows) * f64::from(instance.columns);
    Ok(Timed {
        file: name(path),
        transfer_syntax: transfer_syntax_name(&instance.transfer_syntax).to_owned(),
        rows: instance.rows,
        columns: instance.columns,
        samples: instance.samples,
        bits: instance.bits_stored,
        median_ms,
        megasamples_per_s: pixels * f64::from(instance.samples) / median_ms / 1000.0,
    })
}

fn name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn text(m: &Measured) -> String {
    let mut lines = vec![format!(
        "{}, {} threads, {}",
        m.machine.cpu, m.machine.threads, m.machine.build
    )];
    for t in &m.files {
        lines.push(format!(
            "{:32} {:5} × {:<5} {:8.2} ms {:7.1} M/s  {}",
            t.file, t.columns, t.rows, t.median_ms, t.megasamples_per_s, t.transfer_syntax
        ));
    }
    for refused in &m.refused {
        lines.push(format!("{:32} refused: {}", refused.file, refused.reason));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compressed_vectors_are_timed_and_plain_ones_passed_over() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/vectors/codecs");
        let file = folder.join("jpeg_lossless_rgb.dcm");
        let options = OpenOptions::default();
        let report = lucency_study::open(
            std::slice::from_ref(&file),
            &options,
            &|| false,
            &mut |_| {},
        );
        let instance = &report.studies[0].series[0].instances[0];
        assert!(is_compressed(instance));
        let timed = timed(&file, instance).unwrap();
        assert_eq!(
            (timed.samples, timed.file.as_str()),
            (3, "jpeg_lossless_rgb.dcm")
        );
        assert!(timed.median_ms > 0.0 && timed.megasamples_per_s > 0.0);
        let plain = Instance {
            transfer_syntax: "1.2.840.10008.1.2.1".into(),
            ..instance.clone()
        };
        assert!(!is_compressed(&plain));
    }
}
