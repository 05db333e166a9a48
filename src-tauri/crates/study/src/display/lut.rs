//! Look-up tables as DICOM stores them.

/// A look-up table of a modality LUT or VOI LUT. Source: PS3.3 C.11.1.1 and C.11.2.1.1.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Lut {
    /// Input value that takes the first entry.
    pub first: i64,
    /// Bits of an entry: outputs run from 0 to `2^bits - 1`.
    pub bits: u16,
    /// Entries; never empty.
    pub values: Vec<u16>,
}

impl Lut {
    /// A table, or `None` without entries or with bits outside 1..=16.
    pub fn new(first: i64, bits: u16, values: Vec<u16>) -> Option<Self> {
        (!values.is_empty() && (1..=16).contains(&bits)).then_some(Self {
            first,
            bits,
            values,
        })
    }

    /// Entry for `input`; inputs before the first or after the last take that entry.
    pub fn at(&self, input: f64) -> f64 {
        let last = (self.values.len() - 1) as f64;
        let index = (input - self.first as f64).max(0.0).min(last);
        f64::from(self.values[index as usize])
    }

    /// Entry for `input` as a fraction of the table's range, 0..1. The input is rounded half up first.
    pub fn fraction_at(&self, input: f64) -> f64 {
        let range = f64::from((1u32 << self.bits) - 1);
        (self.at((input + 0.5).floor()) / range).min(1.0)
    }
}
