//! Every file of the DICOM collection against values that independent decoders produced, or a named refusal.

mod common;

use std::path::Path;

use lucency_study::{Frame, ImageFile, StudyError};
use serde_json::Value;
use sha2::{Digest, Sha256};

fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|b| format!("{b:02x}")).collect()
}

fn shape(frame: &Frame) -> Vec<u64> {
    let mut shape = vec![u64::from(frame.rows), u64::from(frame.columns)];
    if frame.samples > 1 {
        shape.push(u64::from(frame.samples));
    }
    shape
}

/// Differences between a frame and its expectation.
fn differences(frame: &Frame, file: &Value, expected: &Value, grid: usize) -> Vec<String> {
    let mut found = Vec::new();
    if file["shape"] != serde_json::json!(shape(frame)) {
        found.push(format!("shape {:?}", shape(frame)));
        return found;
    }
    if file["kind"] != frame.values.kind() {
        found.push(format!("kind {}", frame.values.kind()));
    }
    if let Some(stored) = expected["stored"].as_str() {
        if sha256(&frame.values.to_le_bytes()) != stored {
            found.push("stored values".into());
        }
        if let Some(modality) = expected["modality"].as_str() {
            let values = frame.modality_values();
            let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            if sha256(&bytes) != modality {
                found.push("modality values".into());
            }
        }
        return found;
    }
    let tolerance = file["tolerance"].as_f64().unwrap_or(0.0);
    let values = frame.values.to_f64();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let off = mean - expected["mean"].as_f64().expect("a mean");
    if off.abs() > 0.1 {
        found.push(format!("mean differs by {off}"));
    }
    let (rows, columns) = (frame.rows as usize, frame.columns as usize);
    let samples = usize::from(frame.samples);
    let wanted = expected["grid"].as_array().expect("a grid");
    for (place, wanted) in wanted.iter().enumerate() {
        let (cell, sample) = (place / samples, place % samples);
        let (row, column) = (cell / grid * rows / grid, cell % grid * columns / grid);
        let value = values[(row * columns + column) * samples + sample];
        let off = value - wanted.as_f64().expect("a value");
        if off.abs() > tolerance {
            found.push(format!("row {row}, column {column} differs by {off}"));
        }
    }
    found
}

/// Checks every file that `vectors` names and that lies in `folder`; how many there were, and what was wrong.
fn check(folder: &Path, vectors: &str) -> (usize, Vec<String>) {
    let expectations = common::vectors(vectors);
    let grid = expectations["grid"].as_u64().expect("a grid") as usize;
    let files = expectations["files"].as_array().expect("files");
    let mut wrong = Vec::new();
    let mut checked = 0;
    for file in files {
        let name = file["file"].as_str().expect("a name");
        let path = folder.join(name);
        if path.is_file() {
            checked += 1;
            check_file(&path, name, file, grid, &mut wrong);
        }
    }
    println!("{checked} files checked");
    (checked, wrong)
}

fn check_file(path: &Path, name: &str, file: &Value, grid: usize, wrong: &mut Vec<String>) {
    let outcome = ImageFile::open_path(path);
    if let Some(code) = file["error"].as_str() {
        let frame = outcome.and_then(|mut i| i.frame(i.number_of_frames() - 1));
        match frame {
            Err(error) if error.code() == code => {}
            other => wrong.push(format!("{name}: wanted {code}, got {:?}", other.err())),
        }
        return;
    }
    let mut image = match outcome {
        Ok(image) => image,
        Err(error) => {
            wrong.push(format!("{name}: {error}"));
            return;
        }
    };
    let frames = file["frames"].as_array().expect("frames");
    if frames.len() != image.number_of_frames() as usize {
        wrong.push(format!("{name}: {} frames", image.number_of_frames()));
    }
    for (index, expected) in frames.iter().enumerate() {
        match image.frame(index as u32) {
            Ok(frame) => {
                let found = differences(&frame, file, expected, grid);
                if !found.is_empty() {
                    let shown = &found[..found.len().min(4)];
                    wrong.push(format!("{name} frame {}: {}", index + 1, shown.join("; ")));
                }
            }
            Err(error) => wrong.push(format!("{name} frame {}: {error}", index + 1)),
        }
    }
}

#[test]
fn every_file_of_the_collection_decodes_exactly_or_is_refused_by_name() {
    let Some(folder) = common::collection() else {
        return;
    };
    let (checked, wrong) = check(&folder, "dicom/expectations.json");
    assert!(checked > 0, "the collection has none of the files");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_codec_variant_decodes_as_its_reference_does() {
    let folder = common::root().join("tests/vectors/codecs");
    let (checked, wrong) = check(&folder, "codecs/expectations.json");
    assert!(checked >= 41, "the vectors have lost files");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_frame_that_does_not_exist_is_named() {
    let Some(folder) = common::collection() else {
        return;
    };
    let mut image = ImageFile::open_path(&folder.join("emri_small.dcm")).expect("opens");
    let error = image.frame(10).expect_err("there are ten frames");
    assert_eq!(
        error,
        StudyError::FrameOutOfRange {
            frame: 11,
            frames: 10
        }
    );
}

#[test]
fn frames_decode_the_same_alone_and_after_others() {
    let Some(folder) = common::collection() else {
        return;
    };
    for name in [
        "emri_small_jpeg_ls_lossless.dcm",
        "liver_nonbyte_aligned.dcm",
    ] {
        let path = folder.join(name);
        let mut image = ImageFile::open_path(&path).expect("opens");
        let last = image.number_of_frames() - 1;
        let alone = ImageFile::open_path(&path).and_then(|mut i| i.frame(last));
        let in_turn = (0..=last).map(|f| image.frame(f)).last();
        assert_eq!(Some(alone), in_turn, "{name}");
    }
}
