//! Safetensors in and out.

use std::fs;
use std::path::Path;

use safetensors::{SafeTensors, tensor::TensorView};

use super::{RawTensor, Tensors, damaged};
use crate::error::{PackError, Result};

/// Reads every tensor of a safetensors file.
pub(super) fn read(path: &Path) -> Result<Tensors> {
    let bytes = fs::read(path).map_err(PackError::io(path))?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(|e| damaged(path, e.to_string()))?;
    Ok(tensors
        .iter()
        .map(|(name, view)| {
            let tensor = RawTensor {
                dtype: view.dtype(),
                shape: view.shape().to_vec(),
                data: view.data().to_vec(),
            };
            (name.to_string(), tensor)
        })
        .collect())
}

/// Writes tensors as safetensors. The same tensors give the same bytes.
///
/// The file must be inside a folder that is still private to the caller: the write is not atomic.
pub(crate) fn write_safetensors(path: &Path, tensors: &Tensors) -> Result<()> {
    let views = tensors
        .iter()
        .map(|(name, tensor)| {
            TensorView::new(tensor.dtype, tensor.shape.clone(), &tensor.data)
                .map(|view| (name, view))
                .map_err(|e| damaged(path, format!("{name}: {e}")))
        })
        .collect::<Result<Vec<_>>>()?;
    safetensors::serialize_to_file(views, None, path).map_err(|e| match e {
        safetensors::SafeTensorError::IoError(source) => PackError::io(path)(source),
        other => damaged(path, other.to_string()),
    })
}
