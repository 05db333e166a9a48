//! Adapters inside layers against PEFT on a tiny GPT-2; see `tests/vectors/gpt2-peft`.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::path::PathBuf;

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor};
use lucency_nn::{
    Adaptation, AdapterKind, AttentionKeys, Bias, Conv2d, LayerNorm, Linear, Mask,
    MultiHeadAttention, Weights, ops,
};

const CPU: Device = Device::Cpu;
const HEADS: usize = 4;
const WIDTH: usize = 32;
const LAYERS: usize = 2;

fn tensors(file: &str) -> HashMap<String, Tensor> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/vectors/gpt2-peft")
        .join(file);
    candle_core::safetensors::load(path, &CPU).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    let flat = tensor.to_dtype(DType::F32).unwrap().flatten_all().unwrap();
    flat.to_vec1().unwrap()
}

#[track_caller]
fn close(what: &str, found: &Tensor, wanted: &Tensor, tolerance: f32) {
    assert_eq!(found.elem_count(), wanted.elem_count(), "{what}");
    let worst = values(found)
        .iter()
        .zip(values(wanted))
        .map(|(a, b)| {
            if (a - b).is_nan() {
                f32::INFINITY
            } else {
                (a - b).abs()
            }
        })
        .fold(0.0, f32::max);
    assert!(
        worst <= tolerance,
        "{what}: {worst:e} away, {tolerance:e} is allowed"
    );
}

/// Gradients are compared relative to their largest entry.
#[track_caller]
fn close_gradient(what: &str, found: &Tensor, wanted: &Tensor) {
    let largest = values(wanted).iter().fold(0.0f32, |m, v| m.max(v.abs()));
    close(what, found, wanted, 2e-5 * largest.max(1e-6));
}

/// The base model's tensors with linear weights as `[out, in]`.
fn base() -> HashMap<String, Tensor> {
    tensors("weights.safetensors")
        .into_iter()
        .map(|(key, tensor)| {
            let key = key
                .replace("text_encoder_q.model.", "")
                .replace("text_encoder_q.", "");
            let conv1d = ["c_attn.weight", "c_proj.weight", "c_fc.weight"];
            let tensor = match conv1d.iter().any(|name| key.ends_with(name)) {
                true => tensor.t().unwrap().contiguous().unwrap(),
                false => tensor,
            };
            (key, tensor)
        })
        .collect()
}

struct Block {
    norm1: LayerNorm,
    attention: Attention,
    norm2: LayerNorm,
    widen: Linear,
    narrow: Linear,
}

/// Attention by parts, where layers are adapted, or whole, where a prefix goes before it.
enum Attention {
    Parts {
        qkv: Linear,
        out: Linear,
        scale: f64,
    },
    Whole(Box<MultiHeadAttention>),
}

struct Gpt2 {
    words: Tensor,
    positions: Tensor,
    blocks: Vec<Block>,
    norm: LayerNorm,
    project: Linear,
    scale: Tensor,
    shift: usize, // positions that a prefix takes
}

