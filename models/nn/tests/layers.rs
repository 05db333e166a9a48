//! Layers as a model uses them: gradients reach every trainable tensor, batches equal single items, adapters merge.
#![allow(clippy::unwrap_used)]

use candle_core::{D, DType, Device, Tensor, Var};
use lucency_nn::{
    Activation, AttentionKeys, BatchNorm2d, Bias, Conv2d, Embedding, Init, LayerNorm, Linear, Mask,
    Mode, MultiHeadAttention, Result, Weights, ops,
};

const CPU: Device = Device::Cpu;

fn gap(a: &Tensor, b: &Tensor) -> f32 {
    assert_eq!(a.shape(), b.shape());
    (a - b)
        .unwrap()
        .abs()
        .unwrap()
        .flatten_all()
        .unwrap()
        .max(0)
        .unwrap()
        .to_scalar()
        .unwrap()
}

fn random(shape: &[usize]) -> Tensor {
    let init = Init::Normal {
        mean: 0.0,
        std: 1.0,
    };
    Weights::fresh(11, &CPU).get(shape, "x", init).unwrap()
}

/// A small model with every layer: image and text to one logit row each.
struct Tiny {
    conv: Conv2d,
    norm: BatchNorm2d,
    narrow: Conv2d,
    tokens: Embedding,
    before: LayerNorm,
    split: MultiHeadAttention,
    packed: MultiHeadAttention,
    out: Linear,
}

impl Tiny {
    fn load(w: &Weights) -> Result<Self> {
        Ok(Self {
            conv: Conv2d::load(&w.pp("conv"), 3, 8, 3, 2, 1, Bias::No)?,
            norm: BatchNorm2d::load(&w.pp("norm"), 8, 1e-5)?,
            narrow: Conv2d::load(&w.pp("narrow"), 8, 6, 1, 1, 0, Bias::Yes)?,
            tokens: Embedding::load(&w.pp("tokens"), 10, 6)?,
            before: LayerNorm::load(&w.pp("before"), 6, 1e-5)?,
            split: MultiHeadAttention::load(&w.pp("split"), 6, 2, AttentionKeys::Split)?,
            packed: MultiHeadAttention::load(&w.pp("packed"), 6, 3, AttentionKeys::Packed)?,
            out: Linear::load(&w.pp("out"), 6, 4, Bias::Yes)?,
        })
    }

    fn forward(&self, pixels: &Tensor, ids: &Tensor, mode: Mode) -> Result<Tensor> {
        let x = self.norm.forward_relu(&self.conv.forward(pixels)?, mode)?;
        let x = self.narrow.forward(&ops::avg_pool2d(&x, 2)?)?;
        let x = x.flatten_from(2)?.transpose(1, 2)?; // [b, positions, 6]
        let t = self.tokens.forward(ids)?; // [b, n, 6]
        let x = Tensor::cat(&[&x.contiguous()?, &t], 1)?;
        let x = (&x
            + self
                .split
                .forward(&self.before.forward(&x)?, &Mask::Causal)?)?;
        let x = (&x + self.packed.forward(&x, &Mask::None)?)?;
        let x = Activation::QuickGelu.forward(&x.mean(1)?)?;
        self.out.forward(&ops::l2_normalise(&x)?)
    }
}

fn inputs(batch: usize) -> (Tensor, Tensor) {
    let ids: Vec<u32> = (0..batch as u32 * 3).map(|i| (i * 7) % 10).collect();
    (
        random(&[batch, 3, 9, 9]),
        Tensor::from_vec(ids, (batch, 3), &CPU).unwrap(),
    )
}

