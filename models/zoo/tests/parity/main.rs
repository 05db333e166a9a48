//! Comparison with the reference implementations; the numbers lie in `tests/vectors`, each folder with its source.
#![allow(clippy::unwrap_used)]

mod clip_fresh;
mod clip_hf;
mod clip_openai;
mod clip_packed;
mod clip_quantised;
mod clip_resnet;
mod dino;
mod dino_adapted;
mod encoders;
mod mevf;
mod places;
mod preprocess;
mod qcr;
mod tokenizer;

use candle_core::{DType, Device, Tensor};
use std::collections::HashMap;
use std::path::PathBuf;

/// The path of a file in a folder of reference vectors.
fn vector(folder: &str, file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/vectors")
        .join(folder)
        .join(file)
}

/// Reference tensors.
fn tensors(folder: &str, file: &str) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(vector(folder, file), &Device::Cpu).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor
        .to_dtype(DType::F32)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap()
}

/// The largest absolute difference.
fn difference(a: &Tensor, b: &Tensor) -> f32 {
    assert_eq!(a.dims(), b.dims());
    values(a)
        .iter()
        .zip(values(b))
        .map(|(a, b)| {
            let d = (a - b).abs();
            // Not a number must not pass as no difference.
            if d.is_nan() { f32::INFINITY } else { d }
        })
        .fold(0.0, f32::max)
}

#[track_caller]
fn assert_close(what: &str, found: &Tensor, wanted: &Tensor, tolerance: f32) {
    let worst = difference(found, wanted);
    assert!(
        worst <= tolerance,
        "{what} is {worst:e} away, {tolerance:e} is allowed"
    );
}
