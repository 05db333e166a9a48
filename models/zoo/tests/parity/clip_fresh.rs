//! Models that start from nothing: they train, save and load like loaded ones.

use crate::{assert_close, values};
use candle_core::{DType, Device, Tensor};
use lucency_nn::{Mode, Weights, ops};
use lucency_zoo::clip::{
    Clip, ClipConfig, KeyLayout, Pooling, ResNetConfig, TextConfig, VisionConfig, VitConfig,
};

fn text() -> TextConfig {
    TextConfig {
        heads: 2,
        ..TextConfig::compact(50, 8, 16, 2)
    }
}

pub fn resnet() -> ClipConfig {
    ClipConfig {
        layout: KeyLayout::OpenAi,
        embed_dim: 12,
        vision: VisionConfig::ResNet(ResNetConfig::new(64, [2, 1, 1, 1], 4)),
        text: text(),
    }
}

pub fn vit(layout: KeyLayout) -> ClipConfig {
    ClipConfig {
        layout,
        embed_dim: 12,
        vision: VisionConfig::Vit(VitConfig {
            image_size: 64,
            patch_size: 16,
            width: 16,
            layers: 2,
            heads: 2,
            mlp_width: 32,
            activation: lucency_nn::Activation::QuickGelu,
            layer_norm_eps: 1e-5,
        }),
        text: text(),
    }
}

pub fn all() -> [ClipConfig; 3] {
    [
        resnet(),
        vit(KeyLayout::OpenAi),
        vit(KeyLayout::HuggingFace),
    ]
}

pub fn batch() -> (Tensor, Tensor) {
    let pixels: Vec<f32> = (0..4 * 3 * 64 * 64)
        .map(|i| ((i * 37 % 101) as f32 / 50.0 - 1.0) * ((i / 12_288 + 1) as f32 * 0.3).sin())
        .collect();
    let ids: Vec<u32> = (0..4u32)
        .flat_map(|row| [48, row + 1, row * 7 + 2, 49, 0, 0, 0, 0])
        .collect();
    (
        Tensor::from_vec(pixels, (4, 3, 64, 64), &Device::Cpu).unwrap(),
        Tensor::from_vec(ids, (4, 8), &Device::Cpu).unwrap(),
    )
}

fn loss(clip: &Clip) -> Tensor {
    let (pixels, ids) = batch();
    let images = clip.embed_images(&pixels, Mode::Train).unwrap();
    let logits = clip
        .logits(&images, &clip.embed_texts(&ids).unwrap())
        .unwrap();
    let targets = Tensor::arange(0u32, 4, &Device::Cpu).unwrap();
    ops::cross_entropy(&logits, &targets).unwrap()
}

#[test]
fn every_trainable_tensor_gets_a_gradient_and_training_lowers_the_loss() {
    for config in all() {
        let weights = Weights::fresh(3, &Device::Cpu);
        weights.train_where(|_| true).unwrap();
        let clip = Clip::load(&weights, &config).unwrap();
        let mut losses = Vec::new();
        for step in 0..12 {
            let loss = loss(&clip);
            losses.push(loss.to_scalar::<f32>().unwrap());
            let gradients = loss.backward().unwrap();
            for (key, var) in weights.vars() {
                let gradient = gradients
                    .get(&var)
                    .unwrap_or_else(|| panic!("{key} has no gradient"));
                // A residual branch that starts at zero lets gradients in from the second step; a key's bias never matters,
                // for it adds the same to all scores of a query.
                let moves = step > 0 && !key.ends_with("k_proj.bias");
                let reached = values(gradient).iter().any(|g| *g != 0.0);
                assert!(
                    reached || !moves,
                    "{key} has a gradient of zeros at step {step}"
                );
                // A sign step needs no moments and suits every scale.
                let update = (gradient.sign().unwrap() * 1e-3).unwrap();
                var.set(&(var.as_detached_tensor() - update).unwrap())
                    .unwrap();
            }
        }
        assert!(losses[11] < losses[0], "{:?} {losses:?}", config.layout);
    }
}

#[test]
fn frozen_tensors_get_no_gradient() {
    let weights = Weights::fresh(3, &Device::Cpu);
    weights
        .train_where(|key| key.starts_with("visual."))
        .unwrap();
    let clip = Clip::load(&weights, &resnet()).unwrap();
    assert!(
        weights
            .vars()
            .iter()
            .all(|(key, _)| key.starts_with("visual."))
    );
    let gradients = loss(&clip).backward().unwrap();
    assert!(gradients.get(&clip.logit_scale().unwrap()).is_none());
}

