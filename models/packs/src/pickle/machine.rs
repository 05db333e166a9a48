//! The stack machine.

use std::collections::HashMap;

use super::value::{Element, Global, Graph, Id, TensorView, Value};

/// More values than any checkpoint has: a large model with its optimiser state needs some 100 000.
const MAX_VALUES: usize = 4_000_000;
/// A tensor has at most this many axes.
const MAX_AXES: usize = 8;

/// Which program wrote the pickle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// `torch.save`
    Save,
    /// `torch.jit.save`: module classes (`__torch__.…`) may occur.
    Script,
}

/// Why a pickle was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PickleError {
    /// It names something outside the allow-list (`module.name`).
    Forbidden(String),
    /// It is cut short, inconsistent, or uses an instruction that no checkpoint needs.
    Malformed(String),
}

type Result<T> = std::result::Result<T, PickleError>;

/// Reads one pickle from the beginning of `input`.
///
/// Time and memory are linear in the length of `input`.
pub(crate) fn parse(input: &[u8], dialect: Dialect) -> Result<Graph<'_>> {
    let mut machine = Machine {
        input,
        at: 0,
        dialect,
        values: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    while machine.step()? == Flow::Continue {}
    let root = machine.pop()?;
    Ok(Graph {
        values: machine.values,
        root,
        consumed: machine.at,
    })
}

#[derive(PartialEq, Eq)]
enum Flow {
    Continue,
    Stop,
}

