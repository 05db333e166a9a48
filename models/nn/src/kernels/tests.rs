//! Every fused kernel against the same function composed from tensor operations in f64: values and gradients.

#![allow(clippy::unwrap_used)]

use candle_core::{D, DType, Device, Tensor, Var};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

mod attention;
mod frozen;
mod instructions;
mod packed;
mod question;
mod spatial;

const CPU: Device = Device::Cpu;

/// Normal-ish values from a seed, scaled.
fn random(seed: u64, shape: &[usize], size: f32) -> Tensor {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let count = shape.iter().product();
    let values: Vec<f32> = (0..count)
        .map(|_| {
            (rng.random::<f32>() + rng.random::<f32>() + rng.random::<f32>() - 1.5) * 2.0 * size
        })
        .collect();
    Tensor::from_vec(values, shape, &CPU).unwrap()
}

/// Largest difference, relative to the largest magnitude (at least 1).
fn difference(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.shape(), b.shape(), "shapes differ");
    let flat = |t: &Tensor| {
        t.flatten_all()
            .unwrap()
            .to_dtype(DType::F64)
            .unwrap()
            .to_vec1::<f64>()
            .unwrap()
    };
    let (a, b) = (flat(a), flat(b));
    let size = b.iter().fold(1.0f64, |m, x| m.max(x.abs()));
    a.iter()
        .zip(&b)
        .map(|(a, b)| {
            assert!(a.is_finite() || a == b, "{a} where {b} is wanted");
            if a == b { 0.0 } else { (a - b).abs() / size }
        })
        .fold(0.0, f64::max)
}

/// Checks that two functions of the same tensors agree in value and in the gradient of every tensor, and that a tensor
/// that is not tracked gets no gradient.
fn agree(
    what: &str,
    inputs: &[Tensor],
    fused: impl Fn(&[Tensor]) -> Result<Tensor>,
    composed: impl Fn(&[Tensor]) -> Result<Tensor>,
) {
    let vars: Vec<Var> = inputs
        .iter()
        .map(|t| Var::from_tensor(t).unwrap())
        .collect();
    let tracked: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
    let wide: Vec<Var> = inputs
        .iter()
        .map(|t| Var::from_tensor(&t.to_dtype(DType::F64).unwrap()).unwrap())
        .collect();
    let wide_tracked: Vec<Tensor> = wide.iter().map(|v| v.as_tensor().clone()).collect();
    let (y, z) = (fused(&tracked).unwrap(), composed(&wide_tracked).unwrap());
    let gap = difference(&y, &z);
    assert!(gap < 2e-6, "{what}: values differ by {gap:e}");
    let direction = random(99, y.dims(), 1.0);
    let back = |y: &Tensor| {
        let direction = direction.to_dtype(y.dtype()).unwrap();
        (y * direction)
            .unwrap()
            .sum_all()
            .unwrap()
            .backward()
            .unwrap()
    };
    let (mine, theirs) = (back(&y), back(&z));
    for (i, var) in vars.iter().enumerate() {
        let gradient = mine
            .get(var)
            .unwrap_or_else(|| panic!("{what}: operand {i} gets no gradient"));
        let gap = difference(gradient, theirs.get(&wide[i]).unwrap());
        assert!(
            gap < 6e-6,
            "{what}: gradients of operand {i} differ by {gap:e}"
        );
    }
    for frozen in 0..vars.len() {
        let some: Vec<Tensor> = (0..vars.len())
            .map(|i| {
                if i == frozen {
                    vars[i].as_detached_tensor()
                } else {
                    vars[i].as_tensor().clone()
                }
            })
            .collect();
        let y = fused(&some).unwrap();
        if vars.len() == 1 {
            assert!(
                !y.track_op(),
                "{what}: a result of frozen operands is tracked"
            );
            continue;
        }
        let gradients = back(&y);
        assert!(
            gradients.get(&vars[frozen]).is_none(),
            "{what}: frozen operand {frozen} gets a gradient"
        );
        for i in (0..vars.len()).filter(|&i| i != frozen) {
            let gap = difference(
                gradients.get(&vars[i]).unwrap(),
                theirs.get(&wide[i]).unwrap(),
            );
            assert!(
                gap < 6e-6,
                "{what}: operand {i} differs by {gap:e} when {frozen} is frozen"
            );
        }
    }
}

/// A strided view with the given shape of rank 2 or more: the last two axes swapped.
fn strided(seed: u64, shape: &[usize]) -> Tensor {
    let mut turned = shape.to_vec();
    let rank = turned.len();
    turned.swap(rank - 1, rank - 2);
    random(seed, &turned, 1.0)
        .transpose(D::Minus1, D::Minus2)
        .unwrap()
}

