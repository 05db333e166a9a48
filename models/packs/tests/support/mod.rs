//! Writes checkpoints as torch would, and as an attacker might.
#![allow(dead_code, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// A folder under `tests/vectors` of the repository.
pub fn vectors(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/vectors")
        .join(name)
}

/// Pickle instructions, one method each.
#[derive(Default, Clone)]
pub struct Pickle(pub Vec<u8>);

impl Pickle {
    pub fn new() -> Self {
        Self(vec![0x80, 2])
    }

    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub fn text(self, text: &str) -> Self {
        let length = (text.len() as u32).to_le_bytes();
        self.raw(b"X").raw(&length).raw(text.as_bytes())
    }

    pub fn int(self, n: i64) -> Self {
        match i32::try_from(n) {
            Ok(n) => self.raw(b"J").raw(&n.to_le_bytes()),
            Err(_) => self.raw(&[0x8a, 8]).raw(&n.to_le_bytes()),
        }
    }

    pub fn global(self, module: &str, name: &str) -> Self {
        self.raw(format!("c{module}\n{name}\n").as_bytes())
    }

    pub fn ints(self, values: &[i64]) -> Self {
        values
            .iter()
            .fold(self.raw(b"("), |p, &v| p.int(v))
            .raw(b"t")
    }

    /// A tensor, as `torch.save` writes it.
    pub fn tensor(self, t: &Described<'_>) -> Self {
        self.global("torch._utils", "_rebuild_tensor_v2")
            .raw(b"((")
            .text("storage")
            .global("torch", t.class)
            .text(t.key)
            .text("cpu")
            .int(t.numel)
            .raw(b"tQ")
            .int(t.offset)
            .ints(t.shape)
            .ints(t.stride)
            .raw(&[0x89])
            .global("collections", "OrderedDict")
            .raw(b")RtR")
    }

    /// A dictionary whose entries `entries` writes.
    pub fn dict(self, entries: impl FnOnce(Self) -> Self) -> Self {
        entries(self.raw(b"}(")).raw(b"u")
    }

    pub fn stop(self) -> Vec<u8> {
        self.raw(b".").0
    }
}

/// What a pickle says about one tensor.
#[derive(Clone)]
pub struct Described<'a> {
    pub class: &'a str,
    pub key: &'a str,
    pub numel: i64,
    pub offset: i64,
    pub shape: &'a [i64],
    pub stride: &'a [i64],
}

/// A 2 x 3 f32 tensor in storage `0` of six elements.
pub fn small() -> Described<'static> {
    Described {
        class: "FloatStorage",
        key: "0",
        numel: 6,
        offset: 0,
        shape: &[2, 3],
        stride: &[3, 1],
    }
}

/// A zip archive of stored members under `archive/`.
pub fn torch_zip(path: &Path, pickle: &[u8], members: &[(&str, &[u8])]) {
    zip_with(path, pickle, members, CompressionMethod::Stored);
}

