//! Small trainable parts that hide inside layers: low-rank updates, learned scales, learned keys and values.
//!
//! A store that was given an [`Adaptation`] before a model is built hands the parts out to every layer whose key is a target, so
//! architectures know nothing of them. Tensors keep PEFT's names below the layer's own key.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::Tensor;

use crate::{Dropout, Init, NnError, Result, Weights, kernels};

/// Which parts layers get.
#[derive(Debug, Clone, PartialEq)]
pub enum AdapterKind {
    /// `y += (alpha / rank) · B A dropout(x)`. Source: Hu et al. 2021, eq. 3.
    Lora {
        /// Rows of A.
        rank: usize,
        /// Numerator of the scale.
        alpha: f64,
        /// Probability of dropping an input of A in training.
        dropout: f64,
    },
    /// `y *= l`, or `y = W (l · x)` in feed-forward layers. Source: Liu et al. 2022, section 3.3.
    Ia3 {
        /// Targets whose input is scaled in place of their output.
        feedforward: Vec<String>,
    },
    /// Keys and values before those of every attention. Source: Li and Liang 2021, eq. 3.
    Prefix {
        /// Positions added.
        tokens: usize,
    },
}

/// Which layers of a model are adapted, and how.
#[derive(Debug, Clone)]
pub struct Adaptation {
    kind: AdapterKind,
    targets: Vec<String>,
    pub(crate) seed: u64,
    dropout: Arc<Mutex<Option<Dropout>>>,
}

/// Stands for every layer that can be adapted.
pub const ALL_LAYERS: &str = "all-linear";

impl Adaptation {
    /// An adaptation of the layers whose key is a target or ends in one behind a dot, as PEFT matches a list; [`ALL_LAYERS`] matches
    /// all.
    ///
    /// - `seed`: of first values that a file does not bring
    ///
    /// Errors if the rank or the number of tokens is 0, or the dropout is not in `[0, 1)`.
    pub fn new(kind: AdapterKind, targets: Vec<String>, seed: u64) -> Result<Self> {
        let refuse = |reason: &str| Err(NnError::argument("adapter", reason));
        match &kind {
            AdapterKind::Lora { rank: 0, .. } => return refuse("a rank is at least 1"),
            AdapterKind::Lora { dropout, .. } if !(0.0..1.0).contains(dropout) => {
                return refuse("a dropout lies between 0 and 1, without 1");
            }
            AdapterKind::Prefix { tokens: 0 } => return refuse("a prefix has at least 1 token"),
            _ => {}
        }
        Ok(Self {
            kind,
            targets,
            seed,
            dropout: Arc::default(),
        })
    }

    /// What layers get.
    pub fn kind(&self) -> &AdapterKind {
        &self.kind
    }

    /// Which layers get it.
    pub fn targets(&self) -> &[String] {
        &self.targets
    }

    /// Turns dropout on with masks drawn from `seed`, or off; the switch is shared with the model that was built.
    pub fn set_dropout(&self, seed: Option<u64>) {
        *self.dropout.lock().unwrap_or_else(PoisonError::into_inner) = seed.map(Dropout::new);
    }