#[test]
fn convolution_agrees_on_odd_shapes() {
    for (b, c, o, h, w, k, stride, padding) in [
        (2, 3, 5, 7, 9, 3, 1, 1),
        (1, 16, 17, 8, 8, 1, 1, 0),
        (1, 9, 70, 6, 7, 3, 1, 1),
        (3, 4, 9, 11, 11, 3, 2, 1),
        (5, 7, 8, 16, 16, 3, 1, 1),
        (2, 3, 8, 14, 14, 7, 7, 0),
        (2, 5, 6, 9, 9, 5, 1, 2),
        (1, 3, 4, 33, 31, 3, 1, 1),
        (2, 5, 6, 9, 9, 3, 1, 0),
        (2, 5, 6, 5, 5, 1, 1, 1),
        (3, 2, 2, 5, 5, 1, 2, 0),
        (2, 2, 3, 3, 3, 3, 1, 0),
        (2, 3, 4, 5, 1, 3, 1, 1),
    ] {
        let what = format!("{c}→{o} {k}×{k} stride {stride} padding {padding} on {b}×{h}×{w}");
        agree(
            &what,
            &[random(1, &[b, c, h, w], 1.0), random(2, &[o, c, k, k], 0.2)],
            |t| conv2d(&t[0], &t[1], None, stride, padding, Then::Nothing),
            |t| composed::conv2d(&t[0], &t[1], None, stride, padding, Then::Nothing),
        );
    }
}

#[test]
fn convolution_takes_strided_operands_and_sizes_that_the_stride_does_not_divide() {
    let (x, w) = (strided(1, &[2, 3, 8, 9]), strided(2, &[4, 3, 3, 3]));
    for stride in [1, 2, 3] {
        let mine = conv2d(&x, &w, None, stride, 1, Then::Nothing).unwrap();
        let theirs = composed::conv2d(&x, &w, None, stride, 1, Then::Nothing).unwrap();
        assert!(difference(&mine, &theirs) < 2e-6, "stride {stride}");
    }
}

#[test]
fn convolution_gradients_hold_where_the_stride_leaves_pixels_over() {
    // Composition has no backward for these sizes, so the gradient is checked against the definition: the output is
    // linear in x and in w, so <conv(dx, w), g> = <dx, grad_x> for any dx, and likewise for w.
    let (b, c, o, h, w, k, stride, padding) = (2, 3, 4, 10, 8, 3, 2, 1);
    let x = Var::from_tensor(&random(1, &[b, c, h, w], 1.0)).unwrap();
    let weight = Var::from_tensor(&random(2, &[o, c, k, k], 1.0)).unwrap();
    let y = conv2d(&x, &weight, None, stride, padding, Then::Nothing).unwrap();
    let g = random(3, y.dims(), 1.0);
    let gradients = (y * &g).unwrap().sum_all().unwrap().backward().unwrap();
    let dot = |a: &Tensor, b: &Tensor| {
        (a * b)
            .unwrap()
            .sum_all()
            .unwrap()
            .to_scalar::<f32>()
            .unwrap()
    };
    let dx = random(4, &[b, c, h, w], 1.0);
    let dw = random(5, &[o, c, k, k], 1.0);
    let by_x = dot(
        &composed::conv2d(&dx, &weight, None, stride, padding, Then::Nothing).unwrap(),
        &g,
    );
    let by_w = dot(
        &composed::conv2d(&x, &dw, None, stride, padding, Then::Nothing).unwrap(),
        &g,
    );
    assert!((by_x - dot(gradients.get(&x).unwrap(), &dx)).abs() < 1e-3);
    assert!((by_w - dot(gradients.get(&weight).unwrap(), &dw)).abs() < 1e-3);
}

