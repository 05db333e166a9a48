//! Bilinear attention.

use candle_core::{D, Tensor};
use lucency_nn::{Dropout, Init, Weights, ops, weight_normed};

use super::fc::Projection;
use crate::{Result, ZooError};

/// Ranks that the attention sums for each hidden unit.
const RANKS: usize = 3;
/// Dropout on the attention's image side.
const ATTENTION_DROPOUT: f64 = 0.5;
/// Beyond this many glimpses the released code uses another layer, with other keys.
pub(super) const MOST_GLIMPSES: usize = 32;

/// Attention over all pairs of an object and a token, one distribution a glimpse.
///
/// Keys: `logits.{v_net,q_net}`, `logits.h_mat_g`, `logits.h_mat_v`, `logits.h_bias`. Source: Kim et al. 2018, eq. 6 to 8.
#[derive(Debug, Clone)]
pub struct BiAttention {
    v_net: Projection,
    q_net: Projection,
    glimpse_gain: Tensor,
    glimpse_direction: Tensor,
    glimpse_bias: Tensor,
    glimpses: usize,
}

/// Attention and what it was made of.
#[derive(Debug, Clone)]
pub struct Attention {
    /// Weights, `[b, glimpses, objects, tokens]`; each glimpse sums to one.
    pub weights: Tensor,
    /// Before the soft-max and its masks, `[b, glimpses, objects, tokens]`.
    pub logits: Tensor,
}

impl BiAttention {
    /// Loads an attention over objects `visual` wide and tokens `hidden` wide.
    ///
    /// A fresh one is drawn as the released code draws it. Errors name the tensor that is missing or misshapen.
    pub fn load(weights: &Weights, visual: usize, hidden: usize, glimpses: usize) -> Result<Self> {
        if glimpses == 0 || glimpses > MOST_GLIMPSES {
            let reason = format!("{glimpses} glimpses where 1 to {MOST_GLIMPSES} can be");
            return Err(ZooError::Config(reason));
        }
        let weights = weights.pp("logits");
        let normal = Init::Normal {
            mean: 0.0,
            std: 1.0,
        };
        let width = RANKS * hidden;
        let (gain, direction) = weight_normed(&weights, "h_mat", (1, glimpses, 1, width), normal)?;
        Ok(Self {
            v_net: Projection::load_relu(&weights.pp("v_net"), visual, width)?,
            q_net: Projection::load_relu(&weights.pp("q_net"), hidden, width)?,
            glimpse_gain: gain,
            glimpse_direction: direction,
            glimpse_bias: weights.get((1, glimpses, 1, 1), "h_bias", normal)?,
            glimpses,
        })
    }

    /// How many distributions there are.
    pub fn glimpses(&self) -> usize {
        self.glimpses
    }

    /// Attends.
    ///
    /// - `objects`: `[b, objects, visual]`; objects that are all zero get no weight
    /// - `tokens`: `[b, tokens, hidden]`
    /// - `real`: `[b, tokens]` of ones and zeros: tokens that may get weight; `None` lets all
    pub fn forward(
        &self,
        objects: &Tensor,
        tokens: &Tensor,
        real: Option<&Tensor>,
        mut dropout: Option<&mut Dropout>,
    ) -> Result<Attention> {
        let (b, n, _) = objects.dims3()?;
        let m = tokens.dim(1)?;
        let v = self.v_net.forward(objects, &mut dropout)?; // [b, n, 3 h]
        let v = Dropout::maybe(&mut dropout, &v, ATTENTION_DROPOUT)?;
        let q = self.q_net.forward(tokens, &mut dropout)?; // [b, m, 3 h]
        let glimpse = ops::weight_norm(&self.glimpse_direction, &self.glimpse_gain)?; // [1, g, 1, 3 h]
        let seen = v.unsqueeze(1)?.broadcast_mul(&glimpse)?; // [b, g, n, 3 h]
        let seen = seen.reshape((b, self.glimpses * n, ()))?;
        let logits = seen
            .matmul(&q.transpose(1, 2)?.contiguous()?)? // [b, g · n, m]
            .reshape((b, self.glimpses, n, m))?
            .broadcast_add(&self.glimpse_bias)?;
        let mut masked = logits.clone();
        if let Some(bar) = barred_objects(objects)? {
            masked = masked.broadcast_add(&bar.reshape((b, 1, n, 1))?)?;
        }
        if let Some(real) = real {
            masked = masked.broadcast_add(&barred(real)?.reshape((b, 1, 1, m))?)?;
        }
        let weights = ops::softmax_last(&masked.reshape((b, self.glimpses, n * m))?)?;
        Ok(Attention {
            weights: weights.reshape((b, self.glimpses, n, m))?,
            logits,
        })
    }
}

/// Minus infinity where a mask is zero, else zero.
pub(super) fn barred(keep: &Tensor) -> Result<Tensor> {
    let keep = keep.detach();
    let zeros = keep.zeros_like()?;
    Ok(keep
        .eq(0f32)?
        .where_cond(&(&zeros + f64::NEG_INFINITY)?, &zeros)?)
}