struct Machine<'a> {
    input: &'a [u8],
    at: usize,
    dialect: Dialect,
    values: Vec<Value<'a>>,
    stack: Vec<Id>,
    /// Heights of the stack at which MARK was executed.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl<'a> Machine<'a> {
    fn step(&mut self) -> Result<Flow> {
        let start = self.at;
        match self.byte()? {
            0x80 => {
                let protocol = self.byte()?; // PROTO
                if !(1..=5).contains(&protocol) {
                    return self.malformed(format!("pickle protocol {protocol} is not known"));
                }
            }
            0x95 => drop(self.bytes(8)?), // FRAME: a hint for readers of streams
            b'(' => self.marks.push(self.stack.len()),
            b'N' => self.push(Value::None)?,
            0x88 | 0x89 => self.push(Value::Bool)?, // NEWTRUE, NEWFALSE
            b'K' => {
                let n = self.byte()?; // BININT1
                self.push(Value::Int(n.into()))?;
            }
            b'M' => {
                let n = u16::from_le_bytes(self.array()?); // BININT2
                self.push(Value::Int(n.into()))?;
            }
            b'J' => {
                let n = i32::from_le_bytes(self.array()?); // BININT
                self.push(Value::Int(n.into()))?;
            }
            0x8a => {
                let n = self.long()?; // LONG1
                self.push(Value::Int(n))?;
            }
            b'G' => {
                self.bytes(8)?; // BINFLOAT
                self.push(Value::Float)?;
            }
            0x8c => {
                let length = self.byte()?.into(); // SHORT_BINUNICODE
                self.push_text(length)?;
            }
            b'X' => {
                let length = u32::from_le_bytes(self.array()?) as usize; // BINUNICODE
                self.push_text(length)?;
            }
            b'U' => {
                let length = self.byte()?.into(); // SHORT_BINSTRING (Python 2)
                self.push_text(length)?;
            }
            b'C' => {
                let length = self.byte()?.into(); // SHORT_BINBYTES
                self.bytes(length)?;
                self.push(Value::Bytes)?;
            }
            b'B' => {
                let length = u32::from_le_bytes(self.array()?) as usize; // BINBYTES
                self.bytes(length)?;
                self.push(Value::Bytes)?;
            }
            b')' => self.push(Value::Tuple(Vec::new()))?,
            0x85..=0x87 => {
                let count = usize::from(self.input[start] - 0x84); // TUPLE1..3
                let items = self.pop_many(count)?;
                self.push(Value::Tuple(items))?;
            }
            b't' => {
                let items = self.pop_to_mark()?;
                self.push(Value::Tuple(items))?;
            }
            b']' => self.push(Value::List(Vec::new()))?,
            b'l' => {
                let items = self.pop_to_mark()?;
                self.push(Value::List(items))?;
            }
            b'a' => {
                let items = self.pop_many(1)?;
                self.append(items)?;
            }
            b'e' => {
                let items = self.pop_to_mark()?;
                self.append(items)?;
            }
            b'}' => self.push(Value::Dict(Vec::new()))?,
            b's' => {
                let items = self.pop_many(2)?;
                self.set_items(items)?;
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.set_items(items)?;
            }
            b'q' => {
                let slot = self.byte()?.into(); // BINPUT
                self.put(slot)?;
            }
            b'r' => {
                let slot = u32::from_le_bytes(self.array()?); // LONG_BINPUT
                self.put(slot)?;
            }
            0x94 => {
                let slot = self.memo.len() as u32; // MEMOIZE; the memo cannot outgrow the input
                self.put(slot)?;
            }
            b'h' => {
                let slot = self.byte()?.into(); // BINGET
                self.recall(slot)?;
            }
            b'j' => {
                let slot = u32::from_le_bytes(self.array()?); // LONG_BINGET
                self.recall(slot)?;
            }
            b'c' => {
                let module = self.line()?; // GLOBAL
                let name = self.line()?;
                self.push_global(module, name)?;
            }
            0x93 => {
                let pair = self.pop_many(2)?; // STACK_GLOBAL
                match (self.value(pair[0]), self.value(pair[1])) {
                    (&Value::Text(module), &Value::Text(name)) => self.push_global(module, name)?,
                    _ => return self.malformed("an object's name is not text"),
                }
            }
            b'Q' => self.persistent_load()?,
            b'R' => self.reduce()?,
            0x81 => self.new_object()?,
            b'b' => self.build()?,
            b'.' => return Ok(Flow::Stop),
            other => {
                self.at = start;
                return self.malformed(format!(
                    "instruction 0x{other:02x} is not used by checkpoints"
                ));
            }
        }
        Ok(Flow::Continue)
    }

    // --- input -------------------------------------------------------------------------------

    fn malformed<T>(&self, what: impl Into<String>) -> Result<T> {
        let what = what.into();
        Err(PickleError::Malformed(format!(
            "{what} (pickle byte {})",
            self.at
        )))
    }

    fn bytes(&mut self, count: usize) -> Result<&'a [u8]> {
        let rest = &self.input[self.at..];
        if rest.len() < count {
            return self.malformed(format!("{count} bytes are needed, {} are left", rest.len()));
        }
        self.at += count;
        Ok(&rest[..count])
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let bytes = self.bytes(N)?;
        Ok(bytes
            .try_into()
            .expect("`bytes` returns as many as asked for"))
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    fn line(&mut self) -> Result<&'a str> {
        let rest = &self.input[self.at..];
        let Some(length) = rest.iter().take(1024).position(|&b| b == b'\n') else {
            return self.malformed("an object's name does not end");
        };
        let line = self.bytes(length + 1)?;
        match std::str::from_utf8(&line[..length]) {
            Ok(text) => Ok(text.trim_end_matches('\r')),
            Err(_) => self.malformed("an object's name is not UTF-8"),
        }
    }

    fn long(&mut self) -> Result<i128> {
        let length = usize::from(self.byte()?);
        if length > 16 {
            return self.malformed(format!("a whole number of {length} bytes"));
        }
        let bytes = self.bytes(length)?;
        let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
        let mut wide = [if negative { 0xff } else { 0 }; 16];
        wide[..length].copy_from_slice(bytes);
        Ok(i128::from_le_bytes(wide))
    }

    // --- stack -------------------------------------------------------------------------------

    fn value(&self, id: Id) -> &Value<'a> {
        &self.values[id as usize]
    }

    fn push(&mut self, value: Value<'a>) -> Result<()> {
        if self.values.len() >= MAX_VALUES {
            return self.malformed(format!("more than {MAX_VALUES} values"));
        }
        self.stack.push(self.values.len() as Id);
        self.values.push(value);
        Ok(())
    }

    fn push_text(&mut self, length: usize) -> Result<()> {
        let bytes = self.bytes(length)?;
        match std::str::from_utf8(bytes) {
            Ok(text) => self.push(Value::Text(text)),
            Err(_) => self.malformed("a text is not UTF-8"),
        }
    }

    /// Height below which the current instruction may not reach.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self) -> Result<Id> {
        Ok(self.pop_many(1)?[0])
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<Id>> {
        let height = self.stack.len();
        if height < self.floor() + count {
            return self.malformed("the stack is empty");
        }
        Ok(self.stack.split_off(height - count))
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>> {
        match self.marks.pop() {
            Some(height) => Ok(self.stack.split_off(height)),
            None => self.malformed("a mark is missing"),
        }
    }

    fn top(&self) -> Result<Id> {
        match self.stack.last() {
            Some(&id) if self.stack.len() > self.floor() => Ok(id),
            _ => self.malformed("the stack is empty"),
        }
    }

    fn put(&mut self, slot: u32) -> Result<()> {
        let id = self.top()?;
        self.memo.insert(slot, id);
        Ok(())
    }

    fn recall(&mut self, slot: u32) -> Result<()> {
        match self.memo.get(&slot) {
            Some(&id) => {
                self.stack.push(id);
                Ok(())
            }
            None => self.malformed(format!("nothing was stored under {slot}")),
        }
    }

    // --- containers --------------------------------------------------------------------------

    fn append(&mut self, mut items: Vec<Id>) -> Result<()> {
        let id = self.top()?;
        match &mut self.values[id as usize] {
            Value::List(list) => list.append(&mut items),
            _ => return self.malformed("items are appended to something that is no list"),
        }
        Ok(())
    }

    fn set_items(&mut self, items: Vec<Id>) -> Result<()> {
        if !items.len().is_multiple_of(2) {
            return self.malformed("a dictionary's key has no value");
        }
        let id = self.top()?;
        match &mut self.values[id as usize] {
            Value::Dict(dict) => dict.extend(items.chunks_exact(2).map(|kv| (kv[0], kv[1]))),
            _ => return self.malformed("entries are added to something that is no dictionary"),
        }
        Ok(())
    }

    // --- objects -----------------------------------------------------------------------------

    fn push_global(&mut self, module: &'a str, name: &'a str) -> Result<()> {
        let global = match (module, name) {
            ("collections", "OrderedDict") => Global::OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2") => Global::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Global::RebuildParameter,
            ("torch", "Size") => Global::Sequence,
            ("torch", "device") => Global::Ignored,
            ("torch", class) if let Some(element) = Element::of_storage_class(class) => {
                Global::Storage(element)
            }
            (
                "torch.jit._pickle",
                "build_intlist" | "build_doublelist" | "build_boollist" | "build_tensorlist",
            ) if self.dialect == Dialect::Script => Global::Sequence,
            ("torch.jit._pickle", "restore_type_tag") if self.dialect == Dialect::Script => {
                Global::Ignored
            }
            (module, name)
                if self.dialect == Dialect::Script
                    && (module == "__torch__" || module.starts_with("__torch__.")) =>
            {
                Global::ScriptClass(name)
            }
            _ => return Err(PickleError::Forbidden(format!("{module}.{name}"))),
        };
        self.push(Value::Global(global))
    }

    fn global(&self, id: Id) -> Result<Global<'a>> {
        match self.value(id) {
            Value::Global(global) => Ok(*global),
            _ => self.malformed("something that is no function is called"),
        }
    }

    fn tuple(&self, id: Id) -> Result<&[Id]> {
        match self.value(id) {
            Value::Tuple(items) => Ok(items),
            _ => self.malformed("a tuple was expected"),
        }
    }

    fn unsigned(&self, id: Id) -> Result<u64> {
        match self.value(id) {
            Value::Int(n) if let Ok(n) = u64::try_from(*n) => Ok(n),
            _ => self.malformed("a non-negative whole number was expected"),
        }
    }

    fn axes(&self, id: Id) -> Result<Vec<u64>> {
        let items = match self.value(id) {
            Value::Tuple(items) | Value::List(items) => items,
            _ => return self.malformed("a shape was expected"),
        };
        if items.len() > MAX_AXES {
            return self.malformed(format!("a tensor with {} axes", items.len()));
        }
        items.iter().map(|&item| self.unsigned(item)).collect()
    }

    /// `('storage', class, key, location, numel[, view])` → a reference to a storage.
    fn persistent_load(&mut self) -> Result<()> {
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

    fn reduce(&mut self) -> Result<()> {
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
            Global::Ignored => self.push(Value::Opaque),
            Global::Storage(_) | Global::ScriptClass(_) => {
                self.malformed("a class is called as a function")
            }
        }
    }

    /// `(storage, offset, shape, stride, requires_grad, hooks[, metadata])`
    fn tensor(&self, arguments: &[Id]) -> Result<TensorView> {
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

    fn new_object(&mut self) -> Result<()> {
        let pair = self.pop_many(2)?;
        match self.global(pair[0])? {
            Global::ScriptClass(_) => self.push(Value::Object { state: None }),
            _ => self.malformed("an instance of something that is no module"),
        }
    }

    /// Sets an object's state. A dictionary's extra attributes (`_metadata`) are dropped.
    fn build(&mut self) -> Result<()> {
        let state = self.pop()?;
        let id = self.top()?;
        match &mut self.values[id as usize] {
            Value::Object { state: slot } => *slot = Some(state),
            Value::Dict(_) | Value::Opaque => {}
            _ => return self.malformed("state for a value that has none"),
        }
        Ok(())
    }
}
