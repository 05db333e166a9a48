//! The stack machine: what each instruction does.

use std::collections::HashMap;

use super::input::Input;
use super::value::{Graph, Id, Value};

/// Which program wrote the pickle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// `torch.save`
    Save,
    /// `torch.jit.save`: module classes (`__torch__.…`) may occur.
    Script,
    /// `pickle.dump` of NumPy arrays, protocols 0 to 5, by Python 2 or 3.
    Arrays,
}

/// Why a pickle was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PickleError {
    /// It names something outside the allow-list (`module.name`).
    Forbidden(String),
    /// It is cut short, inconsistent, or uses an instruction that no checkpoint needs.
    Malformed(String),
}

pub(super) type Result<T> = std::result::Result<T, PickleError>;

/// Reads one pickle from the beginning of `input`.
///
/// Time and memory are linear in the length of `input`.
pub(crate) fn parse(input: &[u8], dialect: Dialect) -> Result<Graph<'_>> {
    let mut machine = Machine {
        input: Input::new(input),
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
        consumed: machine.input.consumed(),
    })
}

#[derive(PartialEq, Eq)]
enum Flow {
    Continue,
    Stop,
}

pub(super) struct Machine<'a> {
    pub(super) input: Input<'a>,
    pub(super) dialect: Dialect,
    pub(super) values: Vec<Value<'a>>,
    pub(super) stack: Vec<Id>,
    /// Heights of the stack at which MARK was executed.
    pub(super) marks: Vec<usize>,
    pub(super) memo: HashMap<u32, Id>,
}

impl<'a> Machine<'a> {
    fn step(&mut self) -> Result<Flow> {
        match self.input.byte()? {
            0x80 => {
                let protocol = self.input.byte()?; // PROTO
                if !(1..=5).contains(&protocol) {
                    return self.malformed(format!("pickle protocol {protocol} is not known"));
                }
            }
            0x95 => drop(self.input.bytes(8)?), // FRAME: a hint for readers of streams
            b'(' => self.marks.push(self.stack.len()),
            b'N' => self.push(Value::None)?,
            opcode @ (0x88 | 0x89) => self.push(Value::Bool(opcode == 0x88))?, // NEWTRUE, NEWFALSE
            b'K' => {
                let n = self.input.byte()?; // BININT1
                self.push(Value::Int(n.into()))?;
            }
            b'M' => {
                let n = u16::from_le_bytes(self.input.array()?); // BININT2
                self.push(Value::Int(n.into()))?;
            }
            b'J' => {
                let n = i32::from_le_bytes(self.input.array()?); // BININT
                self.push(Value::Int(n.into()))?;
            }
            0x8a => {
                let n = self.input.long()?; // LONG1
                self.push(Value::Int(n))?;
            }
            b'G' => {
                self.input.bytes(8)?; // BINFLOAT
                self.push(Value::Float)?;
            }
            0x8c => self.text::<1>()?,   // SHORT_BINUNICODE
            b'X' => self.text::<4>()?,   // BINUNICODE
            b'U' => self.string::<1>()?, // SHORT_BINSTRING (Python 2)
            b'C' => self.bytes::<1>()?,  // SHORT_BINBYTES
            b'B' => self.bytes::<4>()?,  // BINBYTES
            b')' => self.push(Value::Tuple(Vec::new()))?,
            opcode @ 0x85..=0x87 => {
                let count = usize::from(opcode - 0x84); // TUPLE1..3
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
                let slot = self.input.byte()?.into(); // BINPUT
                self.put(slot)?;
            }
            b'r' => {
                let slot = u32::from_le_bytes(self.input.array()?); // LONG_BINPUT
                self.put(slot)?;
            }
            0x94 => {
                let slot = self.memo.len() as u32; // MEMOIZE; the memo cannot outgrow the input
                self.put(slot)?;
            }
            b'h' => {
                let slot = self.input.byte()?.into(); // BINGET
                self.recall(slot)?;
            }
            b'j' => {
                let slot = u32::from_le_bytes(self.input.array()?); // LONG_BINGET
                self.recall(slot)?;
            }
            b'c' => {
                let module = self.input.name()?; // GLOBAL
                let name = self.input.name()?;
                self.push_global(module, name)?;
            }
            0x93 => {
                let pair = self.pop_many(2)?; // STACK_GLOBAL
                match (self.value(pair[0]), self.value(pair[1])) {
                    (&Value::Text(module), &Value::Text(name)) => self.push_global(module, name)?,
                    _ => return self.malformed("an object's name is not text"),
                }
            }
            b'Q' if self.dialect != Dialect::Arrays => self.persistent_load()?,
            b'R' => self.reduce()?,
            0x81 => self.new_object()?,
            b'b' => self.build()?,
            b'.' => return Ok(Flow::Stop),
            opcode if self.dialect == Dialect::Arrays => self.array_instruction(opcode)?,
            opcode => return self.unknown(opcode),
        }
        Ok(Flow::Continue)
    }

    /// Instructions that plain pickles of arrays have and torch's do not: those of protocol 0,
    /// strings of Python 2, and protocol 5's buffers.
    fn array_instruction(&mut self, opcode: u8) -> Result<()> {
        match opcode {
            b'I' => self.int_line(),
            b'L' => self.long_line(),
            b'F' => self.float_line(),
            b'S' => self.string_line(),
            b'V' => self.text_line(),
            b'p' => self.put_line(),
            b'g' => self.get_line(),
            b'd' => self.dict_from_mark(),
            b'T' => self.string::<4>(), // BINSTRING (Python 2)
            0x96 => self.bytes::<8>(),  // BYTEARRAY8
            0x97 | 0x98 => self.malformed("the arrays' numbers are outside of the pickle"), // NEXT_BUFFER
            other => self.unknown(other),
        }
    }

    fn unknown<T>(&mut self, opcode: u8) -> Result<T> {
        self.input.step_back();
        self.malformed(format!(
            "instruction 0x{opcode:02x} is not used by checkpoints"
        ))
    }

    pub(super) fn malformed<T>(&self, what: impl Into<String>) -> Result<T> {
        self.input.malformed(what)
    }
}