#[test]
fn batch_normalisation_agrees() {
    for (b, c, h, w) in [
        (2, 3, 5, 7),
        (1, 1, 1, 2),
        (4, 5, 1, 1),
        (3, 9, 16, 16),
        (2, 2, 70, 70),
    ] {
        for follow in [Follow::Nothing, Follow::Relu] {
            let what = format!("{b}×{c}×{h}×{w} {follow:?}");
            let x = (random(1, &[b, c, h, w], 2.0) + 5.0).unwrap();
            let inputs = [x, random(2, &[c], 1.0), random(3, &[c], 1.0)];
            agree(
                &format!("batch {what}"),
                &inputs,
                |t| Ok(batch_norm(&t[0], &t[1], &t[2], 1e-2, follow)?.0),
                |t| Ok(composed::batch_norm(&t[0], &t[1], &t[2], 1e-2, follow)?.0),
            );
            agree(
                &format!("affine {what}"),
                &inputs,
                |t| scale_shift(&t[0], &t[1], &t[2], follow),
                |t| composed::scale_shift(&t[0], &t[1], &t[2], follow),
            );
            let (_, mean, var) =
                batch_norm(&inputs[0], &inputs[1], &inputs[2], 1e-5, follow).unwrap();
            let (_, m, v) =
                composed::batch_norm(&inputs[0], &inputs[1], &inputs[2], 1e-5, follow).unwrap();
            assert!(
                difference(&mean, &m) < 2e-6 && difference(&var, &v) < 2e-6,
                "{what}"
            );
        }
    }
}

#[test]
fn batch_statistics_keep_their_digits_far_from_zero() {
    let x = (random(1, &[8, 2, 32, 32], 0.01) + 100.0).unwrap();
    let ones = Tensor::ones(2, candle_core::DType::F32, &CPU).unwrap();
    let (_, _, var) = batch_norm(&x, &ones, &ones, 1e-5, Follow::Nothing).unwrap();
    let wide = x
        .to_dtype(candle_core::DType::F64)
        .unwrap()
        .transpose(0, 1)
        .unwrap()
        .flatten_from(1)
        .unwrap();
    let centred = wide.broadcast_sub(&wide.mean_keepdim(1).unwrap()).unwrap();
    let wanted = centred
        .sqr()
        .unwrap()
        .mean(1)
        .unwrap()
        .to_vec1::<f64>()
        .unwrap();
    for (found, wanted) in var.to_vec1::<f32>().unwrap().iter().zip(wanted) {
        assert!(
            (f64::from(*found) / wanted - 1.0).abs() < 1e-3,
            "{found} for {wanted}"
        );
    }
}

#[test]
fn average_pooling_agrees() {
    for (h, w, size) in [(4, 6, 2), (5, 7, 2), (9, 9, 3), (7, 7, 7), (4, 4, 4)] {
        agree(
            &format!("{size} on {h}×{w}"),
            &[random(1, &[2, 3, h, w], 1.0)],
            |t| avg_pool2d(&t[0], size),
            |t| composed::avg_pool2d(&t[0], size),
        );
    }
}

#[test]
fn linear_agrees() {
    for (shape, outputs) in [
        (vec![3, 5], 7),
        (vec![1, 64], 1),
        (vec![2, 3, 17], 33),
        (vec![130, 48], 40),
    ] {
        let inputs = shape[shape.len() - 1];
        let operands = [
            random(1, &shape, 1.0),
            random(2, &[outputs, inputs], 0.3),
            random(3, &[outputs], 1.0),
        ];
        let what = format!("{shape:?} to {outputs}");
        agree(
            &what,
            &operands,
            |t| linear(&t[0], &t[1], Some(&t[2])),
            |t| composed::linear(&t[0], &t[1], Some(&t[2])),
        );
        agree(
            &format!("{what} without bias"),
            &operands[..2],
            |t| linear(&t[0], &t[1], None),
            |t| composed::linear(&t[0], &t[1], None),
        );
    }
    assert!(linear(&random(1, &[2, 3], 1.0), &random(1, &[2, 4], 1.0), None).is_err());
}

#[test]
fn activations_agree_from_the_middle_to_the_far_ends() {
    for function in [
        Activation::QuickGelu,
        Activation::GeluErf,
        Activation::GeluTanh,
        Activation::Relu,
        Activation::Silu,
    ] {
        for (shape, size) in [
            (vec![3, 7], 1.0),
            (vec![1], 1.0),
            (vec![5, 33], 4.0),
            (vec![40_000], 3.0),
        ] {
            agree(
                &format!("{function:?} {shape:?}"),
                &[random(1, &shape, size)],
                |t| activation(&t[0], function),
                |t| composed::activation(&t[0], function),
            );
        }
        let far = Tensor::new(
            &[-300.0f32, -80.0, -20.0, -0.0, 0.0, 20.0, 80.0, 300.0],
            &CPU,
        )
        .unwrap();
        let y = activation(&far, function)
            .unwrap()
            .to_vec1::<f32>()
            .unwrap();
        assert!(
            y[..3].iter().all(|y| y.abs() < 1e-6),
            "{function:?} at the left: {y:?}"
        );
        assert_eq!(&y[5..], &[20.0, 80.0, 300.0], "{function:?} at the right");
    }
}

