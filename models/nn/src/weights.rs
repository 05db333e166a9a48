//! Where layers get their tensors from.

mod file;
mod opening;
mod saving;
mod training;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard};

use candle_core::{DType, Device, Shape, Tensor, Var};

use crate::kernels::{Packed, packable};
use crate::{Adaptation, Checkpointing, Init, NnError, Precision, Quantisation, Result};
use file::Stored;
pub use saving::save_tensors;

/// A store of named tensors, seen through a prefix; clones and prefixed views share the same tensors.
///
/// There are two kinds. A *loaded* store ([`Weights::open`], [`Weights::from_tensors`]) never invents a tensor: a
/// missing or misshapen one is an error that names the key, the shape wanted, the shape found and the file. A *fresh*
/// store ([`Weights::fresh`]) draws every tensor from a seed and the tensor's key, for training from nothing.
#[derive(Clone)]
pub struct Weights {
    store: Arc<Store>,
    prefix: String,
    packs: bool,
    precision: Precision,
    quantise: Option<Quantisation>,
}

struct Store {
    device: Device,
    origin: String,
    kind: Kind,
    seed: u64,
    state: Mutex<State>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Loaded,
    Fresh,
}

type Filter = Box<dyn Fn(&str) -> bool + Send + Sync>;

#[derive(Default)]
struct State {
    loaded: HashMap<String, Tensor>,
    /// In a file, read when a layer asks.
    stored: HashMap<String, Stored>,
    entries: BTreeMap<String, Entry>,
    trainable: Option<Filter>,
    adaptation: Option<Arc<Adaptation>>,
    checkpointing: Option<Arc<Checkpointing>>,
}

/// A tensor that a layer has asked for.
enum Entry {
    Frozen(Tensor),
    Trainable(Var),
    /// Changes during training without a gradient: running statistics.
    Running(Var),
}

impl Entry {
    fn tensor(&self) -> Tensor {
        match self {
            Entry::Frozen(tensor) => tensor.clone(),
            Entry::Trainable(var) | Entry::Running(var) => var.as_tensor().clone(),
        }
    }
}

impl Weights {
    fn state(&self) -> MutexGuard<'_, State> {
        self.store
            .state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The same store seen below `name`: keys get `name.` in front.
    pub fn pp(&self, name: impl Display) -> Self {
        Self {
            store: self.store.clone(),
            prefix: self.key(&name.to_string()),
            packs: self.packs,
            precision: self.precision,
            quantise: self.quantise,
        }
    }

    /// The full key of `name` in this view.
    pub fn key(&self, name: &str) -> String {
        match (self.prefix.is_empty(), name.is_empty()) {
            (true, _) => name.to_string(),
            (false, true) => self.prefix.clone(),
            (false, false) => format!("{}.{name}", self.prefix),
        }
    }

    /// The tensor `name`, with exactly `shape`.
    ///
    /// A trainable key gives its variable's tensor. `init` matters to a fresh store alone.
    /// Errors with [`NnError::MissingTensor`] or [`NnError::ShapeMismatch`].
    pub fn get(&self, shape: impl Into<Shape>, name: &str, init: Init) -> Result<Tensor> {
        self.lookup(&shape.into(), name, init, self.store.kind)
    }

    /// The tensor `name` as a matrix of its first axis by the others, packed and not kept by the store, if layers of this view
    /// pack and nothing trains the tensor.
    ///
    /// - `factors`: `[first axis]`, multiplies the rows before they are packed
    ///
    /// Errors as [`Weights::get`].
    pub(crate) fn pack(
        &self,
        shape: impl Into<Shape>,
        name: &str,
        init: Init,
        factors: Option<&Tensor>,
    ) -> Result<Option<Packed>> {
        let Some(weight) = self.frozen(&shape.into(), name, init)? else {
            return Ok(None);
        };
        let mut rows = weight.flatten_from(1)?;
        if let Some(factors) = factors {
            rows = rows.broadcast_mul(&factors.unsqueeze(1)?)?;
        }
        Ok(Some(Packed::new(&rows, self.quantise)?))
    }

    /// The tensor `name`, not kept by the store, for a layer that packs it in its own way: if layers of this view pack,
    /// nothing trains the tensor and no adaptation may change the layer.
    ///
    /// Errors as [`Weights::get`].
    pub(crate) fn once(
        &self,
        shape: impl Into<Shape>,
        name: &str,
        init: Init,
    ) -> Result<Option<Tensor>> {
        match self.adaptation() {
            Some(_) => Ok(None),
            None => self.frozen(&shape.into(), name, init),
        }
    }

    fn frozen(&self, shape: &Shape, name: &str, init: Init) -> Result<Option<Tensor>> {
        let key = self.key(name);
        let state = self.state();
        let trains = state.trainable.as_ref().is_some_and(|filter| filter(&key));
        if !self.packs || trains || !self.precision.is_f32() {
            return Ok(None);
        }
        let weight = match state.entries.get(&key) {
            Some(entry) => entry.tensor(),
            None => self.find(&state, shape, &key, init, self.store.kind)?,
        };
        self.check(&key, shape, weight.shape())?;
        Ok(Some(weight).filter(packable))
    }

    /// Like [`Weights::get`], but a loaded store draws the tensor from `init` if the file lacks it.
    ///
    /// Only for what is added to a model on purpose, such as adapters: a model's own tensors use [`Weights::get`].
    /// Errors with [`NnError::ShapeMismatch`] if the tensor is there with another shape.
    pub fn get_or_init(&self, shape: impl Into<Shape>, name: &str, init: Init) -> Result<Tensor> {
        self.lookup(&shape.into(), name, init, Kind::Fresh)
    }