#[test]
fn a_saved_model_reads_back_as_the_live_one() {
    let folder = tempfile::tempdir().unwrap();
    for (i, config) in all().into_iter().enumerate() {
        let path = folder.path().join(format!("{i}.safetensors"));
        let weights = Weights::fresh(5, &Device::Cpu);
        let live = Clip::load(&weights, &config).unwrap();
        loss(&live);
        weights.save(&path, DType::F32).unwrap();
        let read = Clip::load(&Weights::open(&path, &Device::Cpu).unwrap(), &config).unwrap();
        let (pixels, ids) = batch();
        let encode = |clip: &Clip| clip.encode_image(&pixels, Mode::Eval).unwrap();
        assert_close("image", &encode(&read), &encode(&live), 0.0);
        let encode = |clip: &Clip| clip.encode_text(&ids).unwrap();
        assert_close("text", &encode(&read), &encode(&live), 0.0);
    }
}

#[test]
fn a_seed_gives_the_same_model_and_another_seed_another() {
    let encode = |seed| {
        let clip =
            Clip::load(&Weights::fresh(seed, &Device::Cpu), &vit(KeyLayout::OpenAi)).unwrap();
        clip.encode_text(&batch().1).unwrap()
    };
    assert_eq!(crate::difference(&encode(1), &encode(1)), 0.0);
    assert!(crate::difference(&encode(1), &encode(2)) > 0.0);
}

#[test]
fn fresh_tensors_start_as_the_original_does() {
    let weights = Weights::fresh(1, &Device::Cpu);
    Clip::load(&weights, &resnet()).unwrap();
    let tensors = weights.tensors();
    assert!(
        (tensors["logit_scale"].to_scalar::<f32>().unwrap() - (1.0f32 / 0.07).ln()).abs() < 1e-6
    );
    assert!(
        values(&tensors["visual.layer1.0.bn3.weight"])
            .iter()
            .all(|w| *w == 0.0)
    );
    let std = |key: &str| {
        let values = values(&tensors[key]);
        (values.iter().map(|v| v * v).sum::<f32>() / values.len() as f32).sqrt()
    };
    assert!((std("visual.attnpool.q_proj.weight") / 128f32.powf(-0.5) - 1.0).abs() < 0.05);
    assert!((std("transformer.resblocks.1.attn.in_proj_weight") / 0.25 - 1.0).abs() < 0.1);
    assert!((std("positional_embedding") / 0.01 - 1.0).abs() < 0.2);
}

#[test]
fn a_configuration_reads_back_as_it_was_written_and_refuses_unknown_fields() {
    for mut config in all() {
        config.text.pooling = Pooling::FirstEos { id: 7 };
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<ClipConfig>(&text).unwrap(), config);
        for at in ["{\"layout\"", "{\"vocab\"", "{\"image_size\""] {
            let more = text.replacen(at, &at.replace('{', "{\"dropout\":1,"), 1);
            assert!(more != text && serde_json::from_str::<ClipConfig>(&more).is_err());
        }
    }
}

#[test]
fn impossible_configurations_are_refused_by_field() {
    let refused = |change: &dyn Fn(&mut ClipConfig), field: &str| {
        let mut config = resnet();
        change(&mut config);
        let error = config.check().unwrap_err().to_string();
        assert!(error.contains(field), "{error}");
        assert!(Clip::load(&Weights::fresh(1, &Device::Cpu), &config).is_err());
    };
    refused(&|c| c.embed_dim = 0, "embed_dim");
    refused(&|c| c.text.heads = 3, "text.heads");
    refused(&|c| c.text.vocab = usize::MAX, "text.vocab");
    refused(&|c| c.text.layer_norm_eps = f64::NAN, "eps");
    refused(&|c| c.layout = KeyLayout::HuggingFace, "Hugging Face");
    refused(
        &|c| c.vision = VisionConfig::ResNet(ResNetConfig::new(100, [1; 4], 4)),
        "image_size",
    );
    refused(
        &|c| c.vision = VisionConfig::ResNet(ResNetConfig::new(64, [1, 1, 0, 1], 4)),
        "layers",
    );
}
