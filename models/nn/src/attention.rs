//! Multi-head attention.

use candle_core::Tensor;

use crate::adapter::Prefix;
use crate::{Bias, Init, LayerScale, Linear, NnError, Result, Weights, kernels, ops};

/// Which positions a query may look at.
#[derive(Debug, Clone)]
pub enum Mask {
    /// All of them.
    None,
    /// Itself and those before it.
    Causal,
    /// Added to the scaled scores: broadcastable to `[b, heads, n, m]`; it gets no gradient.
    Additive(Tensor),
}

/// How an attention layer's tensors are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AttentionKeys {
    /// `q_proj`, `k_proj`, `v_proj` and `out_proj`, each with `weight` and `bias` (Hugging Face).
    Split,
    /// `in_proj_weight` `[3·dim, dim]`, `in_proj_bias` and `out_proj` (OpenAI, PyTorch).
    Packed,
    /// `qkv` `[3·dim, dim]` and `proj`, each with `weight` and `bias` (timm, DINOv2).
    Fused,
}

/// Self-attention over `[b, n, dim]` with query, key, value and output maps. Source: Vaswani et al. 2017, section 3.2.
#[derive(Debug, Clone)]
pub struct MultiHeadAttention {
    inputs: Inputs,
    out: Linear,
    heads: usize,
    scale: f64,
    prefix: Option<Prefix>,
}

#[derive(Debug, Clone)]
enum Inputs {
    Split { q: Linear, k: Linear, v: Linear },
    Packed(Linear),
}

impl MultiHeadAttention {
    /// Loads the four maps, all with bias.
    ///
    /// Errors as [`Weights::get`], or if `dim` is not a multiple of `heads`.
    pub fn load(weights: &Weights, dim: usize, heads: usize, keys: AttentionKeys) -> Result<Self> {
        Self::load_scaled(weights, dim, heads, keys, None)
    }

    /// As [`MultiHeadAttention::load`], with the output multiplied as in [`Linear::load_scaled`].
    pub fn load_scaled(
        weights: &Weights,
        dim: usize,
        heads: usize,
        keys: AttentionKeys,
        scale: Option<&LayerScale>,
    ) -> Result<Self> {
        if heads == 0 || !dim.is_multiple_of(heads) {
            let reason = format!("{dim} channels do not split into {heads} heads");
            return Err(NnError::argument("attention", reason));
        }
        let part = |name: &str| Linear::load(&weights.pp(name), dim, dim, Bias::Yes);
        let inputs = match keys {
            AttentionKeys::Split => Inputs::Split {
                q: part("q_proj")?,
                k: part("k_proj")?,
                v: part("v_proj")?,
            },
            AttentionKeys::Packed => {
                let weight = ("in_proj_weight", Init::KaimingUniform { fan_in: dim });
                let bias = ("in_proj_bias", Init::Zeros);
                Inputs::Packed(Linear::named(weights, dim, 3 * dim, weight, Some(bias))?)
            }
            AttentionKeys::Fused => {
                Inputs::Packed(Linear::load(&weights.pp("qkv"), dim, 3 * dim, Bias::Yes)?)
            }
        };
        let out = match keys {
            AttentionKeys::Split | AttentionKeys::Packed => "out_proj",
            AttentionKeys::Fused => "proj",
        };
        Ok(Self {
            inputs,
            out: Linear::load_scaled(&weights.pp(out), dim, dim, Bias::Yes, scale)?,
            heads,
            scale: 1.0 / ((dim / heads) as f64).sqrt(),
            prefix: Prefix::of(weights, dim)?,
        })
    }

    /// Attends.
    ///
    /// - `x`: `[b, n, dim]`, f32
    /// - returns `[b, n, dim]`
    pub fn forward(&self, x: &Tensor, mask: &Mask) -> Result<Tensor> {
        self.out.forward(&self.mix(x, mask)?)
    }

    /// `shortcut` and [`MultiHeadAttention::forward`] added.
    pub fn forward_beside(&self, shortcut: &Tensor, x: &Tensor, mask: &Mask) -> Result<Tensor> {
        self.out.forward_beside(shortcut, &self.mix(x, mask)?)
    }

