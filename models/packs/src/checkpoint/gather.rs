//! Makes contiguous tensors out of strided views of storages.

use std::collections::BTreeMap;

use safetensors::Dtype;

use super::RawTensor;
use super::state::Views;
use crate::pickle::{Element, Graph, TensorView, Value};

/// All tensors together may take this many times the file's length: tied weights are named twice,
/// and 32-bit integers double.
const MAX_GROWTH: u64 = 4;

/// Errors with a reason if tensors of `total` bytes are too many for a file of `file_bytes`.
pub(super) fn check_growth(total: u64, file_bytes: u64) -> Result<(), String> {
    match total > file_bytes.saturating_mul(MAX_GROWTH) {
        true => Err("the tensors claim more memory than the file justifies".into()),
        false => Ok(()),
    }
}

/// Number of elements of a shape, if it can be counted. The lengths besides a zero count too, for
/// contiguous strides are made of them.
fn elements(shape: &[u64]) -> Option<u64> {
    shape
        .iter()
        .try_fold(1u64, |n, &d| n.checked_mul(d.max(1)))?;
    Some(shape.iter().product())
}

/// A view that was checked against its storage: every element it names exists.
#[derive(Debug)]
pub(super) struct CheckedView {
    offset: usize,
    shape: Vec<usize>,
    stride: Vec<usize>,
    numel: usize,
}

impl CheckedView {
    /// Checks a view of a storage with `storage_numel` elements.
    ///
    /// Errors with a reason if it reaches beyond the storage, or repeats elements: no state
    /// dictionary holds an expanded tensor, and a small file could claim a huge one that way.
    pub(super) fn new(view: &TensorView, storage_numel: u64) -> Result<Self, String> {
        let numel = elements(&view.shape)
            .filter(|&n| n <= storage_numel)
            .ok_or_else(|| format!("shape {:?} has more elements than its storage", view.shape))?;
        if numel > 0 {
            let last = view
                .shape
                .iter()
                .zip(&view.stride)
                .try_fold(view.offset, |at, (&d, &s)| {
                    at.checked_add((d - 1).checked_mul(s)?)
                });
            if last.is_none_or(|last| last >= storage_numel) {
                return Err(format!(
                    "offset {}, shape {:?} and stride {:?} reach beyond a storage of {storage_numel} elements",
                    view.offset, view.shape, view.stride
                ));
            }
        }
        let all = |values: &[u64]| {
            values
                .iter()
                .map(|&v| narrow(v))
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            offset: narrow(view.offset)?,
            shape: all(&view.shape)?,
            stride: all(&view.stride)?,
            numel: narrow(numel)?,
        })
    }

    /// Checks a view of a storage that has exactly the view's elements.
    ///
    /// Errors with a reason if there are more of them than can be counted, or if the strides leave
    /// some out.
    pub(super) fn dense(view: &TensorView) -> Result<Self, String> {
        let numel = elements(&view.shape)
            .ok_or_else(|| format!("shape {:?} has too many elements", view.shape))?;
        Self::new(view, numel)
    }

    /// Number of elements.
    pub(super) fn numel(&self) -> usize {
        self.numel
    }

    /// Bytes of the tensor this makes.
    pub(super) fn bytes(&self, element: Element) -> u64 {
        (self.numel as u64).saturating_mul(stored_as(element).1 as u64)
    }

    /// Copies the view's elements out of `storage`, row-major.
    ///
    /// `storage` holds at least the number of elements the view was checked against.
    pub(super) fn gather(&self, element: Element, storage: &[u8]) -> RawTensor {
        let width = element.bytes();
        let mut data = Vec::with_capacity(self.numel * width);
        if self.is_contiguous() {
            let start = self.offset * width;
            data.extend_from_slice(&storage[start..start + self.numel * width]);
        } else {
            let mut index = vec![0; self.shape.len()];
            let mut at = self.offset;
            for _ in 0..self.numel {
                data.extend_from_slice(&storage[at * width..(at + 1) * width]);
                for axis in (0..index.len()).rev() {
                    index[axis] += 1;
                    at += self.stride[axis];
                    if index[axis] < self.shape[axis] {
                        break;
                    }
                    at -= self.stride[axis] * self.shape[axis];
                    index[axis] = 0;
                }
            }
        }
        RawTensor {
            dtype: stored_as(element).0,
            shape: self.shape.clone(),
            data: convert(element, data),
        }
    }

    fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        self.numel == 0
            || self.shape.iter().zip(&self.stride).rev().all(|(&d, &s)| {
                let fits = d == 1 || s == expected;
                expected *= d;
                fits
            })
    }
}

