use crate::{assert_close, tensors, values};
use candle_core::Device;
use lucency_nn::{Mode, Weights};
use lucency_zoo::vqa::{Cdae, MamlCnn};

const FOLDER: &str = "mevf-pretrained";

#[test]
fn released_maml_weights_give_the_reference_features() {
    let (inputs, wanted) = (
        tensors(FOLDER, "inputs.safetensors"),
        tensors(FOLDER, "outputs.safetensors"),
    );
    // The release has no batch norms; a fresh store draws them as PyTorch does.
    let weights = Weights::fresh(1, &Device::Cpu).pp("maml_v_emb");
    weights
        .overlay(tensors(FOLDER, "maml.safetensors"))
        .unwrap();
    let maml = MamlCnn::load(&weights).unwrap();
    let found = maml.forward(&inputs["maml_image"], Mode::Eval).unwrap();
    assert_close("features", &found, &wanted["maml_embedding"], 1e-5);
    let late = weights
        .overlay(tensors(FOLDER, "maml.safetensors"))
        .unwrap_err();
    assert!(late.to_string().contains("maml_v_emb.conv"), "{late}");
}

#[test]
fn released_auto_encoder_weights_give_the_reference_code_and_image() {
    let (inputs, wanted) = (
        tensors(FOLDER, "inputs.safetensors"),
        tensors(FOLDER, "outputs.safetensors"),
    );
    let weights = Weights::from_tensors(tensors(FOLDER, "cdae.safetensors"), "cdae");
    let cdae = Cdae::load(&weights).unwrap();
    let image = &inputs["ae_image"];
    let code = cdae.encode(image).unwrap();
    let largest = values(&wanted["ae_code"])
        .into_iter()
        .fold(0f32, |m, v| m.max(v.abs()));
    assert_close("code", &code, &wanted["ae_code"], 1e-4 * largest.max(1e-1));
    let flat = code.flatten_from(1).unwrap().narrow(1, 0, 1100).unwrap();
    let first = &wanted["ae_code_flat_first_1100"];
    assert_close("flat code", &flat, first, 1e-4 * largest.max(1e-1));
    let decoded = cdae.decode(&code).unwrap();
    assert_close("image", &decoded, &wanted["decoder"], 1e-5);
    let mse = (decoded - image)
        .unwrap()
        .sqr()
        .unwrap()
        .mean_all()
        .unwrap();
    assert_close("squared error", &mse, &wanted["mse"], 1e-5);
}
