//! Normalisation of image channels over the batch.

use candle_core::{Tensor, Var};

use crate::{Init, Mode, NnError, Result, Weights, kernels};

/// How fast running statistics follow the batch unless said otherwise, PyTorch's default.
const MOMENTUM: f64 = 0.1;

/// Batch normalisation of `[b, c, h, w]` with scale and shift. Source: Ioffe and Szegedy 2015, algorithms 1 and 2.
///
/// Keys: `weight`, `bias`, and the running statistics `running_mean` and `running_var`, which are saved with the weights
/// and get no gradient. `num_batches_tracked` is ignored.
#[derive(Debug, Clone)]
pub struct BatchNorm2d {
    weight: Tensor,
    bias: Tensor,
    running_mean: Var,
    running_var: Var,
    eps: f64,
    momentum: f64,
}

/// What follows the normalisation in the same pass over memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Follow {
    Nothing,
    Relu,
}

impl BatchNorm2d {
    /// Loads scale, shift and running statistics of `dim` channels.
    ///
    /// `eps` is added to the variance: 1e-5 in CLIP. Errors as [`Weights::get`].
    pub fn load(weights: &Weights, dim: usize, eps: f64) -> Result<Self> {
        let weights = weights.wide();
        Ok(Self {
            weight: weights.get(dim, "weight", Init::Ones)?,
            bias: weights.get(dim, "bias", Init::Zeros)?,
            running_mean: weights.running(dim, "running_mean", Init::Zeros)?,
            running_var: weights.running(dim, "running_var", Init::Ones)?,
            eps,
            momentum: MOMENTUM,
        })
    }

    /// The same layer whose running statistics take the share `momentum` from each batch.
    pub fn with_momentum(self, momentum: f64) -> Self {
        Self { momentum, ..self }
    }

    /// Normalises each channel.
    ///
    /// - `x`: `[b, c, h, w]`, f32
    /// - returns the same shape
    ///
    /// [`Mode::Train`] uses the batch's mean and biased variance and moves the running statistics by the momentum (a tenth) towards the
    /// batch's mean and unbiased variance; [`Mode::Eval`] uses the running statistics.
    /// Errors if `x` has another number of channels, or in training if a channel has one value only.
    pub fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        self.run(x, mode, Follow::Nothing)
    }

    /// [`BatchNorm2d::forward`] and then `max(·, 0)`, in one pass over memory.
    pub fn forward_relu(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        self.run(x, mode, Follow::Relu)
    }

    fn run(&self, x: &Tensor, mode: Mode, follow: Follow) -> Result<Tensor> {
        let (b, c, h, w) = x.dims4()?;
        if c != self.weight.elem_count() {
            let reason = format!("{c} channels where {} are wanted", self.weight.elem_count());
            return Err(NnError::argument("batch normalisation", reason));
        }
        match mode {
            Mode::Eval => {
                let (scale, shift) = self.affine()?;
                kernels::scale_shift(x, &scale, &shift, follow)
            }
            Mode::Train => {
                let count = b * h * w;
                if count < 2 {
                    return Err(NnError::argument(
                        "batch normalisation",
                        "one value a channel has no variance to train on",
                    ));
                }
                let (y, mean, var) =
                    kernels::batch_norm(x, &self.weight, &self.bias, self.eps, follow)?;
                let unbiased = (var * (count as f64 / (count - 1) as f64))?;
                self.follow_batch(&self.running_mean, &mean)?;
                self.follow_batch(&self.running_var, &unbiased)?;
                Ok(y)
            }
        }
    }

    /// What the running statistics make of a value: scale and shift, `[c]` each.
    fn affine(&self) -> Result<(Tensor, Tensor)> {
        let mean = self.running_mean.as_detached_tensor();
        let var = self.running_var.as_detached_tensor();
        let inv_std = (var + self.eps)?.sqrt()?.recip()?; // [c]
        let scale = (&self.weight * inv_std)?;
        let shift = (&self.bias - (mean * &scale)?)?;
        Ok((scale, shift))
    }

    /// Scale and shift of [`Mode::Eval`], `[c]` each, to be worked into the layer before; nothing if they are trained.
    pub(crate) fn folded(&self) -> Result<Option<(Vec<f32>, Vec<f32>)>> {
        if self.weight.track_op() || self.bias.track_op() {
            return Ok(None);
        }
        let (scale, shift) = self.affine()?;
        Ok(Some((scale.to_vec1()?, shift.to_vec1()?)))
    }

    fn follow_batch(&self, running: &Var, batch: &Tensor) -> Result<()> {
        let moved =
            ((running.as_detached_tensor() * (1.0 - self.momentum))? + (batch * self.momentum)?)?;
        Ok(running.set(&moved)?)
    }
}
