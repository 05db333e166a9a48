//! DINOv2 against the published code.

use crate::{assert_close, difference, tensors, values, vector};
use candle_core::{DType, Device, Tensor, Var};
use lucency_nn::{Bias, Linear, Quantisation, Weights, ops};
use lucency_zoo::ZooError;
use lucency_zoo::dino::{Dino, DinoConfig, Resizing, shapes};

const FOLDER: &str = "dinov2";
const PREFIX: &str = "img_encoder_q.model";
/// Case, image, rows and columns of patches; the learned positions are 5 × 5.
const CASES: [(&str, &str, (usize, usize)); 3] = [
    ("native70", "image70", (5, 5)),
    ("interp56", "image56", (4, 4)),
    ("rect56x84", "image56x84", (4, 6)),
];

pub fn config() -> DinoConfig {
    let text = std::fs::read_to_string(vector(FOLDER, "config.json")).unwrap();
    DinoConfig::from_config_json(&text).unwrap()
}

pub fn weights() -> Weights {
    Weights::open(&vector(FOLDER, "weights.safetensors"), &Device::Cpu).unwrap()
}

pub fn stream() -> Weights {
    Weights::stream(&vector(FOLDER, "weights.safetensors"), &Device::Cpu).unwrap()
}

pub fn load(weights: &Weights) -> Dino {
    Dino::load(&weights.pp(PREFIX), &config()).unwrap()
}

pub fn inputs() -> std::collections::HashMap<String, Tensor> {
    tensors(FOLDER, "inputs.safetensors")
}

/// The loss of the folder's README.
pub fn loss(tower: &Dino, pixels: &Tensor) -> Tensor {
    let pooled = tower.hidden(pixels).unwrap().mean(1).unwrap();
    let class = tower.features(pixels).unwrap().class;
    let cube = (class.sqr().unwrap() * &class).unwrap();
    (pooled.sqr().unwrap().mean_all().unwrap() + cube.mean_all().unwrap()).unwrap()
}

#[test]
fn tokens_equal_the_reference_at_every_size_plain_and_packed() {
    let (inputs, wanted) = (inputs(), tensors(FOLDER, "outputs.safetensors"));
    for weights in [weights(), stream()] {
        let tower = load(&weights);
        for (case, image, grid) in CASES {
            let (pixels, wanted) = (&inputs[image], |what: &str| {
                &wanted[&format!("{case}.{what}")]
            });
            assert_eq!(tower.grid(pixels).unwrap(), grid);
            let hidden = tower.hidden(pixels).unwrap();
            assert_close(case, &hidden, wanted("x_prenorm"), 2e-5);
            let found = tower.features(pixels).unwrap();
            assert_close(case, &found.class, wanted("x_norm_clstoken"), 2e-5);
            let registers = found.registers.unwrap();
            assert_close(case, &registers, wanted("x_norm_regtokens"), 2e-5);
            assert_close(case, &found.patches, wanted("x_norm_patchtokens"), 2e-5);
            let class = tower.encode(pixels).unwrap();
            assert_close(case, &class, wanted("x_norm_clstoken"), 2e-5);
        }
    }
}

#[test]
fn the_embedding_of_cleft_follows_from_the_tokens() {
    let (inputs, wanted) = (inputs(), tensors(FOLDER, "outputs.safetensors"));
    let weights = stream();
    let tower = load(&weights);
    let global = weights.pp("img_encoder_q.global_embed");
    let global = Linear::load(&global, 32, 16, Bias::Yes).unwrap();
    for (case, image, _) in CASES {
        let pooled = tower.hidden(&inputs[image]).unwrap().mean(1).unwrap();
        let key = format!("{case}.pooled_all_tokens_prenorm");
        assert_close(case, &pooled, &wanted[&key], 2e-5);
        let embedding = ops::l2_normalise(&global.forward(&pooled).unwrap()).unwrap();
        assert_close(
            case,
            &embedding,
            &wanted[&format!("{case}.embedding")],
            2e-5,
        );
    }
}

