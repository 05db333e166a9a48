//! Stores from files, from tensors, and fresh ones.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use candle_core::{DType, Device, Tensor};

use super::file;
use super::{Kind, State, Store, Weights, widen};
use crate::{NnError, Precision, Quantisation, Result};

impl Weights {
    /// Reads a safetensors file.
    ///
    /// 16-bit and 64-bit floats become f32; integers keep their type.
    /// Errors with [`NnError::Read`] if the file is absent, truncated or not safetensors.
    pub fn open(path: &Path, device: &Device) -> Result<Self> {
        let read_error = |reason: String| NnError::Read {
            path: path.to_path_buf(),
            reason,
        };
        let tensors =
            candle_core::safetensors::load(path, device).map_err(|e| read_error(e.to_string()))?;
        let tensors = tensors
            .into_iter()
            .map(|(key, tensor)| Ok((key, widen(tensor)?)))
            .collect::<Result<HashMap<_, _>>>()
            .map_err(|e| read_error(e.to_string()))?;
        Ok(Self::store(
            tensors,
            path.display().to_string(),
            Kind::Loaded,
            0,
            device,
        ))
    }

    /// Looks into a safetensors file for inference: tensors are read as layers ask for them, and layers keep frozen matrices
    /// packed for this machine alone, so that a model is in memory once.
    ///
    /// [`Weights::tensors`] and what is made of it know only of tensors that layers were given unpacked: to convert or to
    /// train, [`Weights::open`] the file. Types as there. Errors with [`NnError::Read`] if the file is absent, is cut short or
    /// is not safetensors, and later if a tensor cannot be read.
    pub fn stream(path: &Path, device: &Device) -> Result<Self> {
        let weights = Self::store(
            HashMap::new(),
            path.display().to_string(),
            Kind::Loaded,
            0,
            device,
        );
        weights.state().stored = file::tensors(path)?.into_iter().collect();
        Ok(weights.packed())
    }

    /// The same store for inference: layers keep frozen matrices packed for this machine, and not otherwise.
    #[must_use]
    pub fn packed(mut self) -> Self {
        self.packs = true;
        self
    }

    /// The same store in another precision: frozen tensors are kept in the type that layers compute in, and trained ones
    /// are given to layers as copies in it where they are kept in another.
    ///
    /// Such copies do not follow a step: see [`Precision::copies`]. Nothing is packed unless the precision is f32.
    #[must_use]
    pub fn in_precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// The same store for tensors that are f32 in any precision.
    #[must_use]
    pub fn wide(&self) -> Self {
        self.clone().in_precision(Precision::F32)
    }

    /// The type in which layers compute.
    pub fn compute_type(&self) -> DType {
        self.precision.compute()
    }

    /// The same store for inference with less memory: layers keep the frozen matrices of affine maps packed in 8 or 4 bits a
    /// number, `None` for floats. Convolutions and embeddings stay as they are.
    #[must_use]
    pub fn quantised(mut self, quantise: Option<Quantisation>) -> Self {
        self.packs |= quantise.is_some();
        self.quantise = quantise;
        self
    }

    /// A loaded store of tensors that are already in memory, all on one device.
    ///
    /// `origin` stands for the file in error messages. 16-bit and 64-bit floats become f32.
    pub fn from_tensors(tensors: HashMap<String, Tensor>, origin: &str) -> Self {
        let device = tensors
            .values()
            .next()
            .map_or(Device::Cpu, |tensor| tensor.device().clone());
        let tensors = tensors
            .into_iter()
            .map(|(key, tensor)| {
                let wide = widen(tensor.clone()).unwrap_or(tensor);
                (key, wide)
            })
            .collect();
        Self::store(tensors, origin.to_string(), Kind::Loaded, 0, &device)
    }

    /// A store that draws every tensor from `seed` and the tensor's key.
    pub fn fresh(seed: u64, device: &Device) -> Self {
        Self::store(
            HashMap::new(),
            "fresh weights".to_string(),
            Kind::Fresh,
            seed,
            device,
        )
    }

    fn store(
        loaded: HashMap<String, Tensor>,
        origin: String,
        kind: Kind,
        seed: u64,
        device: &Device,
    ) -> Self {
        let state = State {
            loaded,
            ..State::default()
        };
        Self {
            store: Arc::new(Store {
                device: device.clone(),
                origin,
                kind,
                seed,
                state: Mutex::new(state),
            }),
            prefix: String::new(),
            packs: false,
            precision: Precision::F32,
            quantise: None,
        }
    }
}
