//! Where layers get their tensors from.

mod file;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use candle_core::{DType, Device, Shape, Tensor, Var};

use crate::kernels::{Packed, packable};
use crate::{Adaptation, Checkpointing, Init, NnError, Precision, Quantisation, Result};
use file::Stored;

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

    /// The same store for training in another precision: frozen tensors are kept in the type that layers compute in, and trained ones
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
    /// Errors as [`Weights::get`].
    pub(crate) fn pack(
        &self,
        shape: impl Into<Shape>,
        name: &str,
        init: Init,
    ) -> Result<Option<Packed>> {
        match self.frozen(&shape.into(), name, init)? {
            Some(weight) => {
                let packed = Packed::new(&weight.flatten_from(1)?, self.quantise)?;
                Ok(Some(packed))
            }
            None => Ok(None),
        }
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

    /// Makes every float tensor whose full key passes `filter` trainable; call it before a model is built.
    ///
    /// Replaces an earlier filter. Errors with [`NnError::Conflict`] if a layer already holds a passing tensor as frozen.
    pub fn train_where(&self, filter: impl Fn(&str) -> bool + Send + Sync + 'static) -> Result<()> {
        let mut state = self.state();
        for (key, entry) in &state.entries {
            if matches!(entry, Entry::Frozen(tensor) if tensor.dtype().is_float()) && filter(key) {
                return Err(NnError::Conflict {
                    key: key.clone(),
                    reason: "was handed out as frozen before it was made trainable",
                });
            }
        }
        state.trainable = Some(Box::new(filter));
        Ok(())
    }

    /// Gives layers that are built from now on the parts of an adaptation; call it before a model is built.
    ///
    /// The parts' tensors are taken from the store where it has them, else drawn so that the model starts unchanged (a prefix:
    /// nearly so).
    /// Errors with [`NnError::Conflict`] if a layer already took a tensor.
    pub fn adapt(&self, adaptation: Adaptation) -> Result<Arc<Adaptation>> {
        let mut state = self.state();
        if let Some(key) = state.entries.keys().next() {
            return Err(NnError::Conflict {
                key: key.clone(),
                reason: "was handed out before the model was adapted",
            });
        }
        let adaptation = Arc::new(adaptation);
        state.adaptation = Some(adaptation.clone());
        Ok(adaptation)
    }

    /// What layers are adapted with.
    pub(crate) fn adaptation(&self) -> Option<Arc<Adaptation>> {
        self.state().adaptation.clone()
    }

    /// Lets towers that are built from now on compute their blocks again in the backward pass; call it before a model is built, and
    /// after [`Weights::adapt`].
    ///
    /// Gradients of variables inside blocks are then had from what is returned: see [`Checkpointing::collect`].
    pub fn checkpoint(&self) -> Arc<Checkpointing> {
        let mut state = self.state();
        state.checkpointing.get_or_insert_default().clone()
    }

    /// Where gradients of recomputed blocks are gathered, if blocks are recomputed.
    pub(crate) fn checkpointing(&self) -> Option<Arc<Checkpointing>> {
        self.state().checkpointing.clone()
    }

    /// The trainable variables below this view that layers have asked for, by full key, sorted.
    pub fn vars(&self) -> Vec<(String, Var)> {
        self.state()
            .entries
            .iter()
            .filter(|(key, _)| self.covers(key))
            .filter_map(|(key, entry)| match entry {
                Entry::Trainable(var) => Some((key.clone(), var.clone())),
                _ => None,
            })
            .collect()
    }

    /// Everything below this view, loaded or handed out, by full key: what [`Weights::save`] writes.
    ///
    /// Values of variables are copies: later training does not change them.
    /// Errors if a copy fails, for want of memory.
    pub fn snapshot(&self) -> Result<BTreeMap<String, Tensor>> {
        let state = self.state();
        let mut tensors: BTreeMap<String, Tensor> = state
            .loaded
            .iter()
            .filter(|(key, _)| self.covers(key) && !state.entries.contains_key(*key))
            .map(|(key, tensor)| (key.clone(), tensor.clone()))
            .collect();
        for (key, entry) in state.entries.iter().filter(|(key, _)| self.covers(key)) {
            let tensor = match entry {
                Entry::Frozen(tensor) => tensor.clone(),
                Entry::Trainable(var) | Entry::Running(var) => var.as_detached_tensor().copy()?,
            };
            tensors.insert(key.clone(), tensor);
        }
        Ok(tensors)
    }

    /// Everything below this view, loaded or handed out, by full key.
    ///
    /// Variables share their storage with the result, so later training shows in it; [`Weights::snapshot`] copies.
    pub fn tensors(&self) -> BTreeMap<String, Tensor> {
        let state = self.state();
        let loaded = state
            .loaded
            .iter()
            .map(|(key, tensor)| (key.clone(), tensor.clone()));
        let entries = state
            .entries
            .iter()
            .map(|(key, entry)| (key.clone(), entry.tensor().detach()));
        loaded
            .chain(entries)
            .filter(|(key, _)| self.covers(key))
            .collect()
    }

    /// Puts values back into variables and running statistics, as after reading a checkpoint or a best epoch.
    ///
    /// Keys are full keys. Returns how many were set; keys that are frozen or unknown are left alone.
    /// Errors with [`NnError::ShapeMismatch`].
    pub fn restore(&self, tensors: &BTreeMap<String, Tensor>) -> Result<usize> {
        let state = self.state();
        let mut count = 0;
        for (key, entry) in state.entries.iter().filter(|(key, _)| self.covers(key)) {
            let (Entry::Trainable(var) | Entry::Running(var)) = entry else {
                continue;
            };
            let Some(value) = tensors.get(key) else {
                continue;
            };
            self.check(key, var.shape(), value.shape())?;
            var.set(&value.to_dtype(var.dtype())?.to_device(var.device())?)?;
            count += 1;
        }
        Ok(count)
    }

    fn covers(&self, key: &str) -> bool {
        self.prefix.is_empty()
            || key
                .strip_prefix(&self.prefix)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }

    /// Writes everything below this view to a safetensors file, whole or not at all.
    ///
    /// `dtype` (F16, BF16 or F32) is for floats; integers keep their type. The file is written beside its destination,
    /// flushed, and renamed. Errors with [`NnError::Write`], also if a value does not fit into `dtype`.
    pub fn save(&self, path: &Path, dtype: DType) -> Result<()> {
        save_tensors(&self.tensors(), path, dtype)
    }

    /// The device on which tensors live.
    pub fn device(&self) -> &Device {
        &self.store.device
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
