//! Python pickles parsed as data.
//!
//! A pickle is a program for a small stack machine that can call any Python function. Checkpoints
//! use a small part of it: containers, numbers, texts, references to storages, and calls of the few
//! functions that describe a tensor or an array. This module understands that part, builds records,
//! calls nothing, and refuses everything else by name. Which part it is depends on the [`Dialect`]:
//! torch's checkpoints and plain pickles of NumPy arrays have an allow-list each.
//!
//! A hostile file cannot exhaust memory or the call stack: values live in one flat list and refer to
//! each other by number, texts and arrays' numbers borrow the input, each instruction adds a bounded
//! amount, and the number of values and the length of the input are limited.
//!
//! `candle_core::pickle` is not used for this: it copies memoised values (exponential growth),
//! allocates what a length field says before reading, and lets unknown functions pass.
//!
//! Source of the instruction set: Python's `pickletools` documentation; of torch's use of it: the
//! public `torch.save` and TorchScript serialisation notes; of NumPy's: the documentation of
//! `ndarray.__reduce__` and `ndarray.__setstate__`.

mod encoded;
mod globals;
mod input;
mod lines;
mod machine;
mod numpy;
mod objects;
mod stack;
mod torch;
mod value;

pub(crate) use machine::{Dialect, PickleError, parse};
pub(crate) use value::{Array, ByteOrder, Element, Graph, Id, TensorView, Value};
