//! Calls and objects, whichever program wrote them.

use super::encoded::Encoded;
use super::machine::{Machine, Result};
use super::value::{Global, Id, Value};

/// A tensor has at most this many axes.
const MAX_AXES: usize = 8;

impl<'a> Machine<'a> {
    fn global(&self, id: Id) -> Result<Global<'a>> {
        match self.value(id) {
            Value::Global(global) => Ok(*global),
            _ => self.malformed("something that is no function is called"),
        }
    }

    pub(super) fn tuple(&self, id: Id) -> Result<&[Id]> {
        match self.value(id) {
            Value::Tuple(items) => Ok(items),
            _ => self.malformed("a tuple was expected"),
        }
    }

    pub(super) fn unsigned(&self, id: Id) -> Result<u64> {
        match self.value(id) {
            Value::Int(n) if let Ok(n) = u64::try_from(*n) => Ok(n),
            _ => self.malformed("a non-negative whole number was expected"),
        }
    }

    pub(super) fn axes(&self, id: Id) -> Result<Vec<u64>> {
        let items = match self.value(id) {
            Value::Tuple(items) | Value::List(items) => items,
            _ => return self.malformed("a shape was expected"),
        };
        if items.len() > MAX_AXES {
            return self.malformed(format!("a tensor with {} axes", items.len()));
        }
        items.iter().map(|&item| self.unsigned(item)).collect()
    }

    /// Does what a call of an allowed function says, as far as weights need it.
    pub(super) fn reduce(&mut self) -> Result<()> {
        let pair = self.pop_many(2)?;
        let arguments = self.tuple(pair[1])?;
        let arguments = arguments[..arguments.len().min(8)].to_vec(); // no function uses more
        match self.global(pair[0])? {
            Global::OrderedDict => {
                if !arguments.is_empty() {
                    return self.malformed("an OrderedDict with arguments");
                }
                self.push(Value::Dict(Vec::new()))
            }
            Global::RebuildTensor => {
                let tensor = self.tensor(&arguments)?;
                self.push(Value::Tensor(Box::new(tensor)))
            }
            Global::RebuildParameter => match arguments.first() {
                Some(&data) if matches!(self.value(data), Value::Tensor(_)) => {
                    self.stack.push(data);
                    Ok(())
                }
                _ => self.malformed("a parameter without a tensor"),
            },
            Global::Sequence => match arguments[..] {
                [items] if matches!(self.value(items), Value::Tuple(_) | Value::List(_)) => {
                    self.stack.push(items);
                    Ok(())
                }
                _ => self.malformed("a sequence was expected"),
            },
            Global::NewArray => self.new_array(&arguments),
            Global::ArrayType => self.array_type(&arguments),
            Global::ArrayOfBuffer => self.array_of_buffer(&arguments),
            Global::Encode => self.encode(&arguments),
            Global::NoBytes => match arguments[..] {
                [] => self.push(Value::Bytes(Encoded::Plain(&[]))),
                _ => self.malformed("bytes are made of something"),
            },
            Global::Ignored => self.push(Value::Opaque),
            Global::Storage(_) | Global::ScriptClass(_) | Global::ArrayClass => {
                self.malformed("a class is called as a function")
            }
        }
    }

    pub(super) fn new_object(&mut self) -> Result<()> {
        let pair = self.pop_many(2)?;
        match self.global(pair[0])? {
            Global::ScriptClass(_) => self.push(Value::Object { state: None }),
            _ => self.malformed("an instance of something that is no module"),
        }
    }

    /// Sets an object's state. A dictionary's extra attributes (`_metadata`) are dropped.
    pub(super) fn build(&mut self) -> Result<()> {
        let state = self.pop()?;
        let id = self.top()?;
        match &mut self.values[id as usize] {
            Value::Object { state: slot } => *slot = Some(state),
            Value::Dict(_) | Value::Opaque => {}
            Value::ArrayType { order: None, .. } => {
                let stated = self.byte_order(state)?;
                if let Value::ArrayType { order, .. } = &mut self.values[id as usize] {
                    *order = Some(stated);
                }
            }
            Value::Array(None) => {
                let array = self.array_state(state)?;
                self.values[id as usize] = Value::Array(Some(Box::new(array)));
            }
            _ => return self.malformed("state for a value that has none"),
        }
        Ok(())
    }
}