impl Gpt2 {
    fn load(weights: &Weights, prefix: Option<usize>) -> Self {
        let at = weights.pp("transformer");
        let init = lucency_nn::Init::Zeros;
        let blocks = (0..LAYERS)
            .map(|i| {
                let block = at.pp("h").pp(i);
                let attention = match prefix {
                    Some(_) => Attention::Whole(Box::new(
                        MultiHeadAttention::load(
                            &block.pp("attn"),
                            WIDTH,
                            HEADS,
                            AttentionKeys::Packed,
                        )
                        .unwrap(),
                    )),
                    None => Attention::Parts {
                        qkv: Linear::load(&block.pp("attn.c_attn"), WIDTH, 3 * WIDTH, Bias::Yes)
                            .unwrap(),
                        out: Linear::load(&block.pp("attn.c_proj"), WIDTH, WIDTH, Bias::Yes)
                            .unwrap(),
                        scale: 1.0 / ((WIDTH / HEADS) as f64).sqrt() / (i + 1) as f64,
                    },
                };
                Block {
                    norm1: LayerNorm::load(&block.pp("ln_1"), WIDTH, 1e-5).unwrap(),
                    attention,
                    norm2: LayerNorm::load(&block.pp("ln_2"), WIDTH, 1e-5).unwrap(),
                    widen: Linear::load(&block.pp("mlp.c_fc"), WIDTH, 4 * WIDTH, Bias::Yes)
                        .unwrap(),
                    narrow: Linear::load(&block.pp("mlp.c_proj"), 4 * WIDTH, WIDTH, Bias::Yes)
                        .unwrap(),
                }
            })
            .collect();
        Self {
            words: at.get((300, WIDTH), "wte.weight", init).unwrap(),
            positions: at.get((64, WIDTH), "wpe.weight", init).unwrap(),
            blocks,
            norm: LayerNorm::load(&at.pp("ln_f"), WIDTH, 1e-5).unwrap(),
            project: Linear::load(&weights.pp("global_embed"), WIDTH, 16, Bias::Yes).unwrap(),
            scale: weights.get((), "logit_scale", init).unwrap(),
            shift: prefix.unwrap_or(0),
        }
    }

    /// The states where texts end and unit embeddings.
    fn forward(&self, ids: &Tensor, seen: &Tensor) -> (Tensor, Tensor) {
        let (b, n) = ids.dims2().unwrap();
        let words = self
            .words
            .index_select(&ids.flatten_all().unwrap(), 0)
            .unwrap()
            .reshape((b, n, WIDTH))
            .unwrap();
        let positions = self.positions.narrow(0, self.shift, n).unwrap();
        let mut x = words.broadcast_add(&positions).unwrap();
        let mask = mask(seen);
        for block in &self.blocks {
            let normed = block.norm1.forward(&x).unwrap();
            let mixed = match &block.attention {
                Attention::Whole(attention) => attention.forward(&normed, &mask).unwrap(),
                Attention::Parts { qkv, out, scale } => {
                    let qkv = qkv.forward(&normed).unwrap();
                    let part = |i: usize| {
                        qkv.narrow(2, i * WIDTH, WIDTH)
                            .unwrap()
                            .reshape((b, n, HEADS, WIDTH / HEADS))
                            .unwrap()
                            .transpose(1, 2)
                            .unwrap()
                            .contiguous()
                            .unwrap()
                    };
                    let mixed = ops::attention(&part(0), &part(1), &part(2), &mask, *scale)
                        .unwrap()
                        .transpose(1, 2)
                        .unwrap()
                        .contiguous()
                        .unwrap()
                        .reshape((b, n, WIDTH))
                        .unwrap();
                    out.forward(&mixed).unwrap()
                }
            };
            x = (x + mixed).unwrap();
            let wide = block
                .widen
                .forward(&block.norm2.forward(&x).unwrap())
                .unwrap();
            let narrow = block
                .narrow
                .forward(&ops::gelu_tanh(&wide).unwrap())
                .unwrap();
            x = (x + narrow).unwrap();
        }
        let states = self.norm.forward(&x).unwrap();
        let rows: Vec<u32> = ends(ids)
            .iter()
            .enumerate()
            .map(|(row, end)| (row * n + end) as u32)
            .collect();
        let rows = Tensor::from_vec(rows, b, &CPU).unwrap();
        let pooled = states
            .flatten_to(1)
            .unwrap()
            .index_select(&rows, 0)
            .unwrap();
        let text = ops::l2_normalise(&self.project.forward(&pooled).unwrap()).unwrap();
        (pooled, text)
    }
}

