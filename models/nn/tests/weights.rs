//! The store: loaded and fresh tensors, trainable ones, files and their errors.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use lucency_nn::{BatchNorm2d, Bias, Init, Linear, Mode, NnError, Weights, ops};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

const CPU: Device = Device::Cpu;

fn values(t: &Tensor) -> Vec<f32> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

fn loaded(tensors: &[(&str, Tensor)]) -> Weights {
    let tensors: HashMap<_, _> = tensors
        .iter()
        .map(|(k, t)| (k.to_string(), t.clone()))
        .collect();
    Weights::from_tensors(tensors, "model.safetensors")
}

#[test]
fn a_missing_tensor_is_an_error_that_names_key_shape_and_file() {
    let weights = loaded(&[("a.weight", Tensor::zeros((2, 3), DType::F32, &CPU).unwrap())]);
    let error = Linear::load(&weights.pp("a"), 3, 2, Bias::Yes).unwrap_err();
    assert!(
        matches!(&error, NnError::MissingTensor { key, .. } if key == "a.bias"),
        "{error}"
    );
    let text = error.to_string();
    assert!(
        text.contains("a.bias") && text.contains("[2]") && text.contains("model.safetensors"),
        "{text}"
    );
}

#[test]
fn a_misshapen_tensor_is_an_error_that_names_both_shapes() {
    let weights = loaded(&[("weight", Tensor::zeros((2, 3), DType::F32, &CPU).unwrap())]);
    let text = Linear::load(&weights, 4, 2, Bias::No)
        .unwrap_err()
        .to_string();
    for part in ["weight", "[2, 4]", "[2, 3]", "model.safetensors"] {
        assert!(text.contains(part), "`{text}` does not say {part}");
    }
}

#[test]
fn a_fresh_store_depends_on_seed_and_key_but_not_on_order() {
    let draw = |seed, names: [&str; 2]| {
        let weights = Weights::fresh(seed, &CPU);
        names.map(|name| {
            values(
                &weights
                    .get(
                        5,
                        name,
                        Init::Normal {
                            mean: 0.0,
                            std: 1.0,
                        },
                    )
                    .unwrap(),
            )
        })
    };
    let [a, b] = draw(1, ["a", "b"]);
    let [b_again, a_again] = draw(1, ["b", "a"]);
    assert_eq!(
        (&a, &b),
        (&a_again, &b_again),
        "the order of building changed the values"
    );
    assert_ne!(a, b);
    assert_ne!(a, draw(2, ["a", "b"])[0]);
}

#[test]
fn initial_values_follow_their_distribution() {
    let weights = Weights::fresh(3, &CPU);
    let get = |name, init| values(&weights.get(10_000, name, init).unwrap());
    let kaiming = get("kaiming", Init::KaimingUniform { fan_in: 16 });
    assert!(kaiming.iter().all(|x| x.abs() <= 0.25) && kaiming.iter().any(|x| x.abs() > 0.24));
    let cut = get("cut", Init::TruncNormal { std: 0.5 });
    assert!(
        cut.iter().all(|x| x.abs() <= 1.0),
        "a draw lies beyond two standard deviations"
    );
    let normal = get(
        "normal",
        Init::Normal {
            mean: 2.0,
            std: 0.5,
        },
    );
    let mean = normal.iter().sum::<f32>() / 1e4;
    let var = normal.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / 1e4;
    assert!(
        (mean - 2.0).abs() < 0.03 && (var - 0.25).abs() < 0.02,
        "mean {mean}, variance {var}"
    );
    assert!(get("const", Init::Const(3.0)).iter().all(|&x| x == 3.0));
}

#[test]
fn only_keys_that_pass_the_filter_are_trainable() {
    let weights = Weights::fresh(1, &CPU);
    weights.train_where(|key| key.starts_with("head.")).unwrap();
    let body = Linear::load(&weights.pp("body"), 4, 4, Bias::Yes).unwrap();
    let head = Linear::load(&weights.pp("head"), 4, 2, Bias::Yes).unwrap();
    let keys: Vec<String> = weights.vars().into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["head.bias", "head.weight"]);
    let x = Tensor::ones((3, 4), DType::F32, &CPU).unwrap();
    let gradients = head
        .forward(&body.forward(&x).unwrap())
        .unwrap()
        .sum_all()
        .unwrap()
        .backward()
        .unwrap();
    assert!(
        weights
            .vars()
            .iter()
            .all(|(_, var)| gradients.get(var).is_some())
    );
    assert!(
        gradients.get(&body.weight().unwrap()).is_none(),
        "a frozen weight has a gradient"
    );
    let late = weights.train_where(|_| true).unwrap_err();
    assert!(matches!(late, NnError::Conflict { .. }), "{late}");
}

#[test]
fn what_is_saved_is_what_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let weights = Weights::fresh(7, &CPU);
    weights.train_where(|_| true).unwrap();
    let linear = Linear::load(&weights.pp("fc"), 12, 3, Bias::Yes).unwrap();
    let norm = BatchNorm2d::load(&weights.pp("bn"), 3, 1e-5).unwrap();
    let x = Tensor::randn(0f32, 1.0, (4, 3, 2, 2), &CPU).unwrap();
    norm.forward(&x, Mode::Train).unwrap();
    let run = |linear: &Linear, norm: &BatchNorm2d| {
        let y = norm
            .forward(&x, Mode::Eval)
            .unwrap()
            .flatten_from(1)
            .unwrap();
        values(&linear.forward(&y).unwrap())
    };
    let live = run(&linear, &norm);
    for (dtype, tolerance) in [(DType::F32, 0.0), (DType::F16, 5e-3)] {
        let path = folder.path().join("w.safetensors");
        weights.save(&path, dtype).unwrap();
        let read = Weights::open(&path, &CPU).unwrap();
        assert_eq!(
            read.tensors().keys().collect::<Vec<_>>(),
            weights.tensors().keys().collect::<Vec<_>>()
        );
        let linear = Linear::load(&read.pp("fc"), 12, 3, Bias::Yes).unwrap();
        let norm = BatchNorm2d::load(&read.pp("bn"), 3, 1e-5).unwrap();
        for (a, b) in run(&linear, &norm).iter().zip(&live) {
            assert!((a - b).abs() <= tolerance, "{a} was {b} as {dtype:?}");
        }
    }
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        1,
        "temporary files are left over"
    );
}

