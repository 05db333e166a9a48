//! Instructions of protocol 0, whose arguments are lines of text.

use super::encoded::Encoded;
use super::machine::{Machine, Result};
use super::value::Value;

impl Machine<'_> {
    /// INT: digits, or a truth value as `00` or `01`.
    pub(super) fn int_line(&mut self) -> Result<()> {
        match self.input.name()? {
            "00" => self.push(Value::Bool(false)),
            "01" => self.push(Value::Bool(true)),
            digits => self.push_digits(digits),
        }
    }

    /// LONG: digits and an `L`.
    pub(super) fn long_line(&mut self) -> Result<()> {
        let line = self.input.name()?;
        self.push_digits(line.strip_suffix('L').unwrap_or(line))
    }

    fn push_digits(&mut self, digits: &str) -> Result<()> {
        match digits.parse() {
            Ok(n) => self.push(Value::Int(n)),
            Err(_) => self.malformed("a whole number is not one"),
        }
    }

    /// FLOAT
    pub(super) fn float_line(&mut self) -> Result<()> {
        match self.input.name()?.parse::<f64>() {
            Ok(_) => self.push(Value::Float),
            Err(_) => self.malformed("a number is not one"),
        }
    }

    /// STRING: `repr` of a Python 2 string.
    pub(super) fn string_line(&mut self) -> Result<()> {
        let line = self.input.line()?;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match line {
            [open @ (b'\'' | b'"'), inner @ .., close] if open == close => {
                let bytes = match inner.contains(&b'\\') {
                    true => Encoded::Quoted(inner),
                    false => Encoded::Plain(inner),
                };
                self.push(Value::Bytes(bytes))
            }
            _ => self.malformed("a string has no quotes"),
        }
    }

    /// UNICODE: Python's `raw-unicode-escape`.
    pub(super) fn text_line(&mut self) -> Result<()> {
        let line = self.input.line()?;
        match std::str::from_utf8(line) {
            Ok(text) if text.is_ascii() && !text.contains('\\') => self.push(Value::Text(text)),
            _ => self.push(Value::EscapedText(line)),
        }
    }

    /// PUT
    pub(super) fn put_line(&mut self) -> Result<()> {
        let slot = self.slot_line()?;
        self.put(slot)
    }

    /// GET
    pub(super) fn get_line(&mut self) -> Result<()> {
        let slot = self.slot_line()?;
        self.recall(slot)
    }

    fn slot_line(&mut self) -> Result<u32> {
        match self.input.name()?.parse() {
            Ok(slot) => Ok(slot),
            Err(_) => self.malformed("a place in the memo is no number"),
        }
    }

    /// DICT
    pub(super) fn dict_from_mark(&mut self) -> Result<()> {
        let items = self.pop_to_mark()?;
        let entries = self.entries(&items)?;
        self.push(Value::Dict(entries))
    }
}