/// Causal, and padding is seen by nobody; `[b, 1, n, n]`.
fn mask(seen: &Tensor) -> Mask {
    let seen = seen.to_dtype(DType::I64).unwrap().to_vec2::<i64>().unwrap();
    let n = seen[0].len();
    let added: Vec<f32> = seen
        .iter()
        .flat_map(|row| {
            (0..n).flat_map(move |i| {
                (0..n).map(move |j| if j <= i && row[j] == 1 { 0.0 } else { -1e30 })
            })
        })
        .collect();
    let shape = (seen.len(), 1, n, n);
    let added = Tensor::from_vec(added, shape, &CPU).unwrap();
    Mask::Additive(
        added
            .broadcast_as((seen.len(), HEADS, n, n))
            .unwrap()
            .contiguous()
            .unwrap(),
    )
}

/// The first of the trailing end tokens; the first position where there is none.
fn ends(ids: &Tensor) -> Vec<usize> {
    ids.to_dtype(DType::I64)
        .unwrap()
        .to_vec2::<i64>()
        .unwrap()
        .iter()
        .map(
            |row| match row.iter().rev().take_while(|id| **id == 299).count() {
                0 => 0,
                k => row.len() - k,
            },
        )
        .collect()
}

/// States, embedding, logits and loss against the reference; returns the loss's gradients.
fn check(kind: &str, model: &Gpt2) -> GradStore {
    let (inputs, wanted) = (
        tensors("inputs.safetensors"),
        tensors("outputs.safetensors"),
    );
    let ids = inputs["input_ids"].to_dtype(DType::U32).unwrap();
    let (pooled, text) = model.forward(&ids, &inputs["attention_mask"]);
    close(
        "pooled",
        &pooled,
        &wanted[&format!("{kind}.last_hidden_at_pool")],
        5e-5,
    );
    close(
        "text",
        &text,
        &wanted[&format!("{kind}.text_embedding")],
        2e-5,
    );
    let logits = inputs["image_embedding"]
        .matmul(&text.t().unwrap().contiguous().unwrap())
        .unwrap()
        .broadcast_mul(&model.scale.exp().unwrap())
        .unwrap();
    close(
        "logits",
        &logits,
        &wanted[&format!("{kind}.zero_shot_logits")],
        2e-4,
    );
    let loss = ops::cross_entropy(&logits, &inputs["labels"]).unwrap();
    close(
        "loss",
        &loss,
        &wanted[&format!("{kind}.zero_shot_loss")],
        2e-5,
    );
    loss.backward().unwrap()
}

/// Compares the gradient of every trainable tensor with the reference's of the name that `name` gives.
fn check_gradients(
    kind: &str,
    weights: &Weights,
    gradients: &GradStore,
    name: impl Fn(&str) -> String,
) {
    let wanted = tensors("outputs.safetensors");
    assert!(!weights.vars().is_empty());
    for (key, var) in weights.vars() {
        let found = gradients
            .get(&var)
            .unwrap_or_else(|| panic!("{key} has no gradient"));
        close_gradient(&key, found, &wanted[&format!("{kind}.grad.{}", name(&key))]);
    }
}

/// A store with the base and an adapter's file, whose adapter tensors are trainable.
fn adapted(file: &str, adaptation: Adaptation) -> Weights {
    let mut all = base();
    for (key, tensor) in tensors(file) {
        all.insert(key.replace("base_model.model.", ""), tensor);
    }
    let weights = Weights::from_tensors(all, "reference");
    weights.adapt(adaptation).unwrap();
    weights.train_where(Adaptation::owns).unwrap();
    weights
}

fn lora() -> Adaptation {
    let kind = AdapterKind::Lora {
        rank: 8,
        alpha: 32.0,
        dropout: 0.0,
    };
    Adaptation::new(kind, vec!["c_attn".into()], 1).unwrap()
}

#[test]
fn low_rank_updates_equal_peft() {
    let weights = adapted("adapter_lora.safetensors", lora());
    let model = Gpt2::load(&weights, None);
    let gradients = check("lora", &model);
    check_gradients("lora", &weights, &gradients, |key| {
        let key = key.replace(".weight", ".default.weight");
        format!("model.base_model.model.{key}")
    });
}