/// [`barred`] objects `[b, n]`: those that are all zero, unless a case has no other. `None` if there are none.
pub(super) fn barred_objects(objects: &Tensor) -> Result<Option<Tensor>> {
    let size: Vec<Vec<f32>> = objects.detach().abs()?.sum(D::Minus1)?.to_vec2()?;
    if size.iter().flatten().all(|size| *size != 0.0) {
        return Ok(None);
    }
    let (b, n) = (size.len(), size.first().map_or(0, Vec::len));
    let keep: Vec<f32> = size
        .iter()
        .flat_map(|row| {
            let none = row.iter().all(|size| *size == 0.0);
            row.iter()
                .map(move |size| f32::from(u8::from(none || *size != 0.0)))
        })
        .collect();
    Ok(Some(barred(&Tensor::from_vec(
        keep,
        (b, n),
        objects.device(),
    )?)?))
}

/// A bilinear pooling of objects and tokens under given weights. Keys: `v_net`, `q_net`. Source: Kim et al. 2018, eq. 4.
#[derive(Debug, Clone)]
pub struct BilinearPool {
    v_net: Projection,
    q_net: Projection,
}

impl BilinearPool {
    /// Loads the two projections. Errors name the tensor that is missing or misshapen.
    pub fn load(weights: &Weights, visual: usize, hidden: usize) -> Result<Self> {
        Ok(Self {
            v_net: Projection::load_relu(&weights.pp("v_net"), visual, hidden)?,
            q_net: Projection::load_relu(&weights.pp("q_net"), hidden, hidden)?,
        })
    }

    /// Pools.
    ///
    /// - `objects`: `[b, objects, visual]`; `tokens`: `[b, tokens, hidden]`; `weights`: `[b, objects, tokens]`
    /// - returns `[b, hidden]`
    pub fn forward(
        &self,
        objects: &Tensor,
        tokens: &Tensor,
        weights: &Tensor,
        mut dropout: Option<&mut Dropout>,
    ) -> Result<Tensor> {
        let v = self.v_net.forward(objects, &mut dropout)?; // [b, n, h]
        let q = self.q_net.forward(tokens, &mut dropout)?; // [b, m, h]
        let told = weights.contiguous()?.matmul(&q)?; // [b, n, h]
        Ok((v * told)?.sum(1)?)
    }
}

/// The residual network: every glimpse adds its pooled pair to all tokens. Keys: `b_net.*`, `q_prj.*`.
///
/// Source: Kim et al. 2018, eq. 9.
#[derive(Debug, Clone)]
pub struct BiResidual {
    pools: Vec<BilinearPool>,
    projections: Vec<Projection>,
}

impl BiResidual {
    /// Loads one pool and one projection a glimpse. Errors name the tensor that is missing or misshapen.
    pub fn load(weights: &Weights, visual: usize, hidden: usize, glimpses: usize) -> Result<Self> {
        let (pools, projections) = (weights.pp("b_net"), weights.pp("q_prj"));
        Ok(Self {
            pools: (0..glimpses)
                .map(|g| BilinearPool::load(&pools.pp(g), visual, hidden))
                .collect::<Result<_>>()?,
            projections: (0..glimpses)
                .map(|g| Projection::load(&projections.pp(g), hidden, hidden))
                .collect::<Result<_>>()?,
        })
    }

    /// Joins objects and tokens.
    ///
    /// - `objects`: `[b, objects, visual]`; `tokens`: `[b, tokens, hidden]`; `attention`: `[b, glimpses, objects, tokens]`
    /// - `real`: `[b, tokens]`: tokens that the sum at the end takes; `None` takes all
    /// - returns `[b, hidden]`
    pub fn forward(
        &self,
        objects: &Tensor,
        tokens: &Tensor,
        attention: &Tensor,
        real: Option<&Tensor>,
        mut dropout: Option<&mut Dropout>,
    ) -> Result<Tensor> {
        let mut tokens = tokens.clone();
        for (g, (pool, project)) in self.pools.iter().zip(&self.projections).enumerate() {
            let weights = attention.narrow(1, g, 1)?.squeeze(1)?; // [b, n, m]
            let pooled = pool.forward(objects, &tokens, &weights, dropout.as_deref_mut())?; // [b, h]
            let update = project.forward(&pooled.unsqueeze(1)?, &mut dropout)?; // [b, 1, h]
            tokens = tokens.broadcast_add(&update)?;
        }
        match real {
            None => Ok(tokens.sum(1)?),
            Some(real) => Ok(tokens.broadcast_mul(&real.unsqueeze(2)?)?.sum(1)?),
        }
    }

    /// The pool of one glimpse.
    pub fn pool(&self, glimpse: usize) -> Option<&BilinearPool> {
        self.pools.get(glimpse)
    }
}