#[test]
fn every_trainable_tensor_gets_a_gradient_that_differences_confirm() {
    let weights = Weights::fresh(5, &CPU);
    weights.train_where(|_| true).unwrap();
    let model = Tiny::load(&weights).unwrap();
    let (pixels, ids) = inputs(4);
    let targets = Tensor::new(&[0u32, 3, 1, 2], &CPU).unwrap();
    let loss = || {
        ops::cross_entropy(
            &(model.forward(&pixels, &ids, Mode::Train).unwrap() * 5.0).unwrap(),
            &targets,
        )
    };
    let gradients = loss().unwrap().backward().unwrap();
    assert_eq!(
        weights.vars().len(),
        22,
        "every tensor but the running statistics is trainable"
    );
    for (key, var) in weights.vars() {
        let gradient = gradients
            .get(&var)
            .unwrap_or_else(|| panic!("{key} gets no gradient"));
        // Along the gradient the loss must change by its squared length; keys' biases have none in exact arithmetic.
        let length = gradient
            .sqr()
            .unwrap()
            .sum_all()
            .unwrap()
            .to_scalar::<f32>()
            .unwrap()
            .sqrt();
        if length < 1e-4 {
            assert!(
                key.contains("k_proj.bias"),
                "{key} gets a vanishing gradient"
            );
            continue;
        }
        let start = var.as_detached_tensor().copy().unwrap();
        let step = 4e-3 / f64::from(length);
        let at = |sign: f64| {
            var.set(&(&start + (gradient * (sign * step / 2.0)).unwrap()).unwrap())
                .unwrap();
            loss().unwrap().to_scalar::<f32>().unwrap()
        };
        let slope = f64::from(at(1.0) - at(-1.0)) / step;
        var.set(&start).unwrap();
        let wanted = f64::from(length * length);
        assert!(
            (slope / wanted - 1.0).abs() < 0.03,
            "{key}: slope {slope}, gradient says {wanted}"
        );
    }
}

#[test]
fn a_batch_equals_its_items_one_by_one() {
    let weights = Weights::fresh(5, &CPU);
    let model = Tiny::load(&weights).unwrap();
    let (pixels, ids) = inputs(5);
    let batch = model.forward(&pixels, &ids, Mode::Eval).unwrap();
    for i in 0..5 {
        let (pixels, ids) = (
            pixels.narrow(0, i, 1).unwrap(),
            ids.narrow(0, i, 1).unwrap(),
        );
        let single = model.forward(&pixels, &ids, Mode::Eval).unwrap();
        assert!(
            gap(&single, &batch.narrow(0, i, 1).unwrap()) < 1e-5,
            "item {i}"
        );
    }
}

#[test]
fn a_merged_adapter_equals_an_unmerged_one_and_the_base_stays_frozen() {
    let weights = Weights::fresh(2, &CPU);
    weights.train_where(|key| key.contains("lora_")).unwrap();
    let at = weights.pp("fc");
    let base = Linear::load(&at, 9, 7, Bias::Yes).unwrap();
    let adapted = base.clone().with_lora(3, 6.0, &at).unwrap();
    let x = random(&[2, 5, 9]);
    assert_eq!(
        gap(&base.forward(&x).unwrap(), &adapted.forward(&x).unwrap()),
        0.0,
        "B starts at zero"
    );
    let keys: Vec<String> = weights.vars().into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["fc.lora_A.weight", "fc.lora_B.weight"]);
    // One step on B, after which A's gradient is no longer zero.
    let step = || {
        let gradients = adapted
            .forward(&x)
            .unwrap()
            .sqr()
            .unwrap()
            .sum_all()
            .unwrap()
            .backward()
            .unwrap();
        assert!(
            gradients.get(&base.weight().unwrap()).is_none(),
            "the frozen base has a gradient"
        );
        for (_, var) in weights.vars() {
            let moved = (var.as_detached_tensor() - (gradients.get(&var).unwrap() * 1e-3).unwrap())
                .unwrap();
            var.set(&moved).unwrap();
        }
        let a = gradients.get(&weights.vars()[0].1).unwrap();
        a.sqr()
            .unwrap()
            .sum_all()
            .unwrap()
            .to_scalar::<f32>()
            .unwrap()
    };
    assert_eq!(step(), 0.0, "A has no gradient while B is zero");
    assert!(step() > 0.0, "A learns after one step");
    let (live, merged) = (
        adapted.forward(&x).unwrap(),
        adapted.merge().unwrap().forward(&x).unwrap(),
    );
    assert!(gap(&live, &merged) < 1e-5);
    assert!(
        gap(&live, &base.forward(&x).unwrap()) > 1e-3,
        "the adapter does something"
    );
    assert!(!merged.track_op(), "a merged layer is frozen");
}

