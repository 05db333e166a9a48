//! What NumPy's functions say of arrays and their types.

use super::encoded::Encoded;
use super::machine::{Machine, Result};
use super::value::{Array, ByteOrder, Element, Global, Id, TensorView, Value};

impl<'a> Machine<'a> {
    /// `_reconstruct(ndarray, shape, code)` → an array that BUILD fills.
    pub(super) fn new_array(&mut self, arguments: &[Id]) -> Result<()> {
        let is_class = |&id: &Id| matches!(self.value(id), Value::Global(Global::ArrayClass));
        match arguments.first().is_some_and(is_class) {
            true => self.push(Value::Array(None)),
            false => self.malformed("an array of unknown form"),
        }
    }

    /// `dtype(code, align, copy)` → a type whose byte order BUILD sets.
    pub(super) fn array_type(&mut self, arguments: &[Id]) -> Result<()> {
        let Some(code) = arguments.first().and_then(|&id| self.string_of(id)) else {
            return self.malformed("an array's type has no name");
        };
        match Element::of_array_code(code) {
            Some(element) => self.push(Value::ArrayType {
                element,
                order: None,
            }),
            None => {
                let code: String = code.chars().take(16).collect();
                self.malformed(format!("arrays of type {code:?} are not read"))
            }
        }
    }

    /// `(version, order, subtype, names, fields, …)` of a type that is one plain number.
    pub(super) fn byte_order(&self, state: Id) -> Result<ByteOrder> {
        let &[_, order, subtype, names, fields, ..] = self.tuple(state)? else {
            return self.malformed("an array's type of unknown form");
        };
        let plain = |&id: &Id| matches!(self.value(id), Value::None);
        if ![subtype, names, fields].iter().all(plain) {
            return self.malformed("arrays of records are not read");
        }
        match self.string_of(order) {
            Some("<" | "|") => Ok(ByteOrder::Little), // `|`: numbers of one byte
            Some(">") => Ok(ByteOrder::Big),
            _ => self.malformed("an array's byte order is not known"),
        }
    }

    /// `(version, shape, type, is_fortran, bytes)`
    pub(super) fn array_state(&self, state: Id) -> Result<Array> {
        let &[_, shape, kind, fortran, data] = self.tuple(state)? else {
            return self.malformed("an array of unknown form");
        };
        let shape = self.axes(shape)?;
        let stride = match self.value(fortran) {
            Value::Bool(true) | Value::Int(1) => self.column_major(&shape)?,
            Value::Bool(false) | Value::Int(0) => self.row_major(&shape)?,
            _ => return self.malformed("an array's order is no truth value"),
        };
        self.array(kind, data, shape, stride)
    }

    /// `_frombuffer(bytes, type, shape, order[, permutation])`; order `K` is row-major, and the
    /// axes are permuted then.
    pub(super) fn array_of_buffer(&mut self, arguments: &[Id]) -> Result<()> {
        let (&[data, kind, shape, order] | &[data, kind, shape, order, _]) = arguments else {
            return self.malformed("an array of unknown form");
        };
        let shape = self.axes(shape)?;
        let (shape, stride) = match (self.string_of(order), arguments.get(4)) {
            (Some("C"), _) => (shape.clone(), self.row_major(&shape)?),
            (Some("F"), _) => (shape.clone(), self.column_major(&shape)?),
            (Some("K"), Some(&permutation)) => {
                let stride = self.row_major(&shape)?;
                let axes = self.permutation(permutation, shape.len())?;
                let pick = |from: &[u64]| axes.iter().map(|&axis| from[axis]).collect();
                (pick(&shape), pick(&stride))
            }
            _ => return self.malformed("an array's order is not known"),
        };
        let array = self.array(kind, data, shape, stride)?;
        self.push(Value::Array(Some(Box::new(array))))
    }

    /// `encode(text, 'latin1')`: how Python 3 writes bytes in protocols 0 to 2.
    pub(super) fn encode(&mut self, arguments: &[Id]) -> Result<()> {
        let &[text, codec] = arguments else {
            return self.malformed("a text is encoded in an unknown way");
        };
        let Some("latin1" | "latin-1") = self.string_of(codec) else {
            return self.malformed("a text is encoded in an unknown way");
        };
        let bytes = match self.value(text) {
            Value::Text(text) => Encoded::Characters(text),
            Value::EscapedText(line) => Encoded::EscapedCharacters(line),
            _ => return self.malformed("something that is no text is encoded"),
        };
        self.push(Value::Bytes(bytes))
    }

    fn array(&self, kind: Id, data: Id, shape: Vec<u64>, stride: Vec<u64>) -> Result<Array> {
        let &Value::ArrayType {
            element,
            order: Some(order),
        } = self.value(kind)
        else {
            return self.malformed("an array's type is not known");
        };
        if !matches!(self.value(data), Value::Bytes(_)) {
            return self.malformed("an array's numbers are no bytes");
        }
        Ok(Array {
            element,
            order,
            view: TensorView {
                storage: data,
                offset: 0,
                shape,
                stride,
            },
        })
    }

    /// Text, or a Python 2 string without escapes.
    fn string_of(&self, id: Id) -> Option<&'a str> {
        self.value(id).string()
    }

    fn row_major(&self, shape: &[u64]) -> Result<Vec<u64>> {
        let mut stride = self.steps(shape.iter().rev())?;
        stride.reverse();
        Ok(stride)
    }

    fn column_major(&self, shape: &[u64]) -> Result<Vec<u64>> {
        self.steps(shape.iter())
    }

    /// Elements to step along each axis, the first one being contiguous.
    fn steps<'s>(&self, lengths: impl Iterator<Item = &'s u64>) -> Result<Vec<u64>> {
        let mut step = Some(1u64);
        let mut steps = Vec::new();
        for &length in lengths {
            match step {
                Some(elements) => steps.push(elements),
                None => return self.malformed("an array has more elements than its bytes"),
            }
            step = step.and_then(|elements| elements.checked_mul(length.max(1)));
        }
        Ok(steps)
    }

    /// The numbers 0 to `axes` - 1, each once.
    fn permutation(&self, id: Id, axes: usize) -> Result<Vec<usize>> {
        let numbers: Vec<usize> = self
            .axes(id)?
            .into_iter()
            .filter_map(|axis| usize::try_from(axis).ok())
            .collect();
        let all = (0..axes).all(|axis| numbers.contains(&axis));
        match all && numbers.len() == axes {
            true => Ok(numbers),
            false => self.malformed("an array's axes are not permuted"),
        }
    }
}
