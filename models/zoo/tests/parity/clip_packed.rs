//! Networks that were loaded for inference against the same networks as they are trained.

use candle_core::{Device, Var};
use lucency_nn::{Mode, NnError, Weights};
use lucency_zoo::clip::Clip;

use crate::clip_openai::{load, stream};
use crate::{assert_close, tensors, vector};

const FOLDERS: [&str; 2] = ["clip-vit-openai", "clip-rn-openai"];

#[test]
fn gradients_behind_packed_layers_equal_those_behind_plain_ones() {
    for folder in FOLDERS {
        let inputs = tensors(folder, "inputs.safetensors");
        let gradient = |clip: &Clip| {
            let pixels = Var::from_tensor(&inputs["image"]).unwrap();
            let image = clip.encode_image(&pixels, Mode::Eval).unwrap();
            let loss = image.sqr().unwrap().sum_all().unwrap();
            loss.backward().unwrap().get(&pixels).unwrap().clone()
        };
        let (plain, packed) = (gradient(&load(folder)), gradient(&stream(folder)));
        assert_close(folder, &packed, &plain, 1e-4);
    }
}

#[test]
fn a_network_for_inference_refuses_to_be_trained() {
    let inputs = tensors("clip-rn-openai", "inputs.safetensors");
    let refused = stream("clip-rn-openai").encode_image(&inputs["image"], Mode::Train);
    let message = refused.unwrap_err().to_string();
    assert!(message.contains("inference"), "{message}");
}

#[test]
fn a_file_that_is_cut_short_or_is_something_else_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let whole = std::fs::read(vector(FOLDERS[0], "weights.safetensors")).unwrap();
    for bytes in [&whole[..whole.len() - 1], &whole[..40], b"GIF89a..", b""] {
        std::fs::write(&path, bytes).unwrap();
        let refused = Weights::stream(&path, &Device::Cpu).map(|_| ());
        assert!(matches!(refused, Err(NnError::Read { .. })), "{refused:?}");
    }
    std::fs::remove_file(&path).unwrap();
    assert!(Weights::stream(&path, &Device::Cpu).is_err());
}

#[test]
fn a_missing_tensor_is_named_when_a_layer_asks() {
    let path = vector(FOLDERS[0], "weights.safetensors");
    let weights = Weights::stream(&path, &Device::Cpu).unwrap();
    let config = stream(FOLDERS[1]).config().clone();
    let message = Clip::load(&weights, &config).unwrap_err().to_string();
    assert!(
        message.contains("visual.") && message.contains("weights.safetensors"),
        "{message}"
    );
}
