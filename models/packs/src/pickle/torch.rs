//! What torch's functions say of storages and tensors.

use super::machine::{Machine, Result};
use super::value::{Global, Id, TensorView, Value};

impl Machine<'_> {
    /// `('storage', class, key, location, numel[, view])` → a reference to a storage.
    pub(super) fn persistent_load(&mut self) -> Result<()> {
        let id = self.pop()?;
        let parts = self.tuple(id)?;
        let (5 | 6) = parts.len() else {
            return self.malformed("a storage reference of unknown form");
        };
        let (Value::Text("storage"), &Value::Global(Global::Storage(element)), &Value::Text(key)) = (
            self.value(parts[0]),
            self.value(parts[1]),
            self.value(parts[2]),
        ) else {
            return self.malformed("a storage reference of unknown form");
        };
        if let Some(&view) = parts.get(5)
            && !matches!(self.value(view), Value::None)
        {
            return self.malformed("views of storages (torch before 0.4) are not supported");
        }
        let numel = self.unsigned(parts[4])?;
        self.push(Value::Storage {
            element,
            key,
            numel,
        })
    }

    /// `(storage, offset, shape, stride, requires_grad, hooks[, metadata])`
    pub(super) fn tensor(&self, arguments: &[Id]) -> Result<TensorView> {
        let &[storage, offset, shape, stride, _, _, ..] = arguments else {
            return self.malformed("a tensor with too few arguments");
        };
        if !matches!(self.value(storage), Value::Storage { .. }) {
            return self.malformed("a tensor without a storage");
        }
        let (shape, stride) = (self.axes(shape)?, self.axes(stride)?);
        if shape.len() != stride.len() {
            return self.malformed(format!(
                "a tensor with {} axes and {} strides",
                shape.len(),
                stride.len()
            ));
        }
        Ok(TensorView {
            storage,
            offset: self.unsigned(offset)?,
            shape,
            stride,
        })
    }
}