#[test]
fn merged_updates_equal_unmerged_ones_and_come_apart_bit_for_bit() {
    let weights = adapted("adapter_lora.safetensors", lora());
    let layer = Linear::load(
        &weights.pp("transformer.h.1.attn.c_attn"),
        WIDTH,
        96,
        Bias::Yes,
    )
    .unwrap();
    let x = Tensor::randn(0f32, 1.0, (7, WIDTH), &CPU).unwrap();
    let merged = layer.merge().unwrap();
    let (live, plain) = (layer.forward(&x).unwrap(), merged.forward(&x).unwrap());
    close("merged", &plain, &live, 5e-5);
    let apart = merged.unmerge().forward(&x).unwrap();
    assert_eq!(values(&apart), values(&live), "the same bits");
}

#[test]
fn learned_scales_equal_peft() {
    let kind = AdapterKind::Ia3 {
        feedforward: vec!["mlp.c_proj".into()],
    };
    let targets = vec!["c_attn".into(), "mlp.c_proj".into()];
    let adaptation = Adaptation::new(kind, targets, 1).unwrap();
    let weights = adapted("adapter_ia3.safetensors", adaptation);
    let model = Gpt2::load(&weights, None);
    let gradients = check("ia3", &model);
    check_gradients("ia3", &weights, &gradients, |key| {
        format!("model.base_model.model.{key}.default")
    });
    for (key, inputs, outputs) in [("attn.c_attn", 32, 96), ("mlp.c_proj", 128, 32)] {
        let at = weights.pp(format!("transformer.h.0.{key}"));
        let layer = Linear::load(&at, inputs, outputs, Bias::Yes).unwrap();
        let x = Tensor::randn(0f32, 1.0, (5, inputs), &CPU).unwrap();
        let merged = layer.merge().unwrap().forward(&x).unwrap();
        close(key, &merged, &layer.forward(&x).unwrap(), 5e-5);
    }
}

#[test]
fn a_prefix_equals_peft() {
    let tokens = 6;
    let mut all = HashMap::new();
    for (key, tensor) in base() {
        let layer = key.split('.').nth(2).and_then(|n| n.parse::<usize>().ok());
        let Some((part, layer)) = key
            .split_once(".attn.")
            .map(|(_, p)| p.to_string())
            .zip(layer)
        else {
            all.insert(key, tensor);
            continue;
        };
        let attn = format!("transformer.h.{layer}.attn");
        // Scores of layer i are divided by i + 1; that goes into the queries here.
        let rows = |t: &Tensor| {
            let queries = (t.narrow(0, 0, WIDTH).unwrap() / (layer + 1) as f64).unwrap();
            let rest = t.narrow(0, WIDTH, 2 * WIDTH).unwrap();
            Tensor::cat(&[queries, rest], 0).unwrap()
        };
        match part.as_str() {
            "c_attn.weight" => all.insert(format!("{attn}.in_proj_weight"), rows(&tensor)),
            "c_attn.bias" => all.insert(format!("{attn}.in_proj_bias"), rows(&tensor)),
            other => all.insert(
                format!("{attn}.{}", other.replace("c_proj", "out_proj")),
                tensor,
            ),
        };
    }
    let table = tensors("adapter_prefix.safetensors")["prompt_embeddings"].clone(); // [6, layers · 2 · width]
    for layer in 0..LAYERS {
        for (part, name) in ["prefix_key", "prefix_value"].into_iter().enumerate() {
            let own = table.narrow(1, (2 * layer + part) * WIDTH, WIDTH).unwrap();
            all.insert(
                format!("transformer.h.{layer}.attn.{name}"),
                own.contiguous().unwrap(),
            );
        }
    }
    let weights = Weights::from_tensors(all, "reference");
    let kind = AdapterKind::Prefix { tokens };
    weights
        .adapt(Adaptation::new(kind, vec!["attn".into()], 1).unwrap())
        .unwrap();
    weights.train_where(Adaptation::owns).unwrap();
    let model = Gpt2::load(&weights, Some(tokens));
    let gradients = check("prefix", &model);
    // In the order of the table: for every layer its key, then its value, which is the keys' alphabetical order.
    let parts: Vec<Tensor> = weights
        .vars()
        .iter()
        .map(|(_, var)| gradients.get(var).unwrap().clone())
        .collect();
    let wanted = &tensors("outputs.safetensors")["prefix.grad.model.prompt_encoder.default.embedding.weight"];
    close_gradient("prefix", &Tensor::cat(&parts, 1).unwrap(), wanted);
}