#[test]
fn attention_layouts_agree_and_weights_sum_to_one() {
    let packed = Weights::fresh(4, &CPU);
    let layer = MultiHeadAttention::load(&packed, 8, 2, AttentionKeys::Packed).unwrap();
    let mut tensors = std::collections::HashMap::new();
    for (i, name) in ["q_proj", "k_proj", "v_proj"].into_iter().enumerate() {
        for (from, to) in [("in_proj_weight", "weight"), ("in_proj_bias", "bias")] {
            let part = packed.tensors()[from].narrow(0, i * 8, 8).unwrap();
            tensors.insert(format!("{name}.{to}"), part);
        }
    }
    for key in ["out_proj.weight", "out_proj.bias"] {
        tensors.insert(key.to_string(), packed.tensors()[key].clone());
    }
    let split = MultiHeadAttention::load(
        &Weights::from_tensors(tensors, "split"),
        8,
        2,
        AttentionKeys::Split,
    )
    .unwrap();
    let x = random(&[2, 5, 8]);
    let causal = Tensor::new(
        (0..5)
            .map(|i| {
                (0..5)
                    .map(|j| if j > i { f32::NEG_INFINITY } else { 0.0 })
                    .collect()
            })
            .collect::<Vec<Vec<f32>>>(),
        &CPU,
    )
    .unwrap();
    for mask in [Mask::None, Mask::Causal, Mask::Additive(causal)] {
        let a = layer.forward(&x, &mask).unwrap();
        assert!(
            gap(&a, &split.forward(&x, &mask).unwrap()) < 1e-5,
            "{mask:?}"
        );
        let (b, attention) = layer.forward_with_weights(&x, &mask).unwrap();
        assert!(gap(&a, &b) < 1e-5, "{mask:?}");
        assert_eq!(attention.dims(), [2, 2, 5, 5]);
        let sums = attention.sum(D::Minus1).unwrap();
        assert!(gap(&sums, &sums.ones_like().unwrap()) < 1e-5, "{mask:?}");
    }
    assert!(MultiHeadAttention::load(&packed, 8, 3, AttentionKeys::Packed).is_err());
}

#[test]
fn embedding_gradients_add_up_over_repeated_ids() {
    let table = Var::from_tensor(&random(&[5, 3])).unwrap();
    let layer = Embedding::from_tensor(table.as_tensor().clone());
    for dtype in [DType::U32, DType::I64] {
        let ids = Tensor::new(&[[1u32, 1, 4], [1, 0, 4]], &CPU)
            .unwrap()
            .to_dtype(dtype)
            .unwrap();
        let y = layer.forward(&ids).unwrap();
        assert_eq!(y.dims(), [2, 3, 3]);
        let gradients = y.sum_all().unwrap().backward().unwrap();
        let rows = gradients.get(&table).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(
            rows.iter().map(|r| r[0]).collect::<Vec<_>>(),
            [1.0, 3.0, 0.0, 0.0, 2.0]
        );
    }
    let outside = Tensor::new(&[5u32], &CPU).unwrap();
    assert!(
        layer.forward(&outside).is_err(),
        "an id beyond the table is accepted"
    );
}

#[test]
fn layers_refuse_what_does_not_fit() {
    let weights = Weights::fresh(1, &CPU);
    let conv = Conv2d::load(&weights.pp("c"), 3, 4, 3, 1, 0, Bias::No).unwrap();
    assert!(
        conv.forward(&random(&[1, 2, 5, 5])).is_err(),
        "wrong channels"
    );
    assert!(
        conv.forward(&random(&[1, 3, 2, 5])).is_err(),
        "smaller than the kernel"
    );
    assert!(
        Conv2d::load(&weights.pp("d"), 3, 4, 3, 0, 0, Bias::No).is_err(),
        "stride 0"
    );
    let norm = BatchNorm2d::load(&weights.pp("n"), 3, 1e-5).unwrap();
    assert!(
        norm.forward(&random(&[1, 2, 5, 5]), Mode::Eval).is_err(),
        "wrong channels"
    );
    assert!(
        norm.forward(&random(&[1, 3, 1, 1]), Mode::Train).is_err(),
        "one value a channel"
    );
    let linear = Linear::load(&weights.pp("l"), 3, 4, Bias::No).unwrap();
    assert!(linear.forward(&random(&[2, 4])).is_err());
    let layer_norm = LayerNorm::load(&weights.pp("ln"), 3, 1e-5).unwrap();
    assert!(layer_norm.forward(&random(&[2, 4])).is_err());
    let logits = random(&[2, 3]);
    assert!(ops::cross_entropy(&logits, &Tensor::new(&[0u32, 3], &CPU).unwrap()).is_err());
    assert!(ops::cross_entropy(&logits, &Tensor::new(&[0i64, -1], &CPU).unwrap()).is_err());
    assert!(ops::avg_pool2d(&random(&[1, 1, 3, 3]), 4).is_err());
}
