//! What the shapes of a checkpoint's tensors tell of its architecture.

use crate::error::{Result, ZooError};
use lucency_nn::Weights;
use std::collections::BTreeMap;

/// Shapes of a checkpoint's tensors, by key.
pub type Shapes = BTreeMap<String, Vec<usize>>;

/// The shapes of a view's tensors by their names in it, for configurations that are inferred.
pub fn shapes(weights: &Weights) -> Shapes {
    let below = weights.key("");
    let name = |key: String| match key.strip_prefix(&below) {
        Some(name) => name.trim_start_matches('.').to_owned(),
        None => key,
    };
    weights
        .tensors()
        .into_iter()
        .map(|(key, tensor)| (name(key), tensor.dims().to_vec()))
        .collect()
}

/// Side of the square grid behind a class token (or mean token) and its positions.
pub(crate) fn grid(positions: usize) -> Result<usize> {
    let side = positions.saturating_sub(1).isqrt();
    if side > 0 && side * side + 1 == positions {
        Ok(side)
    } else {
        Err(ZooError::UnknownLayout(format!(
            "{positions} positions are not a square and one"
        )))
    }
}

/// The shape of a tensor that must be there with `N` dimensions.
pub(crate) fn shape<const N: usize>(shapes: &Shapes, key: &str) -> Result<[usize; N]> {
    let found = shapes
        .get(key)
        .ok_or_else(|| ZooError::UnknownLayout(format!("tensor `{key}` is missing")))?;
    found.as_slice().try_into().map_err(|_| {
        ZooError::UnknownLayout(format!(
            "tensor `{key}` has shape {found:?}, {N} dimensions are wanted"
        ))
    })
}

/// How many numbered blocks lie below a prefix.
pub(crate) fn blocks(shapes: &Shapes, prefix: &str) -> usize {
    let mut numbers: Vec<usize> = shapes
        .keys()
        .filter_map(|key| key.strip_prefix(prefix)?.split('.').next()?.parse().ok())
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers.len()
}
