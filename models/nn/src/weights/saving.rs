//! Tensors to a file, whole or not at all.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use candle_core::{DType, Tensor};

use super::Weights;
use crate::{NnError, Result};

impl Weights {
    /// Writes everything below this view to a safetensors file, whole or not at all.
    ///
    /// `dtype` (F16, BF16 or F32) is for floats; integers keep their type. The file is written beside its destination,
    /// flushed, and renamed. Errors with [`NnError::Write`], also if a value does not fit into `dtype`.
    pub fn save(&self, path: &Path, dtype: DType) -> Result<()> {
        save_tensors(&self.tensors(), path, dtype)
    }
}

/// Writes tensors to a safetensors file, whole or not at all; see [`Weights::save`].
pub fn save_tensors(tensors: &BTreeMap<String, Tensor>, path: &Path, dtype: DType) -> Result<()> {
    let write_error = |reason: String| NnError::Write {
        path: path.to_path_buf(),
        reason,
    };
    let mut narrow = HashMap::with_capacity(tensors.len());
    for (key, tensor) in tensors {
        let tensor = tensor.detach();
        let stored = if tensor.dtype().is_float() {
            let stored = tensor.to_dtype(dtype)?;
            if dtype == DType::F16 && overflows(&tensor, &stored)? {
                return Err(write_error(format!(
                    "`{key}` has values beyond 16-bit floats"
                )));
            }
            stored
        } else {
            tensor
        };
        narrow.insert(key.clone(), stored.contiguous()?);
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let file = tempfile::NamedTempFile::new_in(folder).map_err(|e| write_error(e.to_string()))?;
    candle_core::safetensors::save(&narrow, file.path()).map_err(|e| write_error(e.to_string()))?;
    // The writer above opened the file by name, so flush through a handle of the same file.
    std::fs::File::open(file.path())
        .and_then(|written| written.sync_all())
        .map_err(|e| write_error(e.to_string()))?;
    file.persist(path).map_err(|e| write_error(e.to_string()))?;
    Ok(())
}

/// Whether a finite value became infinite.
fn overflows(wide: &Tensor, narrow: &Tensor) -> Result<bool> {
    if wide.elem_count() == 0 {
        return Ok(false);
    }
    let limit = wide.flatten_all()?.to_dtype(DType::F32)?;
    let narrow = narrow.flatten_all()?.to_dtype(DType::F32)?;
    let (wide, narrow) = (limit.to_vec1::<f32>()?, narrow.to_vec1::<f32>()?);
    Ok(wide
        .iter()
        .zip(&narrow)
        .any(|(w, n)| w.is_finite() && !n.is_finite()))
}