    /// [`MultiHeadAttention::forward_beside`] at the first positions alone, which look at all.
    ///
    /// - `shortcut`: `[b, count, dim]`, with `count` from 1 to n
    /// - `x`: `[b, n, dim]`, f32
    /// - returns `[b, count, dim]`
    ///
    /// Errors if `shortcut` has more positions than `x`.
    pub fn first_beside(&self, shortcut: &Tensor, x: &Tensor) -> Result<Tensor> {
        let count = shortcut.dim(1)?;
        let (q, k, v) = match &self.inputs {
            Inputs::Split { q, k, v } => {
                let first = x.narrow(1, 0, count)?.contiguous()?;
                (q.forward(&first)?, k.forward(x)?, v.forward(x)?)
            }
            Inputs::Packed(_) => {
                let (q, k, v) = self.project(x)?;
                (q.narrow(1, 0, count)?, k, v)
            }
        };
        let (k, v, mask) = self.prefixed(&k, &v, &Mask::None)?;
        let mixed = kernels::attention(&q, &k, &v, self.heads, &mask, self.scale)?; // [b, count, dim]
        self.out.forward_beside(shortcut, &mixed)
    }

    /// Values as the attention mixes them, `[b, n, dim]`.
    fn mix(&self, x: &Tensor, mask: &Mask) -> Result<Tensor> {
        let mixed = match &self.inputs {
            _ if self.prefix.is_some() => {
                let (q, k, v) = self.project(x)?;
                let (k, v, mask) = self.prefixed(&k, &v, mask)?;
                kernels::attention(&q.contiguous()?, &k, &v, self.heads, &mask, self.scale)?
            }
            Inputs::Split { q, k, v } => {
                let (q, k, v) = (q.forward(x)?, k.forward(x)?, v.forward(x)?); // [b, n, dim]
                kernels::attention(&q, &k, &v, self.heads, mask, self.scale)?
            }
            Inputs::Packed(qkv) => {
                kernels::packed_attention(&qkv.forward(x)?, self.heads, mask, self.scale)?
            }
        }; // [b, n, dim]
        Ok(mixed)
    }

    /// Attends, and returns how much each query looked at each position.
    ///
    /// - `x`: `[b, n, dim]`, f32
    /// - returns `[b, n, dim]` and `[b, heads, n, n]`, whose rows sum to one (to less behind a learned prefix, which has its share);
    ///   gradients flow through both
    pub fn forward_with_weights(&self, x: &Tensor, mask: &Mask) -> Result<(Tensor, Tensor)> {
        let (q, k, v) = self.project(x)?;
        let (b, n, dim) = q.dims3()?;
        let (k, v, mask) = self.prefixed(&k, &v, mask)?;
        let mask = &mask;
        let (q, k, v) = (self.split(&q)?, self.split(&k)?, self.split(&v)?); // [b, heads, n, d]
        let (mixed, attention) = ops::attention_with_weights(&q, &k, &v, mask, self.scale)?;
        let mixed = mixed.transpose(1, 2)?.contiguous()?.reshape((b, n, dim))?;
        let attention = match attention.dim(3)? {
            m if m > n => attention.narrow(3, m - n, n)?,
            _ => attention,
        };
        Ok((self.out.forward(&mixed)?, attention))
    }

    /// Keys, values and mask with the learned prefix before them, which every query sees.
    fn prefixed(&self, k: &Tensor, v: &Tensor, mask: &Mask) -> Result<(Tensor, Tensor, Mask)> {
        let Some(prefix) = &self.prefix else {
            return Ok((k.clone(), v.clone(), mask.clone()));
        };
        let (k, v) = prefix.before(k, v)?;
        let mask = match mask {
            Mask::Additive(added) => {
                let mut shape = added.dims().to_vec();
                if let Some(last) = shape.last_mut() {
                    *last = prefix.tokens()?;
                }
                let seen = Tensor::zeros(shape, added.dtype(), added.device())?;
                Mask::Additive(Tensor::cat(&[&seen, added], added.rank() - 1)?)
            }
            // The last query sees the last position, so a causal mask leaves what stands before the first query to all.
            other => other.clone(),
        };
        Ok((k, v, mask))
    }

    fn project(&self, x: &Tensor) -> Result<(Tensor, Tensor, Tensor)> {
        match &self.inputs {
            Inputs::Split { q, k, v } => Ok((q.forward(x)?, k.forward(x)?, v.forward(x)?)),
            Inputs::Packed(qkv) => {
                let qkv = qkv.forward(x)?; // [b, n, 3·dim]
                let dim = qkv.dim(2)? / 3;
                let part = |i: usize| qkv.narrow(2, i * dim, dim);
                Ok((part(0)?, part(1)?, part(2)?))
            }
        }
    }

    fn split(&self, x: &Tensor) -> Result<Tensor> {
        let (b, n, dim) = x.dims3()?;
        let heads = x.reshape((b, n, self.heads, dim / self.heads))?;
        Ok(heads.transpose(1, 2)?.contiguous()?)
    }
}
