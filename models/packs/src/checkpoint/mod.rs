//! Reads the tensors of a checkpoint, whatever program wrote it, without executing anything.

mod archive;
mod arrays;
mod gather;
mod legacy;
mod safe;
mod state;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

pub(crate) use safe::write_safetensors;

use crate::error::{PackError, Result};
use crate::pickle::PickleError;

/// No description of tensors is longer: a large model with its optimiser state needs about 1 MB.
const MAX_PICKLE_BYTES: u64 = 32 << 20;

/// Tensors by name.
pub(crate) type Tensors = BTreeMap<String, RawTensor>;

/// One tensor as it will be stored: contiguous, row-major, little endian.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RawTensor {
    pub dtype: safetensors::Dtype,
    pub shape: Vec<usize>,
    pub data: Vec<u8>,
}

/// How a checkpoint is packed, for the manifest and for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Container {
    Safetensors,
    /// `torch.save`, torch 1.6 and later.
    TorchZip,
    /// `torch.jit.save`.
    TorchScript,
    /// `torch.save` before torch 1.6.
    TorchLegacy,
    /// `pickle.dump` of a dictionary of NumPy arrays.
    Arrays,
}

/// Reads every tensor of a checkpoint file. The content decides how, not the name.
///
/// - 16 and 32-bit floats and 64-bit integers are kept; other floats become f32, other integers i64,
///   bytes and truth values u8.
/// - Of a training checkpoint only the model's state is read.
///
/// Memory is bounded by a small multiple of the file's length.
pub(crate) fn read(path: &Path) -> Result<(Tensors, Container)> {
    let mut file = File::open(path).map_err(PackError::io(path))?;
    let mut head = Vec::new();
    (&mut file)
        .take(16)
        .read_to_end(&mut head)
        .map_err(PackError::io(path))?;
    if head.starts_with(b"PK\x03\x04") {
        return archive::read(path, file);
    }
    if legacy::recognises(&head) {
        return Ok((legacy::read(path, file)?, Container::TorchLegacy));
    }
    if head.get(8) == Some(&b'{') {
        return Ok((safe::read(path)?, Container::Safetensors));
    }
    if arrays::recognises(&head) {
        return Ok((arrays::read(path, file)?, Container::Arrays));
    }
    Err(PackError::Unsupported {
        file: path.to_path_buf(),
        reason: "not a checkpoint: expected safetensors, a file of torch.save or torch.jit.save, \
                 or a pickle of a dictionary of NumPy arrays"
            .into(),
    })
}

fn damaged(path: &Path, reason: impl Into<String>) -> PackError {
    PackError::Damaged {
        file: path.to_path_buf(),
        reason: reason.into(),
    }
}

fn pickle_error(path: &Path) -> impl FnOnce(PickleError) -> PackError {
    let file = path.to_path_buf();
    move |error| match error {
        PickleError::Forbidden(global) => PackError::ForbiddenGlobal { file, global },
        PickleError::Malformed(reason) => PackError::Damaged { file, reason },
    }
}
