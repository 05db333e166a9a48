use crate::{assert_close, difference, tensors, values, vector};
use candle_core::{Device, Tensor, backprop::GradStore};
use lucency_nn::{Mode, NnError, Weights, ops};
use lucency_zoo::ZooError;
use lucency_zoo::clip::{Clip, ClipConfig, Pooling};
use std::collections::{BTreeMap, HashMap};

const FOLDER: &str = "clip-vit-hf";

fn config() -> ClipConfig {
    let text = std::fs::read_to_string(vector(FOLDER, "config.json")).unwrap();
    ClipConfig::from_hf_config_json(&text).unwrap()
}

fn weights() -> Weights {
    Weights::open(&vector(FOLDER, "weights.safetensors"), &Device::Cpu).unwrap()
}

fn trainable() -> (Clip, Weights) {
    let weights = weights();
    weights.train_where(|_| true).unwrap();
    (Clip::load(&weights, &config()).unwrap(), weights)
}

/// The mean of the two cross-entropies, images to texts and texts to images.
fn loss(clip: &Clip, inputs: &HashMap<String, Tensor>) -> (Tensor, Tensor) {
    let images = clip
        .embed_images(&inputs["pixel_values_loss"], Mode::Train)
        .unwrap();
    let texts = clip.embed_texts(&inputs["input_ids"]).unwrap();
    let logits = clip.logits(&images, &texts).unwrap();
    let targets = Tensor::arange(0u32, 4, &Device::Cpu).unwrap();
    let rows = ops::cross_entropy(&logits, &targets).unwrap();
    let columns = ops::cross_entropy(&logits.t().unwrap().contiguous().unwrap(), &targets).unwrap();
    (((rows + columns).unwrap() * 0.5).unwrap(), logits)
}

#[test]
fn embeddings_and_logits_equal_the_reference() {
    let (inputs, wanted) = (
        tensors(FOLDER, "inputs.safetensors"),
        tensors(FOLDER, "outputs.safetensors"),
    );
    let clip = Clip::load(&weights(), &config()).unwrap();
    let (pixels, ids) = (&inputs["pixel_values"], &inputs["input_ids"]);
    let inside = clip.image_activations(pixels, Mode::Eval).unwrap();
    assert_close(
        "last image block",
        &inside[0],
        &wanted["vision_last_hidden_state"],
        1e-5,
    );
    assert_close(
        "pooled image",
        &inside[1],
        &wanted["vision_pooler_output"],
        1e-5,
    );
    let (states, pooled) = clip.text_activations(ids).unwrap();
    assert_close(
        "text states",
        &states,
        &wanted["text_last_hidden_state"],
        1e-5,
    );
    assert_close("pooled text", &pooled, &wanted["text_pooler_output"], 1e-5);
    let image = clip.encode_image(pixels, Mode::Eval).unwrap();
    assert_close("image", &image, &wanted["image_embeds_pre"], 1e-5);
    let text = clip.encode_text(ids).unwrap();
    assert_close("text", &text, &wanted["text_embeds_pre"], 1e-5);
    assert_close(
        "masked text",
        &text,
        &wanted["masked.text_embeds_pre"],
        1e-5,
    );
    let images = clip.embed_images(pixels, Mode::Eval).unwrap();
    assert_close("unit image", &images, &wanted["image_embeds"], 1e-5);
    let texts = clip.embed_texts(ids).unwrap();
    assert_close("unit text", &texts, &wanted["text_embeds"], 1e-5);
    let logits = clip.logits(&images, &texts).unwrap();
    assert_close("logits", &logits, &wanted["logits_per_image"], 1e-4);
}

#[test]
fn pooling_at_the_first_end_token_equals_the_reference() {
    let (inputs, wanted) = (
        tensors(FOLDER, "inputs.safetensors"),
        tensors(FOLDER, "outputs.safetensors"),
    );
    let mut config = config();
    assert_eq!(
        config.text.pooling,
        Pooling::LargestId,
        "eos_token_id 2 is the legacy mark"
    );
    config.text.pooling = Pooling::FirstEos { id: 999 };
    let clip = Clip::load(&weights(), &config).unwrap();
    let text = clip.encode_text(&inputs["input_ids"]).unwrap();
    assert_close("text", &text, &wanted["eos999.text_embeds_pre"], 1e-5);
    let row = |t: &Tensor| t.get(3).unwrap();
    assert!(
        difference(&row(&text), &row(&wanted["text_embeds_pre"])) > 1e-3,
        "the rules differ there"
    );
}