    /// A tensor that training changes without a gradient, such as a running mean.
    ///
    /// It is saved with the weights and never listed by [`Weights::vars`]. Errors as [`Weights::get`].
    pub fn running(&self, shape: impl Into<Shape>, name: &str, init: Init) -> Result<Var> {
        let (shape, key) = (shape.into(), self.key(name));
        let mut state = self.state();
        if let Some(entry) = state.entries.get(&key) {
            self.check(&key, &shape, entry.tensor().shape())?;
            return match entry {
                Entry::Running(var) => Ok(var.clone()),
                _ => Err(NnError::Conflict {
                    key,
                    reason: "is both a weight and a running statistic",
                }),
            };
        }
        let var = Var::from_tensor(&self.find(&state, &shape, &key, init, self.store.kind)?)?;
        state.entries.insert(key, Entry::Running(var.clone()));
        Ok(var)
    }

    fn lookup(&self, shape: &Shape, name: &str, init: Init, kind: Kind) -> Result<Tensor> {
        let key = self.key(name);
        let mut state = self.state();
        if let Some(entry) = state.entries.get(&key) {
            self.check(&key, shape, entry.tensor().shape())?;
            return in_type(entry.tensor(), self.precision.compute());
        }
        let tensor = self.find(&state, shape, &key, init, kind)?;
        let trainable = tensor.dtype().is_float()
            && state.trainable.as_ref().is_some_and(|filter| filter(&key));
        let entry = if trainable {
            Entry::Trainable(Var::from_tensor(&in_type(
                tensor,
                self.precision.master(),
            )?)?)
        } else {
            Entry::Frozen(in_type(tensor, self.precision.compute())?)
        };
        let tensor = in_type(entry.tensor(), self.precision.compute())?;
        state.entries.insert(key, entry);
        Ok(tensor)
    }

    /// The loaded tensor or a drawn one.
    fn find(
        &self,
        state: &State,
        shape: &Shape,
        key: &str,
        init: Init,
        kind: Kind,
    ) -> Result<Tensor> {
        if let Some(stored) = state
            .stored
            .get(key)
            .filter(|_| !state.loaded.contains_key(key))
        {
            self.check(key, shape, stored.shape())?;
            return stored.read(&self.store.device);
        }
        match (state.loaded.get(key), kind) {
            (Some(tensor), _) => {
                self.check(key, shape, tensor.shape())?;
                Ok(tensor.clone())
            }
            (None, Kind::Fresh) => {
                let seed = match &state.adaptation {
                    Some(adaptation) if Adaptation::owns(key) => adaptation.seed,
                    _ => self.store.seed,
                };
                init.draw(shape, seed, key, &self.store.device)
            }
            (None, Kind::Loaded) => Err(NnError::MissingTensor {
                key: key.to_string(),
                wanted: shape.clone(),
                origin: self.store.origin.clone(),
            }),
        }
    }

    fn check(&self, key: &str, wanted: &Shape, found: &Shape) -> Result<()> {
        if wanted == found {
            return Ok(());
        }
        Err(NnError::ShapeMismatch {
            key: key.to_string(),
            wanted: wanted.clone(),
            found: found.clone(),
            origin: self.store.origin.clone(),
        })
    }

    /// Puts tensors below this view, in place of what the store holds or would draw, before a model is built.
    ///
    /// This is how published parts enter a fresh model:
    /// `Weights::fresh(seed, &device).pp("maml_v_emb").overlay(tensors)`. 16-bit and 64-bit floats become f32; shapes are
    /// checked when a layer asks. Errors with [`NnError::Conflict`] if a layer already holds one of the tensors.
    pub fn overlay(&self, tensors: impl IntoIterator<Item = (String, Tensor)>) -> Result<()> {
        let mut state = self.state();
        for (name, tensor) in tensors {
            let key = self.key(&name);
            if state.entries.contains_key(&key) {
                return Err(NnError::Conflict {
                    key,
                    reason: "was handed out before it was overlaid",
                });
            }
            state.loaded.insert(key, widen(tensor)?);
        }
        Ok(())
    }

    /// Whether `name` is in the file or was handed out already.
    pub fn contains(&self, name: &str) -> bool {
        let key = self.key(name);
        let state = self.state();
        state.loaded.contains_key(&key)
            || state.stored.contains_key(&key)
            || state.entries.contains_key(&key)
    }

    /// Whether this store draws what it does not have.
    pub fn is_fresh(&self) -> bool {
        self.store.kind == Kind::Fresh
    }

    /// Shape of `name` if the file has it or it was handed out already.
    pub fn shape_of(&self, name: &str) -> Option<Shape> {
        let key = self.key(name);
        let state = self.state();
        match state.entries.get(&key) {
            Some(entry) => Some(entry.tensor().shape().clone()),
            None => match state.loaded.get(&key) {
                Some(tensor) => Some(tensor.shape().clone()),
                None => state.stored.get(&key).map(|stored| stored.shape().clone()),
            },
        }
    }

    /// The device on which tensors live.
    pub fn device(&self) -> &Device {
        &self.store.device
    }
}

/// Floats in a type; others as they are. A variable's gradient flows through.
fn in_type(tensor: Tensor, dtype: DType) -> Result<Tensor> {
    match tensor.dtype().is_float() && tensor.dtype() != dtype {
        true => Ok(tensor.to_dtype(dtype)?),
        false => Ok(tensor),
    }
}

/// Floats of any other width to f32.
fn widen(tensor: Tensor) -> Result<Tensor> {
    match tensor.dtype() {
        DType::F16 | DType::BF16 | DType::F64 => Ok(tensor.to_dtype(DType::F32)?),
        _ => Ok(tensor),
    }
}