fn narrow(value: u64) -> Result<usize, String> {
    usize::try_from(value).map_err(|_| "a tensor is larger than this machine's memory".into())
}

/// How an element is stored in a pack, and the bytes it takes there.
fn stored_as(element: Element) -> (Dtype, usize) {
    match element {
        Element::F16 => (Dtype::F16, 2),
        Element::Bf16 => (Dtype::BF16, 2),
        Element::F32 | Element::F64 => (Dtype::F32, 4),
        Element::I64 | Element::I32 | Element::I16 | Element::I8 => (Dtype::I64, 8),
        Element::U8 | Element::Bool => (Dtype::U8, 1),
    }
}

fn convert(element: Element, data: Vec<u8>) -> Vec<u8> {
    match element {
        Element::F64 => map::<8, 4>(&data, |b| (f64::from_le_bytes(b) as f32).to_le_bytes()),
        Element::I32 => map::<4, 8>(&data, |b| i64::from(i32::from_le_bytes(b)).to_le_bytes()),
        Element::I16 => map::<2, 8>(&data, |b| i64::from(i16::from_le_bytes(b)).to_le_bytes()),
        Element::I8 => map::<1, 8>(&data, |b| i64::from(i8::from_le_bytes(b)).to_le_bytes()),
        _ => data,
    }
}

fn map<const N: usize, const M: usize>(data: &[u8], f: impl Fn([u8; N]) -> [u8; M]) -> Vec<u8> {
    data.as_chunks::<N>()
        .0
        .iter()
        .flat_map(|&chunk| f(chunk))
        .collect()
}

/// What is to be read from one storage.
#[derive(Debug)]
pub(super) struct Reading<'g> {
    pub key: &'g str,
    pub element: Element,
    pub numel: u64,
    /// Tensors by name, each a view of this storage.
    pub views: Vec<(String, CheckedView)>,
}

impl Reading<'_> {
    /// Length of the storage.
    pub(super) fn bytes(&self) -> u64 {
        self.numel.saturating_mul(self.element.bytes() as u64)
    }
}

/// Checks every view and groups them by storage, so that each storage is read once.
///
/// Errors with a reason if a view reaches beyond its storage, if a storage is described in two
/// ways, or if all tensors together would take more than `MAX_GROWTH` times `file_bytes`.
pub(super) fn plan<'g>(
    graph: &Graph<'g>,
    views: Views<'_>,
    file_bytes: u64,
) -> Result<Vec<Reading<'g>>, String> {
    let mut readings: BTreeMap<&str, Reading<'g>> = BTreeMap::new();
    let mut total = 0u64;
    for (name, view) in views {
        let &Value::Storage {
            element,
            key,
            numel,
        } = graph.get(view.storage)
        else {
            return Err(format!("{name}: no storage"));
        };
        let view = CheckedView::new(view, numel).map_err(|reason| format!("{name}: {reason}"))?;
        total = total.saturating_add(view.bytes(element));
        check_growth(total, file_bytes)?;
        let reading = readings.entry(key).or_insert(Reading {
            key,
            element,
            numel,
            views: Vec::new(),
        });
        if (reading.element, reading.numel) != (element, numel) {
            return Err(format!("storage {key:?} is described in two ways"));
        }
        reading.views.push((name, view));
    }
    Ok(readings.into_values().collect())
}
