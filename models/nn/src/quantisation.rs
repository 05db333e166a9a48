//! Fewer bits for frozen weights.

use std::fmt;
use std::str::FromStr;

/// How many bits frozen matrices take in memory. 32 consecutive inputs of an output share a 16-bit scale.
///
/// Products multiply floats all the same: codes become floats again a strip at a time. What it costs in accuracy is
/// measured in `docs/benchmarks.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quantisation {
    /// 8 bits a number, 8.5 with its share of the scale.
    Q8,
    /// 4 bits a number, 4.5 with its share of the scale.
    Q4,
}

impl fmt::Display for Quantisation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Q8 => "q8",
            Self::Q4 => "q4",
        })
    }
}

impl FromStr for Quantisation {
    type Err = String;

    /// `q8` or `q4`. Errors with a sentence that says so.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "q8" => Ok(Self::Q8),
            "q4" => Ok(Self::Q4),
            _ => Err(format!("{text:?} is neither q8 nor q4")),
        }
    }
}