pub fn zip_with(path: &Path, pickle: &[u8], members: &[(&str, &[u8])], method: CompressionMethod) {
    let mut zip = ZipWriter::new(std::fs::File::create(path).unwrap());
    let options = SimpleFileOptions::default().compression_method(method);
    for (name, bytes) in [("data.pkl", pickle)].iter().chain(members) {
        zip.start_file(format!("archive/{name}"), options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
}

/// A model's tensors as lists of numbers, by name.
pub fn tensors_of(path: &Path) -> BTreeMap<String, Tensor> {
    candle_core::safetensors::load(path, &Device::Cpu)
        .unwrap()
        .into_iter()
        .collect()
}

/// Little-endian bytes and torch storage class of a tensor, row-major.
pub fn bytes_of(tensor: &Tensor) -> (&'static str, Vec<u8>) {
    let flat = tensor.flatten_all().unwrap();
    match tensor.dtype() {
        DType::F32 => {
            let values = flat.to_vec1::<f32>().unwrap();
            (
                "FloatStorage",
                values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            )
        }
        DType::I64 => {
            let values = flat.to_vec1::<i64>().unwrap();
            (
                "LongStorage",
                values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            )
        }
        other => panic!("no test stores {other:?}"),
    }
}

/// How a checkpoint of a whole model is written.
pub enum Form {
    Zip,
    Legacy,
    Script,
}

/// Writes a model's tensors as torch would.
pub fn write_model(path: &Path, tensors: &BTreeMap<String, Tensor>, form: Form) {
    let shapes: Vec<(Vec<i64>, Vec<i64>)> = tensors
        .values()
        .map(|t| {
            let shape: Vec<i64> = t.dims().iter().map(|&d| d as i64).collect();
            let mut stride = vec![1; shape.len()];
            for axis in (1..shape.len()).rev() {
                stride[axis - 1] = stride[axis] * shape[axis];
            }
            (shape, stride)
        })
        .collect();
    let keys: Vec<String> = (0..tensors.len()).map(|i| i.to_string()).collect();
    let storages: Vec<(&str, Vec<u8>)> = tensors.values().map(bytes_of).collect();
    let described = |i: usize| {
        let tensor = tensors.values().nth(i).unwrap();
        Described {
            class: storages[i].0,
            key: &keys[i],
            numel: tensor.elem_count() as i64,
            offset: 0,
            shape: &shapes[i].0,
            stride: &shapes[i].1,
        }
    };
    let flat = |pickle: Pickle| {
        pickle.dict(|mut p| {
            for (i, name) in tensors.keys().enumerate() {
                p = p.text(name).tensor(&described(i));
            }
            p
        })
    };
    let members: Vec<(String, &[u8])> = keys
        .iter()
        .zip(&storages)
        .map(|(k, (_, b))| (format!("data/{k}"), b.as_slice()))
        .collect();
    let mut members: Vec<(&str, &[u8])> = members.iter().map(|(n, b)| (n.as_str(), *b)).collect();
    match form {
        Form::Zip => torch_zip(path, &flat(Pickle::new()).stop(), &members),
        Form::Script => {
            let mut tree = Node::default();
            for (i, name) in tensors.keys().enumerate() {
                tree.insert(name, i);
            }
            let pickle = tree.write(Pickle::new(), &described).stop();
            let constants = Pickle::new().raw(b")").stop();
            members.push(("constants.pkl", &constants));
            members.push(("code/__torch__.py", b"def forward(self): import os"));
            torch_zip(path, &pickle, &members);
        }
        Form::Legacy => {
            let magic = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
            let mut file = Pickle::new().raw(magic).stop();
            file.extend(Pickle::new().raw(b"M\xe9\x03").stop());
            file.extend(Pickle::new().raw(b"}").stop());
            // References to storages have a sixth part, None, in this form.
            let object = flat(Pickle::new()).stop();
            file.extend(legacy_storages(&object));
            let list = keys.iter().fold(Pickle::new().raw(b"]("), |p, k| p.text(k));
            file.extend(list.raw(b"e").stop());
            for (i, (_, bytes)) in storages.iter().enumerate() {
                file.extend((described(i).numel as u64).to_le_bytes());
                file.extend(bytes);
            }
            std::fs::write(path, file).unwrap();
        }
    }
}

/// Adds `None` before the end of every storage reference (`tQ` to `NtQ`).
fn legacy_storages(pickle: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for (i, &byte) in pickle.iter().enumerate() {
        if byte == b't' && pickle.get(i + 1) == Some(&b'Q') {
            out.push(b'N');
        }
        out.push(byte);
    }
    out
}

/// A module tree, for TorchScript.
#[derive(Default)]
struct Node {
    tensors: Vec<(String, usize)>,
    modules: BTreeMap<String, Node>,
}

impl Node {
    fn insert(&mut self, path: &str, tensor: usize) {
        match path.split_once('.') {
            Some((module, rest)) => {
                self.modules
                    .entry(module.into())
                    .or_default()
                    .insert(rest, tensor);
            }
            None => self.tensors.push((path.into(), tensor)),
        }
    }

    fn write<'a>(&self, pickle: Pickle, described: &impl Fn(usize) -> Described<'a>) -> Pickle {
        pickle
            .global("__torch__.model.___torch_mangle_7", "Module")
            .raw(b")\x81")
            .dict(|mut p| {
                p = p.text("training").raw(&[0x89]);
                p = p.text("sizes").global("torch.jit._pickle", "build_intlist");
                p = p.raw(b"](K\x01K\x02e\x85R");
                for (name, tensor) in &self.tensors {
                    p = p.text(name).tensor(&described(*tensor));
                }
                for (name, module) in &self.modules {
                    p = module.write(p.text(name), described);
                }
                p
            })
            .raw(b"b")
    }
}
