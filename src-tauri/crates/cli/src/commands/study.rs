//! `inspect`, `pixels`, `render`: what is in a file, without a model.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use lucency_study::{
    Frame, ImageFile, Instance, OpenOptions, OpenReport, Series, StoredValues, Study, StudyError,
    Voi, Window,
};
use serde_json::{Value, json};

use crate::output::{CommandError, Output};

/// Show studies, series and instances, and what was rejected and why
#[derive(Args)]
pub struct Inspect {
    /// A file, a folder, a zip archive or a DICOMDIR.
    path: PathBuf,
}

/// Write the exact values of one frame as a NumPy file
#[derive(Args)]
pub struct Pixels {
    /// The image.
    file: PathBuf,
    /// Frame, counted from 1.
    #[arg(long, default_value_t = 1)]
    frame: u32,
    /// Which values.
    #[arg(long, value_enum, default_value_t = Stage::Stored)]
    stage: Stage,
    /// Where to write; [rows, columns], or [rows, columns, 3] for colour.
    #[arg(long)]
    out: PathBuf,
}

/// Write one frame as an 8-bit PNG, as a screen shows it
#[derive(Args)]
pub struct Render {
    /// The image.
    file: PathBuf,
    /// Frame, counted from 1.
    #[arg(long, default_value_t = 1)]
    frame: u32,
    /// Window centre and width in modality values, as C,W; the file's own without it.
    #[arg(long, value_parser = window, allow_hyphen_values = true)]
    window: Option<Window>,
    /// Where to write.
    #[arg(long)]
    out: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Stage {
    /// Stored values in their own type; colour as RGB, palette indices as they are.
    Stored,
    /// After rescale or modality table, in double precision.
    Modality,
}

fn window(text: &str) -> Result<Window, String> {
    let wrong = || format!("'{text}' is not a centre and a width, such as 40,400");
    let (center, width) = text.split_once(',').ok_or_else(wrong)?;
    let number = |s: &str| s.trim().parse::<f64>().ok().filter(|v| v.is_finite());
    let center = number(center).ok_or_else(wrong)?;
    let width = number(width).filter(|w| *w > 0.0).ok_or_else(wrong)?;
    Ok(Window::linear(center, width))
}

fn study_error(error: &StudyError) -> CommandError {
    CommandError::new(error.code(), error.to_string())
}

fn frame(file: &Path, number: u32) -> Result<Frame, CommandError> {
    let read = || {
        let mut image = ImageFile::open_path(file)?;
        let index = number.checked_sub(1).ok_or(StudyError::FrameOutOfRange {
            frame: 0,
            frames: image.number_of_frames(),
        })?;
        image.frame(index)
    };
    read().map_err(|e| study_error(&e))
}

impl Inspect {
    /// Prints what `path` holds.
    pub fn run(self, output: Output) -> Result<(), CommandError> {
        if !self.path.exists() {
            return Err(study_error(&StudyError::NotFound));
        }
        let options = OpenOptions::default();
        let report = lucency_study::open(
            std::slice::from_ref(&self.path),
            &options,
            &|| false,
            &mut |_| {},
        );
        // One file that is not shown is an error; a folder with some of them is a report.
        if let (true, [only]) = (report.studies.is_empty(), report.rejected.as_slice())
            && only.path == self.path
        {
            return Err(CommandError::new(only.code, only.message.clone()));
        }
        output.print(&describe(&report), |_| text(&report))
    }
}

impl Pixels {
    /// Writes the values of one frame.
    pub fn run(self, output: Output) -> Result<(), CommandError> {
        let frame = frame(&self.file, self.frame)?;
        let values = match self.stage {
            Stage::Stored => frame.values.clone(),
            Stage::Modality => StoredValues::F64(frame.modality_values()),
        };
        let mut shape = vec![frame.rows, frame.columns];
        if frame.samples > 1 {
            shape.push(u32::from(frame.samples));
        }
        write(&self.out, &npy(&values, &shape))?;
        let summary = json!({
            "out": self.out, "shape": shape, "kind": values.kind(),
            "frame": self.frame, "pixel_hash": frame.pixel_hash(),
        });
        output.print(&summary, |_| {
            let sides: Vec<String> = shape.iter().map(u32::to_string).collect();
            format!(
                "{}: {} {}",
                self.out.display(),
                sides.join("×"),
                values.kind()
            )
        })
    }
}

impl Render {
    /// Writes the picture of one frame.
    pub fn run(self, output: Output) -> Result<(), CommandError> {
        let frame = frame(&self.file, self.frame)?;
        let voi = match self.window {
            Some(window) => Voi::Window(window),
            None => frame.default_voi(),
        };
        let image = frame.render_with(&voi);
        let png = image.to_png().map_err(|e| study_error(&e))?;
        write(&self.out, &png)?;
        let voi = match (frame.is_colour(), voi) {
            (true, _) => Value::Null,
            (_, Voi::Window(w)) => json!({
                "kind": "window", "center": w.center, "width": w.width, "function": w.function,
            }),
            (_, Voi::Lut(_)) => json!({ "kind": "lut" }),
        };
        let summary = json!({
            "out": self.out, "width": image.width, "height": image.height,
            "channels": image.channels, "frame": self.frame, "voi": voi,
        });
        output.print(&summary, |_| {
            format!("{}: {}×{}", self.out.display(), image.width, image.height)
        })
    }
}

/// Writes to a temporary file in the same folder, flushes, then renames.
fn write(path: &Path, bytes: &[u8]) -> Result<(), CommandError> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let store = || -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|e| e.error)?;
        Ok(())
    };
    store().map_err(|e| CommandError::new("io", format!("cannot write {}: {e}", path.display())))
}

