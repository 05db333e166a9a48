//! Frozen convolutions with channels innermost against the plain ones.

use super::*;
use crate::kernels::FrozenConv;

/// Images, inputs, outputs, height, width, kernel, stride, padding.
const SIZES: &[[usize; 8]] = &[
    [1, 1, 1, 1, 1, 1, 1, 0],
    [2, 3, 5, 9, 7, 3, 2, 1],
    [1, 4, 48, 6, 5, 3, 1, 1],
    [2, 16, 64, 11, 13, 1, 1, 0],
    [1, 64, 33, 8, 8, 3, 1, 1],
    [1, 130, 49, 7, 7, 3, 1, 1],
    [3, 6, 20, 10, 8, 2, 2, 0],
    [1, 5, 96, 40, 41, 3, 1, 2],
    [1, 350, 50, 4, 3, 3, 1, 1],
];

fn first(x: &Tensor) -> candle_core::Result<Tensor> {
    x.permute((0, 3, 1, 2))?.contiguous()
}

#[test]
fn a_frozen_convolution_gives_the_plain_one() {
    for (i, &[b, c, o, h, w, k, stride, padding]) in SIZES.iter().enumerate() {
        let seed = 10 * i as u64;
        let weight = random(seed, &[o, c, k, k], 0.3);
        let scale = random(seed + 1, &[o], 1.0).to_vec1::<f32>().unwrap();
        let bias = random(seed + 2, &[o], 1.0);
        let shift = bias.to_vec1::<f32>().unwrap();
        let conv = FrozenConv::new(&weight, &scale, shift, stride, padding).unwrap();
        let scale = Tensor::from_vec(scale, (o, 1, 1, 1), &CPU).unwrap();
        let scaled = weight.broadcast_mul(&scale).unwrap();
        let (oh, ow) = (
            (h + 2 * padding - k) / stride + 1,
            (w + 2 * padding - k) / stride + 1,
        );
        let operands = [
            random(seed + 3, &[b, h, w, c], 1.0),
            random(seed + 4, &[b, oh, ow, o], 1.0),
        ];
        let plain = |x: &Tensor| -> Result<Tensor> {
            let wide = |t: &Tensor| t.to_dtype(x.dtype());
            let (weight, bias) = (wide(&scaled)?, wide(&bias)?);
            let y = composed::conv2d(
                &first(x)?,
                &weight,
                Some(&bias),
                stride,
                padding,
                Then::Nothing,
            )?;
            Ok(y.permute((0, 2, 3, 1))?.contiguous()?)
        };
        let what = format!("{:?}", SIZES[i]);
        for relu in [false, true] {
            agree(
                &what,
                &operands[..1],
                |t| conv.forward(&t[0], None, relu),
                |t| {
                    Ok(if relu {
                        plain(&t[0])?.relu()?
                    } else {
                        plain(&t[0])?
                    })
                },
            );
            agree(
                &what,
                &operands,
                |t| conv.forward(&t[0], Some(&t[1]), relu),
                |t| {
                    let y = (plain(&t[0])? + &t[1])?;
                    Ok(if relu { y.relu()? } else { y })
                },
            );
        }
        let wrong = random(1, &[b, oh, ow, o + 1], 1.0);
        assert!(conv.forward(&operands[0], Some(&wrong), false).is_err());
    }
}

#[test]
fn pooling_with_channels_innermost_agrees() {
    for (h, w, size) in [(4, 6, 2), (5, 7, 2), (9, 9, 3), (7, 7, 7)] {
        agree(
            &format!("{size} on {h}×{w}"),
            &[random(1, &[2, h, w, 5], 1.0)],
            |t| avg_pool2d_last(&t[0], size),
            |t| composed::avg_pool2d_last(&t[0], size),
        );
    }
}