#[test]
fn a_convolution_with_an_update_equals_its_merged_self_and_learns() {
    let weights = Weights::fresh(3, &CPU);
    let kind = AdapterKind::Lora {
        rank: 2,
        alpha: 4.0,
        dropout: 0.0,
    };
    weights
        .adapt(Adaptation::new(kind, vec!["conv".into()], 5).unwrap())
        .unwrap();
    weights.train_where(Adaptation::owns).unwrap();
    let layer = Conv2d::load(&weights.pp("conv"), 3, 8, 3, 2, 1, Bias::Yes).unwrap();
    let x = Tensor::randn(0f32, 1.0, (2, 3, 9, 9), &CPU).unwrap();
    let keys: Vec<String> = weights.vars().into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["conv.lora_A.weight", "conv.lora_B.weight"]);
    for (_, var) in weights.vars() {
        let value = Tensor::randn(0f32, 0.5, var.shape(), &CPU).unwrap();
        var.set(&value).unwrap();
    }
    let merged = layer.merge().unwrap();
    for relu in [false, true] {
        let run = |layer: &Conv2d| match relu {
            true => layer.forward_relu(&x).unwrap(),
            false => layer.forward(&x).unwrap(),
        };
        close("convolution", &run(&merged), &run(&layer), 1e-4);
    }
    let pooled = (
        layer.forward_relu_pool(&x).unwrap(),
        merged.forward_relu_pool(&x).unwrap(),
    );
    close("pooled", &pooled.1, &pooled.0, 1e-4);
    let gradients = layer
        .forward(&x)
        .unwrap()
        .sqr()
        .unwrap()
        .sum_all()
        .unwrap()
        .backward()
        .unwrap();
    for (key, var) in weights.vars() {
        let slope = gradients
            .get(&var)
            .unwrap_or_else(|| panic!("{key} has no gradient"));
        assert!(values(slope).iter().any(|v| *v != 0.0), "{key}");
    }
    assert!(
        gradients.get(layer.weight()).is_none(),
        "the kernel is frozen"
    );
}

#[test]
fn dropout_follows_its_switch_and_its_seed() {
    let weights = Weights::fresh(3, &CPU);
    let kind = AdapterKind::Lora {
        rank: 2,
        alpha: 2.0,
        dropout: 0.5,
    };
    let adaptation = weights
        .adapt(Adaptation::new(kind, vec!["fc".into()], 5).unwrap())
        .unwrap();
    weights.train_where(Adaptation::owns).unwrap();
    let layer = Linear::load(&weights.pp("fc"), 16, 4, Bias::No).unwrap();
    for (_, var) in weights.vars() {
        var.set(&Tensor::ones(var.shape(), DType::F32, &CPU).unwrap())
            .unwrap();
    }
    let x = Tensor::ones((3, 16), DType::F32, &CPU).unwrap();
    let run = |seed| {
        adaptation.set_dropout(seed);
        values(&layer.forward(&x).unwrap())
    };
    let off = run(None);
    assert_eq!(off, run(None));
    assert_eq!(run(Some(1)), run(Some(1)), "a seed fixes the masks");
    assert_ne!(run(Some(1)), run(Some(2)));
    assert_ne!(run(Some(1)), off);
}