#[test]
fn gradients_equal_pytorch_through_interpolated_positions() {
    let wanted = tensors(FOLDER, "gradients.safetensors");
    let weights = weights();
    weights.train_where(|_| true).unwrap();
    let tower = load(&weights);
    let loss = loss(&tower, &inputs()["image56"]);
    assert_close("loss", &loss, &wanted["loss"], 1e-5);
    let gradients = loss.backward().unwrap();
    let mut compared = 0;
    for (key, var) in weights.vars() {
        let found = gradients
            .get(&var)
            .unwrap_or_else(|| panic!("{key} has no gradient"));
        let name = key.strip_prefix(PREFIX).unwrap();
        let Some(wanted) = wanted.get(&format!("grad{name}")) else {
            assert!(
                values(found).iter().any(|g| *g != 0.0),
                "{key} has a gradient of zeros"
            );
            continue;
        };
        let size = values(wanted).iter().fold(0.0f32, |m, g| m.max(g.abs()));
        assert_close(&key, found, wanted, 1e-5 * size.max(1e-2));
        compared += 1;
    }
    assert_eq!(
        compared + 1,
        wanted.len(),
        "every stored gradient was compared"
    );
}

#[test]
fn gradients_behind_packed_layers_equal_those_behind_plain_ones() {
    let gradient = |weights: &Weights| {
        let pixels = Var::from_tensor(&inputs()["image56x84"]).unwrap();
        let loss = loss(&load(weights), &pixels);
        loss.backward().unwrap().get(&pixels).unwrap().clone()
    };
    let plain = gradient(&weights());
    assert!(values(&plain).iter().any(|g| g.abs() > 1e-6));
    assert_close("pixels", &gradient(&stream()), &plain, 1e-5);
}

#[test]
fn the_class_token_alone_has_the_gradients_that_it_has_among_all() {
    let gradient = |class: fn(&Dino, &Tensor) -> Tensor| {
        let weights = weights();
        weights
            .train_where(|key| key.contains("blocks.1."))
            .unwrap();
        let tower = load(&weights);
        let pixels = Var::from_tensor(&inputs()["image56"]).unwrap();
        let class = class(&tower, &pixels);
        let cube = (class.sqr().unwrap() * &class).unwrap();
        let gradients = cube.sum_all().unwrap().backward().unwrap();
        let mut found = vec![gradients.get(&pixels).unwrap().clone()];
        found.extend(
            weights
                .vars()
                .iter()
                .map(|(_, var)| gradients.get(var).unwrap().clone()),
        );
        found
    };
    let alone = gradient(|tower, pixels| tower.encode(pixels).unwrap());
    let among = gradient(|tower, pixels| tower.features(pixels).unwrap().class);
    assert_eq!(alone.len(), 1 + 14, "a block has fourteen tensors");
    for (alone, among) in alone.iter().zip(&among) {
        let size = values(among).iter().fold(1.0f32, |m, g| m.max(g.abs()));
        assert_close("gradient", alone, among, 1e-5 * size);
    }
}

#[test]
fn a_batch_gives_what_its_members_give() {
    let (tower, pixels) = (load(&stream()), &inputs()["image56"]);
    let batch = tower.hidden(pixels).unwrap();
    for i in 0..2 {
        let one = tower.hidden(&pixels.narrow(0, i, 1).unwrap()).unwrap();
        assert_close("tokens", &one, &batch.narrow(0, i, 1).unwrap(), 1e-5);
    }
}

#[test]
fn trunk_and_head_are_the_tower_in_two_parts_and_attention_sums_to_one() {
    let (tower, pixels) = (load(&stream()), &inputs()["image56x84"]);
    let trunk = tower.trunk(pixels).unwrap();
    assert_eq!(trunk.dims(), [1, 1 + 4 + 24, 32]);
    assert_eq!(tower.spatial_tokens(&trunk).unwrap().dims(), [1, 24, 32]);
    let whole = tower.hidden(pixels).unwrap();
    assert_close("tokens", &tower.head(&trunk).unwrap(), &whole, 0.0);
    let maps = tower.attention_maps(pixels).unwrap();
    assert_eq!(maps.len(), 2);
    for map in maps {
        assert_eq!(map.dims(), [1, 4, 29, 29]);
        let sums = map.sum(3).unwrap();
        assert_close("row sums", &sums, &sums.ones_like().unwrap(), 1e-5);
    }
}

#[test]
fn eight_bits_stay_near_the_reference() {
    let wanted = &tensors(FOLDER, "outputs.safetensors")["native70.x_prenorm"];
    let tower = load(&stream().quantised(Some(Quantisation::Q8)));
    let found = tower.hidden(&inputs()["image70"]).unwrap();
    let off = difference(&found, wanted);
    assert!((1e-5..0.05).contains(&off), "off by {off}");
}