/// A version 1.0 `.npy` file, little endian, C order.
fn npy(values: &StoredValues, shape: &[u32]) -> Vec<u8> {
    let kind = values.kind();
    let bytes = kind[1..].parse::<usize>().unwrap_or(8) / 8;
    let order = if bytes == 1 { '|' } else { '<' };
    let sides: Vec<String> = shape.iter().map(u32::to_string).collect();
    let mut header = format!(
        "{{'descr': '{order}{}{bytes}', 'fortran_order': False, 'shape': ({}), }}",
        &kind[..1],
        sides.join(", ")
    );
    // Magic, version, length and header together fill a multiple of 64 bytes.
    let unpadded = 10 + header.len() + 1;
    header.extend(std::iter::repeat_n(
        ' ',
        unpadded.next_multiple_of(64) - unpadded,
    ));
    header.push('\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.bytes());
    file.extend(values.to_le_bytes());
    file
}

fn describe(report: &OpenReport) -> Value {
    json!({
        "studies": report.studies.iter().map(describe_study).collect::<Vec<_>>(),
        "frames": report.number_of_frames(),
        "rejected": report.rejected.iter().map(|r| json!({
            "path": r.path, "code": r.code, "message": r.message,
        })).collect::<Vec<_>>(),
        "rejected_more": report.rejected_more,
    })
}

fn describe_study(study: &Study) -> Value {
    json!({
        "uid": study.uid,
        "patient": study.patient,
        "date": study.date,
        "description": study.description,
        "synthetic": study.synthetic,
        "series": study.series.iter().map(|series| json!({
            "uid": series.uid,
            "number": series.number,
            "modality": series.modality,
            "description": series.description,
            "body_part": series.body_part,
            "view": series.view,
            "frames": series.frames.len(),
            "instances": series.instances.iter().map(describe_instance).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
    })
}

fn describe_instance(instance: &Instance) -> Value {
    json!({
        "file": instance.source.path(),
        "name": instance.source.file_name(),
        "format": instance.format,
        "sop_uid": instance.sop_uid,
        "sop_class_uid": instance.sop_class_uid,
        "instance_number": instance.instance_number,
        "transfer_syntax": instance.transfer_syntax,
        "transfer_syntax_name": lucency_study::transfer_syntax_name(&instance.transfer_syntax),
        "photometric": instance.photometric,
        "rows": instance.rows,
        "columns": instance.columns,
        "samples": instance.samples,
        "bits_allocated": instance.bits_allocated,
        "bits_stored": instance.bits_stored,
        "signed": instance.signed,
        "frames": instance.number_of_frames,
        "windows": instance.voi.iter().filter_map(|v| match v.voi {
            Voi::Window(w) => Some(json!({
                "center": w.center, "width": w.width, "function": w.function, "label": v.label,
            })),
            Voi::Lut(_) => None,
        }).collect::<Vec<_>>(),
        "voi_luts": instance.voi.iter().filter(|v| matches!(v.voi, Voi::Lut(_))).count(),
        "spacing": instance.spacing,
        "position": instance.positions.first().copied().flatten(),
        "orientation": instance.orientation,
    })
}

fn text(report: &OpenReport) -> String {
    let mut lines = Vec::new();
    for study in &report.studies {
        lines.push(format!("study {}", study.uid));
        let patient = &study.patient;
        let known = [
            patient.display_name(),
            patient.id.clone(),
            patient.sex.clone(),
            patient.age.clone(),
        ];
        let known: Vec<String> = known.into_iter().flatten().collect();
        lines.push(format!("  patient      {}", or_dash(&known.join(", "))));
        lines.push(format!(
            "  date         {}",
            study.date.as_deref().unwrap_or("–")
        ));
        let description = study.description.as_deref().unwrap_or("–");
        lines.push(format!("  description  {description}"));
        study.series.iter().for_each(|s| series_text(s, &mut lines));
    }
    if !report.rejected.is_empty() {
        lines.push("rejected".into());
        for rejected in &report.rejected {
            let path = rejected.path.display();
            lines.push(format!(
                "  {path}: {} [{}]",
                rejected.message, rejected.code
            ));
        }
    }
    if report.rejected_more > 0 {
        lines.push(format!("  … and {} more", report.rejected_more));
    }
    if lines.is_empty() {
        lines.push("no files".into());
    }
    lines.join("\n")
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "–" } else { text }
}

fn series_text(series: &Series, lines: &mut Vec<String>) {
    let words = [
        Some(series.modality.as_str()),
        series.description.as_deref(),
        series.body_part.as_deref(),
        series.view.as_deref(),
    ];
    let words: Vec<&str> = words.into_iter().flatten().collect();
    let (instances, frames) = (series.instances.len(), series.frames.len());
    lines.push(format!(
        "  series {}: {instances} instances, {frames} frames",
        words.join(" · ")
    ));
    for i in &series.instances {
        let mut line = format!(
            "    {}  {}×{}×{}  {}  {} of {} bits{}  {}",
            i.source.file_name(),
            i.columns,
            i.rows,
            i.number_of_frames,
            i.photometric,
            i.bits_stored,
            i.bits_allocated,
            if i.signed { " signed" } else { "" },
            match i.transfer_syntax.as_str() {
                "" => "no transfer syntax",
                uid => lucency_study::transfer_syntax_name(uid),
            },
        );
        if let Some(Voi::Window(w)) = i.voi.first().map(|v| &v.voi) {
            line += &format!("  window {}/{}", w.center, w.width);
        }
        if let Some(spacing) = i.spacing {
            let kind = match spacing.kind {
                lucency_study::SpacingKind::Calibrated => "calibrated",
                lucency_study::SpacingKind::AtDetector => "at detector",
            };
            line += &format!("  {}×{} mm {kind}", spacing.row_mm, spacing.column_mm);
        }
        lines.push(line);
    }
}