#[test]
fn loss_and_gradients_equal_the_reference() {
    let (inputs, wanted) = (
        tensors(FOLDER, "inputs.safetensors"),
        tensors(FOLDER, "outputs.safetensors"),
    );
    let (clip, weights) = trainable();
    let (loss, logits) = loss(&clip, &inputs);
    assert_close("logits", &logits, &wanted["loss_logits_per_image"], 1e-4);
    assert_close("loss", &loss, &wanted["loss"], 1e-5);
    let gradients = loss.backward().unwrap();
    let mut compared = 0;
    for (key, var) in weights.vars() {
        let gradient = gradients
            .get(&var)
            .unwrap_or_else(|| panic!("{key} has no gradient"));
        assert!(
            values(gradient).iter().any(|g| *g != 0.0),
            "{key} has a gradient of zeros"
        );
        if let Some(wanted) = wanted.get(&format!("grad.{key}")) {
            let largest = values(wanted).iter().fold(0f32, |a, b| a.max(b.abs()));
            assert_close(&key, gradient, wanted, 1e-5 * largest);
            compared += 1;
        }
    }
    assert_eq!(compared, 8);
    let expected = weights
        .tensors()
        .keys()
        .filter(|k| !k.ends_with("position_ids"))
        .count();
    assert_eq!(
        weights.vars().len(),
        expected,
        "all tensors of the file are trained"
    );
}

/// AdamW as PyTorch computes it, with the constants of `config.json`.
#[derive(Default)]
struct AdamW {
    moments: BTreeMap<String, (Tensor, Tensor)>,
    step: i32,
}

impl AdamW {
    fn step(&mut self, weights: &Weights, gradients: &GradStore) {
        let (rate, decay, eps, beta1, beta2) = (1e-3, 0.01, 1e-6, 0.9f64, 0.98f64);
        self.step += 1;
        let (bias1, bias2) = (1.0 - beta1.powi(self.step), 1.0 - beta2.powi(self.step));
        for (key, var) in weights.vars() {
            let g = gradients.get(&var).unwrap().detach();
            let zeros = || (g.zeros_like().unwrap(), g.zeros_like().unwrap());
            let (m, v) = self.moments.remove(&key).unwrap_or_else(zeros);
            let m = ((m * beta1).unwrap() + (&g * (1.0 - beta1)).unwrap()).unwrap();
            let squares = (g.sqr().unwrap() * (1.0 - beta2)).unwrap();
            let v = ((v * beta2).unwrap() + squares).unwrap();
            let spread = ((v.sqrt().unwrap() / bias2.sqrt()).unwrap() + eps).unwrap();
            let update = ((&m / spread).unwrap() * (rate / bias1)).unwrap();
            let decayed = (var.as_detached_tensor() * (1.0 - rate * decay)).unwrap();
            var.set(&(decayed - update).unwrap()).unwrap();
            self.moments.insert(key, (m, v));
        }
    }
}

#[test]
fn parameters_after_two_steps_equal_the_reference() {
    let (inputs, wanted) = (
        tensors(FOLDER, "inputs.safetensors"),
        tensors(FOLDER, "outputs.safetensors"),
    );
    let (clip, weights) = trainable();
    let mut optimiser = AdamW::default();
    // Where a gradient is all but zero beside the others of its tensor, rounding and eps decide the update.
    let mut vague: HashMap<String, Vec<bool>> = HashMap::new();
    for step in 1..=2 {
        let (loss, _) = loss(&clip, &inputs);
        if step == 2 {
            assert_close("second loss", &loss, &wanted["loss_step2"], 1e-5);
        }
        let gradients = loss.backward().unwrap();
        for (key, var) in weights.vars() {
            let g = values(gradients.get(&var).unwrap());
            let vague = vague.entry(key).or_insert_with(|| vec![false; g.len()]);
            let rounding = 2e-6 * g.iter().fold(0.05, |most, g| g.abs().max(most));
            for (vague, g) in vague.iter_mut().zip(g) {
                *vague |= g != 0.0 && g.abs() < rounding;
            }
        }
        optimiser.step(&weights, &gradients);
        let mut compared = 0;
        for (key, var) in weights.vars() {
            let Some(wanted) = wanted.get(&format!("adamw{step}.{key}")) else {
                continue;
            };
            compared += 1;
            let found = values(var.as_tensor());
            for ((found, wanted), vague) in found.iter().zip(values(wanted)).zip(&vague[&key]) {
                let distance = (found - wanted).abs();
                assert!(*vague || distance <= 2e-5, "{key}: {found} is not {wanted}");
            }
        }
        assert_eq!(compared, if step == 1 { 8 } else { 3 });
    }
}

