//! The machine's stack, its memo, and the containers that lie on it.

use super::encoded::Encoded;
use super::machine::{Dialect, Machine, Result};
use super::value::{Id, Value};

/// More values than any checkpoint has: a large model with its optimiser state needs some 100 000.
const MAX_VALUES: usize = 4_000_000;

impl<'a> Machine<'a> {
    pub(super) fn value(&self, id: Id) -> &Value<'a> {
        &self.values[id as usize]
    }

    pub(super) fn push(&mut self, value: Value<'a>) -> Result<()> {
        if self.values.len() >= MAX_VALUES {
            return self.malformed(format!("more than {MAX_VALUES} values"));
        }
        self.stack.push(self.values.len() as Id);
        self.values.push(value);
        Ok(())
    }

    /// Text behind its length of `N` bytes.
    pub(super) fn text<const N: usize>(&mut self) -> Result<()> {
        let length = self.input.length::<N>()?;
        let text = self.input.text(length)?;
        self.push(Value::Text(text))
    }

    /// Bytes behind their length of `N` bytes.
    pub(super) fn bytes<const N: usize>(&mut self) -> Result<()> {
        let length = self.input.length::<N>()?;
        let bytes = self.input.bytes(length)?;
        self.push(Value::Bytes(Encoded::Plain(bytes)))
    }

    /// A string of Python 2 behind its length of `N` bytes: names in torch's pickles, names and
    /// arrays' numbers in others.
    pub(super) fn string<const N: usize>(&mut self) -> Result<()> {
        match self.dialect {
            Dialect::Arrays => self.bytes::<N>(),
            Dialect::Save | Dialect::Script => self.text::<N>(),
        }
    }

    /// Height below which the current instruction may not reach.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    pub(super) fn pop(&mut self) -> Result<Id> {
        Ok(self.pop_many(1)?[0])
    }

    pub(super) fn pop_many(&mut self, count: usize) -> Result<Vec<Id>> {
        let height = self.stack.len();
        if height < self.floor() + count {
            return self.malformed("the stack is empty");
        }
        Ok(self.stack.split_off(height - count))
    }

    pub(super) fn pop_to_mark(&mut self) -> Result<Vec<Id>> {
        match self.marks.pop() {
            Some(height) => Ok(self.stack.split_off(height)),
            None => self.malformed("a mark is missing"),
        }
    }

    pub(super) fn top(&self) -> Result<Id> {
        match self.stack.last() {
            Some(&id) if self.stack.len() > self.floor() => Ok(id),
            _ => self.malformed("the stack is empty"),
        }
    }

    pub(super) fn put(&mut self, slot: u32) -> Result<()> {
        let id = self.top()?;
        self.memo.insert(slot, id);
        Ok(())
    }

    pub(super) fn recall(&mut self, slot: u32) -> Result<()> {
        match self.memo.get(&slot) {
            Some(&id) => {
                self.stack.push(id);
                Ok(())
            }
            None => self.malformed(format!("nothing was stored under {slot}")),
        }
    }

    pub(super) fn append(&mut self, mut items: Vec<Id>) -> Result<()> {
        let id = self.top()?;
        match &mut self.values[id as usize] {
            Value::List(list) => list.append(&mut items),
            _ => return self.malformed("items are appended to something that is no list"),
        }
        Ok(())
    }

    pub(super) fn set_items(&mut self, items: Vec<Id>) -> Result<()> {
        let entries = self.entries(&items)?;
        let id = self.top()?;
        match &mut self.values[id as usize] {
            Value::Dict(dict) => dict.extend(entries),
            _ => return self.malformed("entries are added to something that is no dictionary"),
        }
        Ok(())
    }

    /// Keys and values in turn, as pairs.
    pub(super) fn entries(&self, items: &[Id]) -> Result<Vec<(Id, Id)>> {
        match items.as_chunks::<2>() {
            (pairs, []) => Ok(pairs.iter().map(|&[key, value]| (key, value)).collect()),
            _ => self.malformed("a dictionary's key has no value"),
        }
    }
}
