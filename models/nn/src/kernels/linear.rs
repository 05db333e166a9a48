//! `y = x Wᵀ + b` with the bias added by the product, and gradients only for what is tracked.

use candle_core::{D, Shape, Tensor};
use rayon::prelude::*;

use super::fused::{Fused2, Fused3, with_floats};
use super::simd::{Into, Matrix, Threads, product};
use crate::{NnError, Result};

/// Rows, inputs and outputs.
#[derive(Clone, Copy)]
struct Sizes {
    rows: usize,
    inputs: usize,
    outputs: usize,
}

impl Sizes {
    fn forward(self, x: &[f32], weight: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
        let mut y = vec![0.0; self.rows * self.outputs];
        if let Some(bias) = bias {
            y.chunks_exact_mut(self.outputs)
                .for_each(|row| row.copy_from_slice(bias));
        }
        let into = if bias.is_some() {
            Into::Add
        } else {
            Into::Replace
        };
        let sizes = (self.rows, self.inputs, self.outputs);
        let (a, b) = (
            Matrix::rows(x, self.inputs),
            Matrix::columns(weight, self.inputs),
        );
        product(sizes, a, b, &mut y, self.outputs, 1.0, into, Threads::All);
        y
    }

    fn input_gradient(self, weight: &[f32], dy: &[f32]) -> Vec<f32> {
        let mut dx = vec![0.0; self.rows * self.inputs];
        let sizes = (self.rows, self.outputs, self.inputs);
        let (a, b) = (
            Matrix::rows(dy, self.outputs),
            Matrix::rows(weight, self.inputs),
        );
        product(
            sizes,
            a,
            b,
            &mut dx,
            self.inputs,
            1.0,
            Into::Replace,
            Threads::All,
        );
        dx
    }

    fn weight_gradient(self, x: &[f32], dy: &[f32]) -> Vec<f32> {
        let mut dw = vec![0.0; self.outputs * self.inputs];
        let sizes = (self.outputs, self.rows, self.inputs);
        let (a, b) = (
            Matrix::columns(dy, self.outputs),
            Matrix::rows(x, self.inputs),
        );
        product(
            sizes,
            a,
            b,
            &mut dw,
            self.inputs,
            1.0,
            Into::Replace,
            Threads::All,
        );
        dw
    }

    fn bias_gradient(self, dy: &[f32]) -> Vec<f32> {
        let rows = (16 * 1024usize).div_ceil(self.outputs) * self.outputs;
        let sums: Vec<Vec<f32>> = dy
            .par_chunks(rows)
            .map(|dy| {
                let mut sum = vec![0.0; self.outputs];
                add_rows(dy, &mut sum);
                sum
            })
            .collect();
        let mut db = vec![0.0; self.outputs];
        sums.iter().for_each(|sum| add_rows(sum, &mut db));
        db
    }

    fn gradients(
        self,
        x: &Tensor,
        weight: &Tensor,
        dy: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let dx = match x.track_op() {
            true => {
                let dx =
                    with_floats(weight, |w| with_floats(dy, |dy| self.input_gradient(w, dy)))??;
                Some(Tensor::from_vec(dx, x.shape(), x.device())?)
            }
            false => None,
        };
        let dw = match weight.track_op() {
            true => {
                let dw = with_floats(x, |x| with_floats(dy, |dy| self.weight_gradient(x, dy)))??;
                Some(Tensor::from_vec(dw, weight.shape(), weight.device())?)
            }
            false => None,
        };
        Ok((dx, dw))
    }
}

fn add_rows(rows: &[f32], sum: &mut [f32]) {
    for row in rows.chunks_exact(sum.len()) {
        for (sum, value) in sum.iter_mut().zip(row) {
            *sum += value;
        }
    }
}

pub(crate) fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let (outputs, inputs) = weight.dims2()?;
    if x.dim(D::Minus1)? != inputs {
        let reason = format!("{:?} where the last axis is {inputs} long", x.shape());
        return Err(NnError::argument("linear", reason));
    }
    let sizes = Sizes {
        rows: x.elem_count() / inputs,
        inputs,
        outputs,
    };
    let mut shape = x.dims().to_vec();
    *shape
        .last_mut()
        .expect("a tensor with a last axis has a shape") = outputs;
    let shape = Shape::from(shape);
    let (x, weight) = (x.contiguous()?, weight.contiguous()?);
    let Some(bias) = bias else {
        let op = Fused2 {
            name: "linear",
            forward: move |x: &[f32], w: &[f32]| (sizes.forward(x, w, None), shape.clone()),
            backward: move |x: &Tensor, w: &Tensor, _: &Tensor, dy: &Tensor| {
                sizes.gradients(x, w, dy)
            },
        };
        return Ok(x.apply_op2(&weight, op)?);
    };
    let op = Fused3 {
        name: "linear",
        forward: move |x: &[f32], w: &[f32], b: &[f32]| {
            (sizes.forward(x, w, Some(b)), shape.clone())
        },
        backward: move |x: &Tensor, w: &Tensor, b: &Tensor, _: &Tensor, dy: &Tensor| {
            let (dx, dw) = sizes.gradients(x, w, dy)?;
            let db = match b.track_op() {
                true => {
                    let db = with_floats(dy, |dy| sizes.bias_gradient(dy))?;
                    Some(Tensor::from_vec(db, b.shape(), b.device())?)
                }
                false => None,
            };
            Ok((dx, dw, db))
        },
    };
    Ok(x.apply_op3(&weight, &bias.contiguous()?, op)?)
}