#[test]
fn a_batch_gives_what_its_members_give() {
    let inputs = tensors(FOLDER, "inputs.safetensors");
    let clip = Clip::load(&weights(), &config()).unwrap();
    let pixels = &inputs["pixel_values"];
    let batch = clip.encode_image(pixels, Mode::Eval).unwrap();
    for i in 0..3 {
        let one = clip
            .encode_image(&pixels.narrow(0, i, 1).unwrap(), Mode::Eval)
            .unwrap();
        assert_close("image", &one, &batch.narrow(0, i, 1).unwrap(), 1e-5);
    }
    let ids = &inputs["input_ids"];
    let batch = clip.encode_text(ids).unwrap();
    for i in 0..4 {
        let one = clip.encode_text(&ids.narrow(0, i, 1).unwrap()).unwrap();
        assert_close("text", &one, &batch.narrow(0, i, 1).unwrap(), 1e-5);
    }
}

#[test]
fn trunk_and_head_are_the_image_tower_in_two_parts() {
    let inputs = tensors(FOLDER, "inputs.safetensors");
    let clip = Clip::load(&weights(), &config()).unwrap();
    let pixels = &inputs["pixel_values"];
    let trunk = clip.trunk(pixels, Mode::Eval).unwrap();
    assert_eq!(
        (trunk.grid, trunk.hidden.dims()),
        ((4, 4), [3, 17, 32].as_slice())
    );
    let tokens = clip.spatial_tokens(&trunk.hidden).unwrap();
    assert_eq!(tokens.dims(), [3, 16, 32]);
    let whole = clip.encode_image(pixels, Mode::Eval).unwrap();
    assert_close(
        "image",
        &clip.head(&trunk.hidden, Mode::Eval).unwrap(),
        &whole,
        0.0,
    );
}

#[test]
fn attention_maps_are_distributions_over_tokens() {
    let inputs = tensors(FOLDER, "inputs.safetensors");
    let clip = Clip::load(&weights(), &config()).unwrap();
    let maps = clip.attention_maps(&inputs["pixel_values"]).unwrap();
    assert_eq!(maps.len(), 2);
    for map in maps {
        assert_eq!(map.dims(), [3, 4, 17, 17]);
        let sums = map.sum(3).unwrap();
        assert_close("row sums", &sums, &sums.ones_like().unwrap(), 1e-5);
    }
}

#[test]
fn a_missing_or_misshapen_tensor_is_named() {
    let mut tensors = tensors(FOLDER, "weights.safetensors");
    let class = tensors
        .remove("vision_model.embeddings.class_embedding")
        .unwrap();
    let load = |tensors: &HashMap<String, Tensor>| {
        Clip::load(&Weights::from_tensors(tensors.clone(), "a file"), &config()).unwrap_err()
    };
    match load(&tensors) {
        ZooError::Layer(NnError::MissingTensor { key, origin, .. }) => {
            assert_eq!(key, "vision_model.embeddings.class_embedding");
            assert_eq!(origin, "a file");
        }
        other => panic!("{other}"),
    }
    let longer = Tensor::cat(&[&class, &class], 0).unwrap();
    tensors.insert("vision_model.embeddings.class_embedding".into(), longer);
    match load(&tensors) {
        ZooError::Layer(NnError::ShapeMismatch { wanted, found, .. }) => {
            assert_eq!(
                (wanted.dims(), found.dims()),
                ([32].as_slice(), [64].as_slice())
            );
        }
        other => panic!("{other}"),
    }
}

#[test]
fn wrong_pixels_and_ids_are_refused() {
    let clip = Clip::load(&weights(), &config()).unwrap();
    let zeros =
        |shape: &[usize]| Tensor::zeros(shape, candle_core::DType::F32, &Device::Cpu).unwrap();
    assert!(matches!(
        clip.encode_image(&zeros(&[1, 3, 48, 64]), Mode::Eval),
        Err(ZooError::PixelShape { .. })
    ));
    let ids = |n: usize, id: u32| Tensor::full(id, (1, n), &Device::Cpu).unwrap();
    assert!(matches!(
        clip.encode_text(&ids(21, 1)),
        Err(ZooError::TokenShape { .. })
    ));
    assert!(
        clip.encode_text(&ids(4, 1000)).is_err(),
        "the vocabulary has a thousand ids"
    );
}
