use crate::{assert_close, difference, tensors, vector};
use candle_core::{Device, Tensor};
use lucency_nn::{Mode, Weights, ops};
use lucency_zoo::clip::{self, Clip, ClipConfig, KeyLayout, VisionConfig};

pub fn load(folder: &str) -> Clip {
    let weights = Weights::open(&vector(folder, "weights.safetensors"), &Device::Cpu).unwrap();
    Clip::load(&weights, &config(&weights)).unwrap()
}

/// The same for inference: read tensor by tensor and packed.
pub fn stream(folder: &str) -> Clip {
    let path = vector(folder, "weights.safetensors");
    let config = config(&Weights::open(&path, &Device::Cpu).unwrap());
    Clip::load(&Weights::stream(&path, &Device::Cpu).unwrap(), &config).unwrap()
}

fn config(weights: &Weights) -> ClipConfig {
    let mut config = ClipConfig::infer_from_openai_keys(&clip::shapes(weights)).unwrap();
    // A text tower 64 wide has one head, as the published rule says.
    assert_eq!(config.text.heads, 1);
    if let VisionConfig::ResNet(resnet) = &mut config.vision {
        assert_eq!(resnet.heads, 2);
    }
    config
}

/// Compares everything that both OpenAI folders hold, with plain and with packed weights.
pub fn compare(folder: &str) {
    compare_with(folder, &load(folder));
    compare_with(folder, &stream(folder));
}

fn compare_with(folder: &str, clip: &Clip) {
    let (inputs, wanted) = (
        tensors(folder, "inputs.safetensors"),
        tensors(folder, "outputs.safetensors"),
    );
    let image = clip.encode_image(&inputs["image"], Mode::Eval).unwrap();
    assert_close("image", &image, &wanted["encode_image"], 2e-5);
    let text = clip.encode_text(&inputs["text"]).unwrap();
    assert_close("text", &text, &wanted["encode_text"], 2e-5);
    let images = clip.embed_images(&inputs["image"], Mode::Eval).unwrap();
    let texts = clip.embed_texts(&inputs["text"]).unwrap();
    let logits = clip.logits(&images, &texts).unwrap();
    assert_close("logits", &logits, &wanted["logits_per_image"], 1e-4);
    assert_close(
        "logits of texts",
        &logits.t().unwrap(),
        &wanted["logits_per_text"],
        1e-4,
    );
    // PubMedCLIP divides by exp(0.07) and multiplies by exp(0.01).
    let scaled = (logits * (0.01f64 - 0.07).exp()).unwrap();
    assert_close(
        "scaled",
        &scaled,
        &wanted["pubmedclip_scaled_logits_per_image"],
        1e-4,
    );
    let targets = Tensor::arange(0u32, 3, &Device::Cpu).unwrap();
    let columns = scaled.t().unwrap().contiguous().unwrap();
    let loss = (ops::cross_entropy(&scaled, &targets).unwrap()
        + ops::cross_entropy(&columns, &targets).unwrap())
    .unwrap();
    assert_close(
        "loss",
        &(loss * 0.5).unwrap(),
        &wanted["pubmedclip_loss"],
        1e-4,
    );
    for i in 0..3 {
        let one = inputs["image"].narrow(0, i, 1).unwrap();
        let one = clip.encode_image(&one, Mode::Eval).unwrap();
        assert_close("single", &one, &image.narrow(0, i, 1).unwrap(), 1e-5);
    }
}

#[test]
fn vision_transformer_equals_the_reference() {
    compare("clip-vit-openai");
}

#[test]
fn less_than_a_patch_at_the_edge_is_ignored() {
    let (inputs, wanted) = (
        tensors("clip-vit-openai", "inputs.safetensors"),
        tensors("clip-vit-openai", "outputs.safetensors"),
    );
    let image = &inputs["image"];
    let fill = |shape: [usize; 4]| Tensor::full(0.3f32, &shape, &Device::Cpu).unwrap();
    let wide = Tensor::cat(&[image, &fill([3, 3, 32, 5])], 3).unwrap();
    let large = Tensor::cat(&[&wide, &fill([3, 3, 5, 37])], 2).unwrap();
    let found = load("clip-vit-openai")
        .encode_image(&large, Mode::Eval)
        .unwrap();
    assert_close("padded", &found, &wanted["encode_image_padded_to_37"], 2e-5);
}

#[test]
fn the_layout_is_told_from_the_keys() {
    for (folder, layout) in [
        ("clip-vit-hf", KeyLayout::HuggingFace),
        ("clip-vit-openai", KeyLayout::OpenAi),
        ("clip-rn-openai", KeyLayout::OpenAi),
    ] {
        let tensors = tensors(folder, "weights.safetensors");
        assert_eq!(
            KeyLayout::detect(tensors.keys().map(String::as_str)),
            Some(layout)
        );
    }
    assert_eq!(KeyLayout::detect(["conv1.weight"]), None);
}

#[test]
fn tensors_of_another_model_are_refused_by_name() {
    let weights =
        Weights::open(&vector("clip-vit-hf", "weights.safetensors"), &Device::Cpu).unwrap();
    let error = ClipConfig::infer_from_openai_keys(&clip::shapes(&weights)).unwrap_err();
    assert!(
        error.to_string().contains("token_embedding.weight"),
        "{error}"
    );
}

#[test]
fn texts_of_any_padding_embed_alike() {
    let inputs = tensors("clip-vit-openai", "inputs.safetensors");
    let clip = load("clip-vit-openai");
    let text = &inputs["text"];
    let rows = text.to_vec2::<i64>().unwrap();
    let whole = clip.encode_text(text).unwrap();
    for (i, row) in rows.iter().enumerate() {
        let largest = row.iter().max();
        let end = row.iter().position(|id| Some(id) == largest).unwrap() + 1;
        let short = text.narrow(0, i, 1).unwrap().narrow(1, 0, end).unwrap();
        let found = clip.encode_text(&short).unwrap();
        assert!(difference(&found, &whole.narrow(0, i, 1).unwrap()) < 1e-5);
    }
}
