//! How fast the fused kernels are beside stock tensor operations: `cargo run -p lucency-nn --example kernels`.
//!
//! Prints milliseconds (the best of several runs) forward, and forward with backward, and the ratio stock : fused.

use std::time::Instant;

use candle_core::{D, DType, Device, Result, Tensor, Var};
use lucency_nn::{Activation, BatchNorm2d, Conv2d, Mask, Mode, NnError, Weights, ops};

type Function<'a> = &'a dyn Fn(&[Tensor]) -> std::result::Result<Tensor, NnError>;

fn main() -> std::result::Result<(), NnError> {
    println!(
        "{:<44} {:>17} {:>8} {:>17} {:>8}",
        "", "forward ms", "ratio", "with backward ms", "ratio"
    );
    linear()?;
    rows()?;
    attention()?;
    activations()?;
    convolutions()?;
    batch_norm()
}

fn random(shape: &[usize]) -> Result<Tensor> {
    Tensor::randn(0f32, 1.0, shape, &Device::Cpu)
}

/// Best of a few runs, in milliseconds, of the forward and of forward and backward.
fn time(inputs: &[Tensor], f: Function<'_>) -> std::result::Result<(f64, f64), NnError> {
    let vars = inputs
        .iter()
        .map(Var::from_tensor)
        .collect::<Result<Vec<_>>>()?;
    let tracked: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
    let (mut forward, mut both) = (f64::MAX, f64::MAX);
    let begun = Instant::now();
    for run in 0..7 {
        if run >= 2 && begun.elapsed().as_secs_f64() > 2.0 {
            break;
        }
        let start = Instant::now();
        let y = f(&tracked)?;
        forward = forward.min(start.elapsed().as_secs_f64() * 1e3);
        y.backward()?;
        both = both.min(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok((forward, both))
}

fn compare(
    what: &str,
    inputs: &[Tensor],
    fused: Function<'_>,
    stock: Function<'_>,
) -> std::result::Result<(), NnError> {
    let (a, b) = (time(inputs, fused)?, time(inputs, stock)?);
    println!(
        "{what:<44} {:>8.2} {:>8.2} {:>7.1}x {:>8.2} {:>8.2} {:>7.1}x",
        a.0,
        b.0,
        b.0 / a.0,
        a.1,
        b.1,
        b.1 / a.1
    );
    Ok(())
}

fn linear() -> std::result::Result<(), NnError> {
    let inputs = [
        random(&[32, 50, 256])?,
        random(&[1024, 256])?,
        random(&[1024])?,
    ];
    compare(
        "linear 32×50, 256 → 1024",
        &inputs,
        &|t| lucency_nn::Linear::from_tensors(t[1].clone(), Some(t[2].clone())).forward(&t[0]),
        &|t| Ok(t[0].broadcast_matmul(&t[1].t()?)?.broadcast_add(&t[2])?),
    )
}

fn rows() -> std::result::Result<(), NnError> {
    let inputs = [random(&[32, 77, 512])?, random(&[512])?, random(&[512])?];
    compare(
        "layer norm 32×77×512",
        &inputs,
        &|t| ops::layer_norm(&t[0], &t[1], &t[2], 1e-5),
        &|t| {
            let centred = t[0].broadcast_sub(&t[0].mean_keepdim(D::Minus1)?)?;
            let var = centred.sqr()?.mean_keepdim(D::Minus1)?;
            let unit = centred.broadcast_div(&(var + 1e-5)?.sqrt()?)?;
            Ok(unit.broadcast_mul(&t[1])?.broadcast_add(&t[2])?)
        },
    )?;
    compare(
        "softmax 32×8×77×77",
        &[random(&[32, 8, 77, 77])?],
        &|t| ops::softmax_last(&t[0]),
        &|t| Ok(candle_nn::ops::softmax(&t[0], D::Minus1)?),
    )
}

fn attention() -> std::result::Result<(), NnError> {
    let shape = [32, 8, 77, 64];
    compare(
        "attention 32×8×77×64",
        &[random(&shape)?, random(&shape)?, random(&shape)?],
        &|t| ops::attention(&t[0], &t[1], &t[2], &Mask::None, 0.125),
        &|t| {
            let scores = (t[0].matmul(&t[1].transpose(2, 3)?)? * 0.125)?;
            Ok(candle_nn::ops::softmax(&scores, D::Minus1)?.matmul(&t[2])?)
        },
    )
}

fn activations() -> std::result::Result<(), NnError> {
    let x = [random(&[32, 77, 2048])?];
    compare("gelu (erf) 32×77×2048", &x, &|t| ops::gelu(&t[0]), &|t| {
        Ok(t[0].gelu_erf()?)
    })?;
    compare(
        "quick gelu 32×77×2048",
        &x,
        &|t| Activation::QuickGelu.forward(&t[0]),
        &|t| Ok((&t[0] * candle_nn::ops::sigmoid(&(&t[0] * 1.702)?)?)?),
    )
}

fn convolutions() -> std::result::Result<(), NnError> {
    for (batch, inputs, outputs, side, kernel) in [
        (32, 64, 64, 32, 3),
        (32, 128, 128, 16, 3),
        (32, 256, 256, 8, 3),
        (32, 64, 256, 32, 1),
        (1, 64, 64, 32, 3),
    ] {
        let operands = [
            random(&[batch, inputs, side, side])?,
            random(&[outputs, inputs, kernel, kernel])?,
        ];
        let what = format!("conv {kernel}×{kernel} {inputs} → {outputs}, {batch}×{side}×{side}");
        compare(
            &what,
            &operands,
            &|t| Conv2d::from_tensors(t[1].clone(), None, 1, kernel / 2).forward(&t[0]),
            &|t| Ok(t[0].conv2d(&t[1], kernel / 2, 1, 1, 1)?),
        )?;
    }
    Ok(())
}

fn batch_norm() -> std::result::Result<(), NnError> {
    let weights = Weights::fresh(1, &Device::Cpu);
    let layer = BatchNorm2d::load(&weights, 64, 1e-5)?;
    let ones = Tensor::ones((1, 64, 1, 1), DType::F32, &Device::Cpu)?;
    compare(
        "batch norm + relu 32×64×32×32",
        &[random(&[32, 64, 32, 32])?],
        &|t| layer.forward_relu(&t[0], Mode::Train),
        &|t| {
            let mean = t[0].mean_keepdim((0, 2, 3))?;
            let centred = t[0].broadcast_sub(&mean)?;
            let var = centred.sqr()?.mean_keepdim((0, 2, 3))?;
            let unit = centred.broadcast_div(&(var + 1e-5)?.sqrt()?)?;
            Ok(unit.broadcast_mul(&ones)?.broadcast_add(&ones)?.relu()?)
        },
    )
}
