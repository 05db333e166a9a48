//! The tensors of a checkpoint that is no pack of its own.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};

use crate::checkpoint::{self, RawTensor};
use crate::error::{PackError, Result};

/// Reads every tensor of a file by name, without executing anything; floats become f32.
///
/// The content decides how, not the name: safetensors, PyTorch files, and pickles of a dictionary of NumPy
/// arrays (protocols 0 to 5, of Python 2 or 3; either byte order; entries that are no arrays are left out).
///
/// Errors if the file is damaged, of another kind, or holds a tensor of a type that no network here uses.
pub fn read_tensors(path: &Path) -> Result<HashMap<String, Tensor>> {
    let (tensors, _) = checkpoint::read(path)?;
    tensors
        .into_iter()
        .map(|(name, raw)| {
            let tensor = tensor(&raw).map_err(|reason| PackError::Damaged {
                file: path.to_path_buf(),
                reason: format!("{name}: {reason}"),
            })?;
            Ok((name, tensor))
        })
        .collect()
}

fn tensor(raw: &RawTensor) -> std::result::Result<Tensor, String> {
    let dtype = match raw.dtype {
        safetensors::Dtype::F16 => DType::F16,
        safetensors::Dtype::BF16 => DType::BF16,
        safetensors::Dtype::F32 => DType::F32,
        safetensors::Dtype::F64 => DType::F64,
        safetensors::Dtype::I64 => DType::I64,
        safetensors::Dtype::U8 => DType::U8,
        other => return Err(format!("tensors of type {other:?} are not read")),
    };
    let read = Tensor::from_raw_buffer(&raw.data, dtype, &raw.shape, &Device::Cpu);
    let wide = read.and_then(|t| match dtype.is_float() {
        true => t.to_dtype(DType::F32),
        false => Ok(t),
    });
    wide.map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_widened_and_a_file_of_another_kind_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("w.safetensors");
        let half = Tensor::new(&[1.5f32, -2.0], &Device::Cpu)
            .unwrap()
            .to_dtype(DType::F16)
            .unwrap();
        candle_core::safetensors::save(&HashMap::from([("w", half)]), &path).unwrap();
        let read = read_tensors(&path).unwrap();
        assert_eq!(read["w"].to_vec1::<f32>().unwrap(), [1.5, -2.0]);
        std::fs::write(&path, "no tensors at all").unwrap();
        assert!(matches!(
            read_tensors(&path),
            Err(PackError::Unsupported { .. })
        ));
    }
}