#[test]
fn running_statistics_are_saved_but_not_trained() {
    let weights = Weights::fresh(1, &CPU);
    weights.train_where(|_| true).unwrap();
    let norm = BatchNorm2d::load(&weights.pp("bn"), 2, 1e-5).unwrap();
    assert_eq!(weights.vars().len(), 2, "only scale and shift are trained");
    let before = weights.snapshot().unwrap();
    let x = (Tensor::randn(0f32, 2.0, (8, 2, 3, 3), &CPU).unwrap() + 4.0).unwrap();
    norm.forward(&x, Mode::Train).unwrap();
    let after = weights.tensors();
    let by_hand = |c: usize| {
        let channel = values(&x.narrow(1, c, 1).unwrap());
        let n = channel.len() as f32;
        let mean = channel.iter().sum::<f32>() / n;
        let var = channel.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / (n - 1.0);
        (0.1 * mean, 0.9 + 0.1 * var)
    };
    for c in 0..2 {
        let (mean, var) = by_hand(c);
        assert!((values(&after["bn.running_mean"])[c] - mean).abs() < 1e-5);
        assert!((values(&after["bn.running_var"])[c] - var).abs() < 1e-5);
    }
    assert_eq!(
        values(&before["bn.running_mean"]),
        [0.0, 0.0],
        "a snapshot moved with training"
    );
    assert_eq!(weights.restore(&before).unwrap(), 4);
    assert_eq!(values(&weights.tensors()["bn.running_var"]), [1.0, 1.0]);
}

#[test]
fn integers_keep_their_type_and_half_floats_are_widened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mixed.safetensors");
    let ids = Tensor::new(&[1i64, 2, 3], &CPU).unwrap();
    let half = Tensor::new(&[0.5f32, -2.0], &CPU)
        .unwrap()
        .to_dtype(DType::F16)
        .unwrap();
    candle_core::safetensors::save(&HashMap::from([("ids", ids), ("half", half)]), &path).unwrap();
    let tensors = Weights::open(&path, &CPU).unwrap().tensors();
    assert_eq!(tensors["ids"].dtype(), DType::I64);
    assert_eq!(values(&tensors["half"]), [0.5, -2.0]);
}

#[test]
fn a_value_beyond_half_floats_is_refused_and_the_old_file_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    let save =
        |x: f32, dtype| loaded(&[("w", Tensor::new(&[x], &CPU).unwrap())]).save(&path, dtype);
    save(1.0, DType::F16).unwrap();
    assert!(matches!(save(1e6, DType::F16), Err(NnError::Write { .. })));
    assert_eq!(
        values(&Weights::open(&path, &CPU).unwrap().tensors()["w"]),
        [1.0]
    );
}

#[test]
fn a_file_cut_anywhere_is_refused_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    loaded(&[("w", Tensor::zeros((4, 4), DType::F32, &CPU).unwrap())])
        .save(&path, DType::F32)
        .unwrap();
    let whole = std::fs::read(&path).unwrap();
    let cut = folder.path().join("cut.safetensors");
    for length in (0..whole.len()).step_by(5).chain([whole.len() - 1]) {
        std::fs::write(&cut, &whole[..length]).unwrap();
        let error = Weights::open(&cut, &CPU)
            .err()
            .unwrap_or_else(|| panic!("{length} bytes were accepted"));
        assert!(error.to_string().contains("cut.safetensors"), "{error}");
    }
    assert!(matches!(
        Weights::open(&folder.path().join("absent"), &CPU),
        Err(NnError::Read { .. })
    ));
}

#[test]
fn a_loaded_store_invents_nothing_but_adapters_that_are_asked_for() {
    let weights = loaded(&[("fc.weight", Tensor::ones((2, 3), DType::F32, &CPU).unwrap())]);
    assert!(weights.get(2, "fc.scale", Init::Ones).is_err());
    assert!(weights.contains("fc.weight") && !weights.contains("fc.scale"));
    let adapted = Linear::load(&weights.pp("fc"), 3, 2, Bias::No)
        .unwrap()
        .with_lora(1, 1.0, &weights.pp("fc"))
        .unwrap();
    let x = Tensor::ones((1, 3), DType::F32, &CPU).unwrap();
    assert_eq!(
        values(&adapted.forward(&x).unwrap()),
        [3.0, 3.0],
        "an adapter starts as nothing"
    );
    assert!(weights.tensors().contains_key("fc.lora_A.weight"));
}

#[test]
fn dropout_keeps_the_mean_and_repeats_with_its_seed() {
    let x = Tensor::ones(10_000, DType::F32, &CPU).unwrap();
    let run = |seed| values(&ops::dropout(&x, 0.25, &mut ChaCha8Rng::seed_from_u64(seed)).unwrap());
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
    let mean = run(1).iter().sum::<f32>() / 1e4;
    assert!((mean - 1.0).abs() < 0.03, "mean {mean}");
    assert!(ops::dropout(&x, 1.0, &mut ChaCha8Rng::seed_from_u64(1)).is_err());
}
