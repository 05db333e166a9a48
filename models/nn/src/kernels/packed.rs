//! Frozen weight matrices in the form that the matrix product reads best, and what follows the product done with it.

use std::fmt;
use std::sync::Arc;

use candle_core::{D, Shape, Tensor};

use super::fused::{Fused1, Fused2, with_floats};
use super::simd::{Finish, Panels};
use super::{elementwise, fused};
use crate::{Activation, NnError, Quantisation, Result};

/// A frozen weight matrix `[outputs, inputs]`, packed for this machine.
#[derive(Clone)]
pub(crate) struct Packed(Arc<Panels>);

impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Packed[{}, {}]", self.0.outputs, self.0.inputs)
    }
}

/// What follows `x Wᵀ + b`.
#[derive(Clone, Copy, Default)]
pub(crate) struct After<'a> {
    /// A function of every element.
    pub activation: Option<Activation>,
    /// Added last; shaped like the result.
    pub add: Option<&'a Tensor>,
}

/// Whether a weight can be packed: f32 on a CPU, not tracked for gradients.
pub(crate) fn packable(weight: &Tensor) -> bool {
    fused::fusible(&[weight]) && !weight.track_op() && weight.elem_count() > 0
}

impl Packed {
    /// Packs a matrix that is [`packable`], in 8 or 4 bits a number if that is asked for.
    pub(crate) fn new(weight: &Tensor, quantise: Option<Quantisation>) -> Result<Self> {
        let (outputs, inputs) = weight.dims2()?;
        let panels = with_floats(weight, |w| match quantise {
            Some(kind) => Panels::quantise(w, outputs, inputs, kind),
            None => Panels::pack(w, outputs, inputs),
        })?;
        Ok(Self(Arc::new(panels)))
    }

    /// Bytes that the matrix takes in memory.
    #[cfg(test)]
    pub(crate) fn size(&self) -> usize {
        self.0.size()
    }

    /// Outputs and inputs.
    pub(crate) fn dims(&self) -> [usize; 2] {
        [self.0.outputs, self.0.inputs]
    }

    /// A copy of the weight, `[outputs, inputs]`.
    pub(crate) fn to_tensor(&self) -> Result<Tensor> {
        let device = candle_core::Device::Cpu;
        Ok(Tensor::from_vec(
            self.0.unpack(),
            &self.dims()[..],
            &device,
        )?)
    }

    /// `x Wᵀ + b` over the last axis, and what follows. Gradients flow to `x` and to what is added, not to the bias.
    pub(crate) fn linear(
        &self,
        x: &Tensor,
        bias: Option<&Tensor>,
        after: After<'_>,
    ) -> Result<Tensor> {
        let [outputs, inputs] = self.dims();
        if x.dim(D::Minus1)? != inputs {
            let reason = format!("{:?} where the last axis is {inputs} long", x.shape());
            return Err(NnError::argument("linear", reason));
        }
        let mut shape = x.dims().to_vec();
        if let Some(last) = shape.last_mut() {
            *last = outputs;
        }
        let x = x.contiguous()?;
        if let (true, Some(function)) = (x.track_op(), after.activation) {
            // The backward needs what the function was given.
            let y = self.apply(&x, bias, None, &shape)?;
            let y = elementwise::activation(&y, function)?;
            return Ok(match after.add {
                Some(add) => (add + y)?,
                None => y,
            });
        }
        match after.add {
            Some(add) => self.apply_add(&x, bias, after.activation, add, &shape),
            None => self.apply(&x, bias, after.activation, &shape),
        }
    }

    fn apply(
        &self,
        x: &Tensor,
        bias: Option<&Tensor>,
        activation: Option<Activation>,
        shape: &[usize],
    ) -> Result<Tensor> {
        let (panels, shape) = (self.0.clone(), Shape::from(shape));
        let slopes = self.0.clone();
        let bias = floats(bias)?;
        let op = Fused1 {
            name: "packed_linear",
            forward: move |x: &[f32], _: &Shape| {
                let finish = Finish {
                    bias: bias.as_deref(),
                    activation: activation.map(elementwise::value),
                    add: None,
                    relu: false,
                };
                let rows = x.len() / panels.inputs;
                (panels.product(x, rows, &finish), shape.clone())
            },
            backward: move |x: &Tensor, _: &Tensor, dy: &Tensor| input_gradient(&slopes, x, dy),
        };
        Ok(x.apply_op1(op)?)
    }

    fn apply_add(
        &self,
        x: &Tensor,
        bias: Option<&Tensor>,
        activation: Option<Activation>,
        add: &Tensor,
        shape: &[usize],
    ) -> Result<Tensor> {
        if add.dims() != shape {
            let reason = format!("{:?} cannot be added to {shape:?}", add.shape());
            return Err(NnError::argument("linear", reason));
        }
        let (panels, shape) = (self.0.clone(), Shape::from(shape));
        let slopes = self.0.clone();
        let bias = floats(bias)?;
        let op = Fused2 {
            name: "packed_linear_add",
            forward: move |x: &[f32], add: &[f32]| {
                let finish = Finish {
                    bias: bias.as_deref(),
                    activation: activation.map(elementwise::value),
                    add: Some(add),
                    relu: false,
                };
                let rows = x.len() / panels.inputs;
                (panels.product(x, rows, &finish), shape.clone())
            },
            backward: move |x: &Tensor, add: &Tensor, _: &Tensor, dy: &Tensor| {
                let dx = x.track_op().then(|| input_gradient(&slopes, x, dy));
                Ok((dx.transpose()?, add.track_op().then(|| dy.clone())))
            },
        };
        Ok(x.apply_op2(&add.contiguous()?, op)?)
    }
}

fn floats(tensor: Option<&Tensor>) -> Result<Option<Vec<f32>>> {
    Ok(tensor.map(Tensor::to_vec1::<f32>).transpose()?)
}

/// `dy W`, shaped like `x`.
fn input_gradient(panels: &Panels, x: &Tensor, dy: &Tensor) -> candle_core::Result<Tensor> {
    let flipped = panels.transposed();
    let rows = x.elem_count() / panels.inputs;
    let dx = with_floats(dy, |dy| flipped.product(dy, rows, &Finish::default()))?;
    Tensor::from_vec(dx, x.shape(), x.device())
}
