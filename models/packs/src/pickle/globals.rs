//! The Python objects that a checkpoint may name.

use super::machine::{Dialect, Machine, PickleError, Result};
use super::value::{Element, Global, Value};

impl<'a> Machine<'a> {
    /// Pushes the mark of an allowed object; any other is an error with its name.
    pub(super) fn push_global(&mut self, module: &'a str, name: &'a str) -> Result<()> {
        let known = match self.dialect {
            Dialect::Save => torch(module, name),
            Dialect::Script => torch(module, name).or_else(|| script(module, name)),
            Dialect::Arrays => arrays(module, name),
        };
        match known {
            Some(global) => self.push(Value::Global(global)),
            None => Err(PickleError::Forbidden(format!("{module}.{name}"))),
        }
    }
}

/// What `torch.save` names.
fn torch<'a>(module: &str, name: &str) -> Option<Global<'a>> {
    Some(match (module, name) {
        ("collections", "OrderedDict") => Global::OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2") => Global::RebuildTensor,
        ("torch._utils", "_rebuild_parameter") => Global::RebuildParameter,
        ("torch", "Size") => Global::Sequence,
        ("torch", "device") => Global::Ignored,
        ("torch", class) => Global::Storage(Element::of_storage_class(class)?),
        _ => return None,
    })
}

/// What `torch.jit.save` names besides.
fn script<'a>(module: &'a str, name: &'a str) -> Option<Global<'a>> {
    Some(match (module, name) {
        (
            "torch.jit._pickle",
            "build_intlist" | "build_doublelist" | "build_boollist" | "build_tensorlist",
        ) => Global::Sequence,
        ("torch.jit._pickle", "restore_type_tag") => Global::Ignored,
        (module, name) if module == "__torch__" || module.starts_with("__torch__.") => {
            Global::ScriptClass(name)
        }
        _ => return None,
    })
}

/// What a pickle of NumPy arrays names. NumPy 2 moved `numpy.core` to `numpy._core`.
fn arrays<'a>(module: &str, name: &str) -> Option<Global<'a>> {
    Some(match (module, name) {
        ("collections", "OrderedDict") => Global::OrderedDict,
        ("numpy", "ndarray") => Global::ArrayClass,
        ("numpy", "dtype") => Global::ArrayType,
        ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => Global::NewArray,
        ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar") => Global::Ignored,
        ("numpy.core.numeric" | "numpy._core.numeric", "_frombuffer") => Global::ArrayOfBuffer,
        ("_codecs", "encode") => Global::Encode,
        ("__builtin__" | "builtins", "bytes") => Global::NoBytes,
        _ => return None,
    })
}