#[test]
fn configurations_are_read_off_published_files_and_keys() {
    let config = config();
    assert_eq!((config.registers, config.mlp_width), (4, 128));
    assert_eq!(config.resizing, Resizing::ANTIALIASED);
    let mut inferred = DinoConfig::infer_from_keys(&shapes(&weights().pp(PREFIX))).unwrap();
    assert_eq!(inferred.heads, 1, "heads of 64 channels are assumed");
    inferred.heads = 4;
    assert_eq!(inferred, config);
    let mut without = shapes(&weights().pp(PREFIX));
    without.remove("register_tokens");
    let without = DinoConfig::infer_from_keys(&without).unwrap();
    assert_eq!((without.registers, without.resizing), (0, Resizing::OFFSET));
    let text = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<DinoConfig>(&text).unwrap(), config);
    let more = text.replacen('{', "{\"dropout\":1,", 1);
    assert!(serde_json::from_str::<DinoConfig>(&more).is_err());
    let hub = r#"{"img_size":518,"patch_size":14,"embed_dim":768,"depth":12,"num_heads":12}"#;
    let hub = DinoConfig::from_config_json(hub).unwrap();
    assert_eq!(
        (hub.grid(), hub.mlp_width, hub.layer_scale),
        (37, 3072, Some(1.0))
    );
    assert_eq!((hub.registers, hub.resizing), (0, Resizing::OFFSET));
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    let text = std::fs::read_to_string(vector(FOLDER, "config.json")).unwrap();
    for (from, to, named) in [
        (
            "\"ffn_layer\": \"mlp\"",
            "\"ffn_layer\": \"swiglufused\"",
            "giant",
        ),
        ("gelu (erf)", "gelu_tanh", "gelu_tanh"),
        ("\"block_chunks\": 0", "\"block_chunks\": 4", "block_chunks"),
        ("\"img_size\": 70", "\"img_size\": 71", "image_size"),
        ("\"num_heads\": 4", "\"num_heads\": 5", "heads"),
        ("\"embed_dim\": 32", "\"embed_dim\": 0", "width"),
        ("\"depth\": 2", "\"deep\": 2", "depth"),
    ] {
        // CLEFT's own entry repeats some names.
        let at = text.rfind(from).unwrap();
        let changed = format!("{}{to}{}", &text[..at], &text[at + from.len()..]);
        let error = DinoConfig::from_config_json(&changed)
            .unwrap_err()
            .to_string();
        assert!(error.contains(named), "{error}");
    }
    let mut giant = shapes(&weights().pp(PREFIX));
    giant.insert("blocks.0.mlp.w12.weight".into(), vec![8192, 1536]);
    let error = DinoConfig::infer_from_keys(&giant).unwrap_err().to_string();
    assert!(error.contains("giant"), "{error}");
    let tower = load(&stream());
    for shape in [[1, 3, 56, 57], [1, 1, 56, 56], [1, 3, 0, 56]] {
        let pixels = Tensor::zeros(shape.as_slice(), DType::F32, &Device::Cpu).unwrap();
        assert!(matches!(
            tower.encode(&pixels),
            Err(ZooError::PixelShape { .. })
        ));
    }
}

#[test]
fn a_fresh_tower_learns_and_reads_back_as_the_live_one() {
    let folder = tempfile::tempdir().unwrap();
    let pixels = &inputs()["image56"];
    for (registers, layer_scale) in [(0, None), (2, Some(1e-2))] {
        let config = DinoConfig {
            registers,
            layer_scale,
            resizing: match registers {
                0 => Resizing::OFFSET,
                _ => Resizing::ANTIALIASED,
            },
            ..config()
        };
        let weights = Weights::fresh(3, &Device::Cpu);
        weights.train_where(|_| true).unwrap();
        let live = Dino::load(&weights, &config).unwrap();
        let mut losses = Vec::new();
        for step in 0..8 {
            let loss = loss(&live, pixels);
            losses.push(loss.to_scalar::<f32>().unwrap());
            let gradients = loss.backward().unwrap();
            for (key, var) in weights.vars() {
                let gradient = gradients.get(&var).unwrap_or_else(|| panic!("{key}"));
                let reached = values(gradient).iter().any(|g| *g != 0.0);
                assert!(reached, "{key} has a gradient of zeros at step {step}");
                let update = (gradient.sign().unwrap() * 1e-3).unwrap();
                var.set(&(var.as_detached_tensor() - update).unwrap())
                    .unwrap();
            }
        }
        assert!(losses[7] < losses[0], "{losses:?}");
        let path = folder.path().join(format!("{registers}.safetensors"));
        weights.save(&path, DType::F32).unwrap();
        let read = Dino::load(&Weights::stream(&path, &Device::Cpu).unwrap(), &config).unwrap();
        let (read, live) = (read.encode(pixels).unwrap(), live.encode(pixels).unwrap());
        assert_close("class token", &read, &live, 1e-5);
    }
}
