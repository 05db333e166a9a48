//! A safetensors file that is read tensor by tensor.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{DType, Device, Shape, Tensor};
use half::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};

use crate::{NnError, Result};

/// Longest header that is read, bytes: the format's own limit.
const LONGEST_HEADER: u64 = 100_000_000;
/// Bytes that are read at once.
const PIECE: usize = 1 << 20;

/// A tensor in a file.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    file: Arc<Handle>,
    dtype: Dtype,
    shape: Shape,
    start: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Handle {
    path: PathBuf,
    file: Mutex<File>,
}

impl Handle {
    fn error(&self, reason: impl ToString) -> NnError {
        NnError::Read {
            path: self.path.clone(),
            reason: reason.to_string(),
        }
    }
}

/// The tensors of a file, by key; none of them is read yet.
///
/// Errors if the file is absent, or is no safetensors file of just that length.
pub(super) fn tensors(path: &Path) -> Result<Vec<(String, Stored)>> {
    let wrong = |reason: &dyn ToString| NnError::Read {
        path: path.to_path_buf(),
        reason: reason.to_string(),
    };
    let mut file = File::open(path).map_err(|e| wrong(&e))?;
    let length = file.metadata().map_err(|e| wrong(&e))?.len();
    let mut size = [0; 8];
    file.read_exact(&mut size).map_err(|e| wrong(&e))?;
    let size = u64::from_le_bytes(size);
    if size > LONGEST_HEADER || size + 8 > length {
        return Err(wrong(&"this is no safetensors file"));
    }
    let mut header = vec![0; size as usize];
    file.read_exact(&mut header).map_err(|e| wrong(&e))?;
    let metadata: Metadata = serde_json::from_slice(&header).map_err(|e| wrong(&e))?;
    let begin = 8 + size;
    if begin + metadata.data_len() as u64 != length {
        return Err(wrong(
            &"the file is cut short or has more than its header says",
        ));
    }
    let file = Arc::new(Handle {
        path: path.to_path_buf(),
        file: Mutex::new(file),
    });
    let stored = |(key, info): (String, &TensorInfo)| {
        let (from, to) = info.data_offsets;
        let wanted = info.shape.iter().product::<usize>() * info.dtype.bitsize() / 8;
        if to.checked_sub(from) != Some(wanted) || begin + to as u64 > length {
            return Err(wrong(&format!("`{key}` has other bytes than its shape")));
        }
        let stored = Stored {
            file: file.clone(),
            dtype: info.dtype,
            shape: Shape::from(info.shape.as_slice()),
            start: begin + from as u64,
            bytes: wanted,
        };
        Ok((key, stored))
    };
    metadata.tensors().into_iter().map(stored).collect()
}

impl Stored {
    pub(super) fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Reads the tensor; 16-bit and 64-bit floats become f32, integers keep their type.
    ///
    /// Errors as the operating system does, or if the type is none of the above.
    pub(super) fn read(&self, device: &Device) -> Result<Tensor> {
        let count = self.shape.elem_count();
        let tensor = match self.dtype {
            Dtype::F32 => self.floats(count, |b: [u8; 4]| f32::from_le_bytes(b))?,
            Dtype::F16 => self.floats(count, |b: [u8; 2]| f16::from_le_bytes(b).to_f32())?,
            Dtype::BF16 => self.floats(count, |b: [u8; 2]| bf16::from_le_bytes(b).to_f32())?,
            Dtype::F64 => self.floats(count, |b: [u8; 8]| f64::from_le_bytes(b) as f32)?,
            other => {
                let dtype = DType::try_from(other).map_err(|e| self.file.error(e))?;
                let mut bytes = Vec::with_capacity(self.bytes);
                self.pieces(|piece| bytes.extend_from_slice(piece))?;
                Tensor::from_raw_buffer(&bytes, dtype, self.shape.dims(), &Device::Cpu)?
            }
        };
        Ok(tensor.to_device(device)?)
    }

    fn floats<const N: usize>(
        &self,
        count: usize,
        float: impl Fn([u8; N]) -> f32,
    ) -> Result<Tensor> {
        let mut floats = Vec::with_capacity(count);
        self.pieces(|piece| {
            let (numbers, _) = piece.as_chunks::<N>();
            floats.extend(numbers.iter().map(|&bytes| float(bytes)));
        })?;
        Ok(Tensor::from_vec(floats, self.shape.dims(), &Device::Cpu)?)
    }

    /// The tensor's bytes, a piece at a time; every piece but the last is [`PIECE`] long.
    fn pieces(&self, mut take: impl FnMut(&[u8])) -> Result<()> {
        let mut file = self
            .file
            .file
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(self.start))
            .map_err(|e| self.file.error(e))?;
        let mut buffer = vec![0; PIECE.min(self.bytes)];
        let mut left = self.bytes;
        while left > 0 {
            let piece = &mut buffer[..PIECE.min(left)];
            file.read_exact(piece).map_err(|e| self.file.error(e))?;
            take(piece);
            left -= piece.len();
        }
        Ok(())
    }
}