#[test]
fn elementary_functions_are_accurate() {
    functions_are_accurate::<math::Split>();
    functions_are_accurate::<math::Fused>();
}

fn functions_are_accurate<A: math::Arithmetic>() {
    let mut worst = (0.0f64, 0.0f64);
    for i in -868_990..=887_000 {
        let x = i as f32 * 1e-4;
        let wanted = f64::from(x).exp();
        worst.0 = worst
            .0
            .max((f64::from(math::exp::<A>(x)) / wanted - 1.0).abs());
    }
    let z = Tensor::new(
        (-50_000..=50_000)
            .map(|i| f64::from(i) * 1e-4)
            .collect::<Vec<_>>(),
        &CPU,
    )
    .unwrap();
    let erf = z.erf().unwrap().to_vec1::<f64>().unwrap();
    for (z, wanted) in z.to_vec1::<f64>().unwrap().iter().zip(erf) {
        let error = (f64::from(math::erf_and_bell::<A>(*z as f32).0) - wanted).abs();
        worst.1 = worst.1.max(error);
    }
    assert!(worst.0 < 2e-7, "exp is off by {:e}", worst.0);
    assert!(worst.1 < 2e-7, "erf is off by {:e}", worst.1);
    assert_eq!(math::exp::<A>(f32::NEG_INFINITY), 0.0);
    assert_eq!(math::exp::<A>(1000.0), f32::INFINITY);
    assert!(math::exp::<A>(f32::NAN).is_nan());
}

#[test]
fn row_functions_agree() {
    for shape in [
        vec![1, 1],
        vec![3, 5],
        vec![2, 3, 16],
        vec![7, 77],
        vec![300, 129],
    ] {
        let what = format!("{shape:?}");
        for size in [1.0, 80.0] {
            let x = [random(1, &shape, size)];
            agree(
                &format!("softmax {what}"),
                &x,
                |t| softmax(&t[0]),
                |t| composed::softmax(&t[0]),
            );
            agree(
                &format!("log-softmax {what}"),
                &x,
                |t| log_softmax(&t[0]),
                |t| composed::log_softmax(&t[0]),
            );
            agree(
                &format!("unit length {what}"),
                &x,
                |t| l2_normalise(&t[0]),
                |t| composed::l2_normalise(&t[0]),
            );
        }
        let n = shape[shape.len() - 1];
        if n > 1 {
            agree(
                &format!("layer norm {what}"),
                &[
                    (random(1, &shape, 1.0) + 3.0).unwrap(),
                    random(2, &[n], 1.0),
                    random(3, &[n], 1.0),
                ],
                |t| layer_norm(&t[0], &t[1], &t[2], 1e-5),
                |t| composed::layer_norm(&t[0], &t[1], &t[2], 1e-5),
            );
        }
        agree(
            &format!("scale {what}"),
            &[random(1, &shape, 1.0), random(2, &[n], 1.0)],
            |t| scale(&t[0], &t[1]),
            |t| composed::scale(&t[0], &t[1]),
        );
    }
    let x = strided(1, &[9, 13]);
    assert!(difference(&softmax(&x).unwrap(), &composed::softmax(&x).unwrap()) < 1e-6);
    let zero = Tensor::zeros((2, 3), DType::F32, &CPU).unwrap();
    assert_eq!(
        l2_normalise(&zero).unwrap().to_vec2::<f32>().unwrap(),
        vec![vec![0.0; 3]; 2]
    );
}

#[test]
fn softmax_survives_magnitudes_of_eighty_and_masked_positions() {
    let x = Tensor::new(
        &[[-80.0f32, 80.0, 79.0], [f32::NEG_INFINITY, 1e30, -1e30]],
        &CPU,
    )
    .unwrap();
    let y = softmax(&x).unwrap().to_vec2::<f32>().unwrap();
    assert!((y[0][1] - 0.731_058_6).abs() < 1e-6 && y[0][0] < 1e-30);
    assert_eq!(y[1], [0.0, 1.0, 0.0]);
}

#[test]
fn cross_entropy_agrees() {
    for (n, classes) in [(1, 2), (5, 7), (33, 100)] {
        let targets: Vec<i64> = (0..n).map(|i| (i * 3 % classes) as i64).collect();
        for size in [1.0, 80.0] {
            agree(
                &format!("{n} rows of {classes}"),
                &[random(1, &[n, classes], size)],
                |t| cross_entropy(&t[0], &targets),
                |t| composed::cross_entropy(&t[0], &targets),
            );
        }
    }
}