    /// The source of masks as it is now.
    pub(crate) fn dropout_state(&self) -> Option<Dropout> {
        self.dropout
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Puts another source of masks in place, and returns the one before.
    pub(crate) fn replace_dropout(&self, dropout: Option<Dropout>) -> Option<Dropout> {
        std::mem::replace(
            &mut *self.dropout.lock().unwrap_or_else(PoisonError::into_inner),
            dropout,
        )
    }

    /// Whether a full key belongs to an adapter rather than to the model.
    pub fn owns(key: &str) -> bool {
        [
            "lora_A.weight",
            "lora_B.weight",
            "ia3_l",
            "prefix_key",
            "prefix_value",
        ]
        .iter()
        .any(|name| {
            key.strip_suffix(name)
                .is_some_and(|rest| rest.ends_with('.'))
        })
    }

    fn matches(&self, key: &str) -> bool {
        matches_any(&self.targets, key)
    }
}

fn matches_any(targets: &[String], key: &str) -> bool {
    targets.iter().any(|target| {
        target == ALL_LAYERS
            || key == target
            || key
                .strip_suffix(target.as_str())
                .is_some_and(|rest| rest.ends_with('.'))
    })
}

/// The part of one layer.
#[derive(Debug, Clone)]
pub(crate) enum Adapter {
    Lora(Lora),
    /// A scale of outputs, `[out]`.
    Outputs(Tensor),
    /// A scale of inputs, `[in]`.
    Inputs(Tensor),
}

/// A low-rank update.
#[derive(Debug, Clone)]
pub(crate) struct Lora {
    /// `[rank, in]`, or `[rank, in, k, k]`.
    pub a: Tensor,
    /// `[out, rank]`, or `[out, rank, 1, 1]`.
    pub b: Tensor,
    pub scale: f64,
    pub p: f64,
    pub dropout: Arc<Mutex<Option<Dropout>>>,
}

impl Lora {
    /// The input of A: some of it dropped while the switch is on.
    pub(crate) fn dropped(&self, x: &Tensor) -> Result<Tensor> {
        let mut dropout = self.dropout.lock().unwrap_or_else(PoisonError::into_inner);
        Dropout::maybe(&mut dropout.as_mut(), x, self.p)
    }

    /// What A and B add to a weight of shape `[out, ..]`.
    pub(crate) fn delta(&self, shape: &[usize]) -> Result<Tensor> {
        let (a, b) = (self.a.detach(), self.b.detach());
        let (rank, outputs) = (a.dim(0)?, b.dim(0)?);
        let product = b.reshape((outputs, rank))?.matmul(&a.flatten_from(1)?)?; // [out, in · k · k]
        Ok((product.reshape(shape)? * self.scale)?)
    }
}

impl Adapter {
    /// The part of a layer whose weight has `shape`, if the store's adaptation targets it.
    ///
    /// - `shape`: `[out, in]` or `[out, in, k, k]`
    pub(crate) fn of(weights: &Weights, shape: &[usize]) -> Result<Option<Self>> {
        let Some(adaptation) = weights.adaptation() else {
            return Ok(None);
        };
        let key = weights.key("");
        if !adaptation.matches(&key) {
            return Ok(None);
        }
        let (outputs, inputs) = (shape[0], shape[1]);
        match &adaptation.kind {
            AdapterKind::Prefix { .. } => Ok(None),
            AdapterKind::Lora {
                rank,
                alpha,
                dropout,
            } => {
                let mut lora = Self::lora(weights, shape, *rank, *alpha)?;
                lora.p = *dropout;
                lora.dropout = adaptation.dropout.clone();
                Ok(Some(Self::Lora(lora)))
            }
            AdapterKind::Ia3 { feedforward } => {
                let on_input = matches_any(feedforward, &key);
                let n = if on_input { inputs } else { outputs };
                // PEFT's shapes: a column for outputs, a row for inputs; one channel axis for convolutions.
                let stored = match (shape.len(), on_input) {
                    (4, _) => vec![1, n, 1, 1],
                    (_, true) => vec![1, n],
                    (_, false) => vec![n, 1],
                };
                let scale = weights
                    .get_or_init(stored, "ia3_l", Init::Ones)?
                    .flatten_all()?;
                Ok(Some(match on_input {
                    true => Self::Inputs(scale),
                    false => Self::Outputs(scale),
                }))
            }
        }
    }

    /// A low-rank update whose keys lie below `weights`.
    pub(crate) fn lora(
        weights: &Weights,
        shape: &[usize],
        rank: usize,
        alpha: f64,
    ) -> Result<Lora> {
        if rank == 0 {
            return Err(NnError::argument("low-rank adapter", "rank is at least 1"));
        }
        let mut a = shape.to_vec();
        a[0] = rank;
        let mut b = vec![1; shape.len()];
        (b[0], b[1]) = (shape[0], rank);
        let fan_in = shape[1..].iter().product();
        Ok(Lora {
            a: weights.get_or_init(a, "lora_A.weight", Init::KaimingUniform { fan_in })?,
            b: weights.get_or_init(b, "lora_B.weight", Init::Zeros)?,
            scale: alpha / rank as f64,
            p: 0.0,
            dropout: Arc::default(),
        })
    }
}

/// Learned keys and values before an attention's own, `[tokens, dim]` each.
#[derive(Debug, Clone)]
pub(crate) struct Prefix {
    key: Tensor,
    value: Tensor,
}

impl Prefix {
    /// The prefix of an attention of `dim` channels, if the store's adaptation targets it.
    pub(crate) fn of(weights: &Weights, dim: usize) -> Result<Option<Self>> {
        let Some(adaptation) = weights.adaptation() else {
            return Ok(None);
        };
        let AdapterKind::Prefix { tokens } = adaptation.kind else {
            return Ok(None);
        };
        if !adaptation.matches(&weights.key("")) {
            return Ok(None);
        }
        let init = Init::Normal {
            mean: 0.0,
            std: 0.02,
        };
        Ok(Some(Self {
            key: weights.get_or_init((tokens, dim), "prefix_key", init)?,
            value: weights.get_or_init((tokens, dim), "prefix_value", init)?,
        }))
    }

    /// How many positions it adds.
    pub(crate) fn tokens(&self) -> Result<usize> {
        Ok(self.key.dim(0)?)
    }

    /// Keys and values, `[b, n, dim]` each, with the prefix before them, `[b, tokens + n, dim]`.
    pub(crate) fn before(&self, k: &Tensor, v: &Tensor) -> Result<(Tensor, Tensor)> {
        let join = |prefix: &Tensor, own: &Tensor| -> Result<Tensor> {
            let (tokens, dim) = prefix.dims2()?;
            let prefix = prefix
                .unsqueeze(0)?
                .broadcast_as((own.dim(0)?, tokens, dim))?
                .contiguous()?;
            Ok(Tensor::cat(&[&prefix, &own.contiguous()?], 1)?)
        };
        Ok((join(&self.key, k)?, join(&self.value, v)?))
    }
}

/// Applies an affine map with its part.
///
/// - `x`: `[.., in]`; `map`: the map without its part; returns `[.., out]`
pub(crate) fn linear(
    x: &Tensor,
    map: impl Fn(&Tensor) -> Result<Tensor>,
    adapter: &Adapter,
) -> Result<Tensor> {
    match adapter {
        Adapter::Lora(lora) => {
            let y = map(x)?;
            let low = kernels::linear(&lora.dropped(x)?, &lora.a, None)?; // [.., rank]
            let delta = kernels::linear(&low, &lora.b, None)?; // [.., out]
            Ok((y + (delta * lora.scale)?)?)
        }
        Adapter::Outputs(scale) => kernels::scale(&map(x)?, scale),
        Adapter::Inputs(scale) => map(&kernels::scale(x, scale)?),
    }
}

/// Weight and bias with the part worked in, frozen.
///
/// - `weight`: `[out, in]` or `[out, in, k, k]`; `bias`: `[out]`
pub(crate) fn merged(
    weight: &Tensor,
    bias: Option<&Tensor>,
    adapter: &Adapter,
) -> Result<(Tensor, Option<Tensor>)> {
    let weight = weight.detach();
    let bias = bias.map(Tensor::detach);
    let along = |scale: &Tensor, axis: usize| -> Result<Tensor> {
        let mut shape = vec![1; weight.rank()];
        shape[axis] = scale.elem_count();
        Ok(weight.broadcast_mul(&scale.detach().reshape(shape)?)?)
    };
    Ok(match adapter {
        Adapter::Lora(lora) => ((&weight + lora.delta(weight.dims())?)?, bias),
        Adapter::Inputs(scale) => (along(scale, 1)?, bias),
        Adapter::Outputs(scale) => {
            let bias = bias.map(|b| b * scale.detach()).transpose()?;
            (along(scale, 0)?, bias)
        }
    })
}
