//! A matrix of features, one case a row.

use candle_core::{Device, Tensor};

use crate::{Result, TrainError};

/// Features of cases, `[rows, columns]`, double precision.
#[derive(Clone, Debug)]
pub struct Features {
    tensor: Tensor,
    rows: usize,
    columns: usize,
    /// Columns of each part.
    parts: Vec<usize>,
}

impl Features {
    /// Takes features row by row.
    ///
    /// - `values`: `[rows · columns]`
    ///
    /// Errors if there are none, the length does not fit, or a value is not finite.
    pub fn new(values: Vec<f64>, columns: usize) -> Result<Self> {
        if columns == 0 || values.is_empty() || !values.len().is_multiple_of(columns) {
            return Err(TrainError::Data(format!(
                "{} feature values do not make rows of {columns}",
                values.len()
            )));
        }
        if let Some(bad) = values.iter().position(|v| !v.is_finite()) {
            return Err(TrainError::Data(format!(
                "feature {} of case {} is not a finite number",
                bad % columns + 1,
                bad / columns + 1
            )));
        }
        let rows = values.len() / columns;
        Ok(Self {
            tensor: Tensor::from_vec(values, (rows, columns), &Device::Cpu)?,
            rows,
            columns,
            parts: vec![columns],
        })
    }

    /// The same, in parts that [`Standardise`] gives the same variance in sum, however many columns each has.
    ///
    /// - `parts`: columns of each, from the first column on
    ///
    /// Errors if they do not add up to the columns.
    pub fn in_parts(self, parts: Vec<usize>) -> Result<Self> {
        if parts.contains(&0) || parts.iter().sum::<usize>() != self.columns {
            return Err(TrainError::Data(format!(
                "parts of {parts:?} columns do not make {}",
                self.columns
            )));
        }
        Ok(Self { parts, ..self })
    }

    /// Other features of the same cases, side by side.
    ///
    /// Errors if there are none or they have different numbers of cases.
    pub fn beside(all: &[Self]) -> Result<Self> {
        let tensors: Vec<&Tensor> = all.iter().map(|x| &x.tensor).collect();
        let tensor = Tensor::cat(&tensors, 1)?;
        let (rows, columns) = tensor.dims2()?;
        Ok(Self {
            tensor,
            rows,
            columns,
            parts: all.iter().flat_map(|x| x.parts.clone()).collect(),
        })
    }

    /// Takes rows of equal length.
    pub fn from_rows(rows: &[Vec<f32>]) -> Result<Self> {
        let columns = rows.first().map_or(0, Vec::len);
        if rows.iter().any(|row| row.len() != columns) {
            return Err(TrainError::Data(
                "cases have different numbers of features".into(),
            ));
        }
        let values = rows.iter().flatten().map(|v| f64::from(*v)).collect();
        Self::new(values, columns)
    }

    /// Cases.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Features a case.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// All values, row by row.
    pub fn values(&self) -> Result<Vec<f64>> {
        Ok(self.tensor.flatten_all()?.to_vec1()?)
    }

    /// The cases with the given numbers.
    pub fn select(&self, rows: &[usize]) -> Result<Self> {
        let index: Vec<u32> = rows.iter().map(|i| *i as u32).collect();
        let index = Tensor::from_vec(index, rows.len(), &Device::Cpu)?;
        Ok(Self {
            tensor: self.tensor.index_select(&index, 0)?,
            rows: rows.len(),
            columns: self.columns,
            parts: self.parts.clone(),
        })
    }

    /// `self · right`, for `right` `[columns, width]` row-major; returns `[rows, width]`.
    pub(super) fn times(&self, right: Vec<f64>, width: usize) -> Result<Vec<f64>> {
        let right = Tensor::from_vec(right, (self.columns, width), &Device::Cpu)?;
        Ok(self.tensor.matmul(&right)?.flatten_all()?.to_vec1()?)
    }

    /// `leftᵀ · self`, for `left` `[rows, width]` row-major; returns `[width, columns]`.
    pub(super) fn transposed_times(&self, left: Vec<f64>, width: usize) -> Result<Vec<f64>> {
        let left = Tensor::from_vec(left, (self.rows, width), &Device::Cpu)?;
        Ok(left.t()?.matmul(&self.tensor)?.flatten_all()?.to_vec1()?)
    }
}

/// Shifts and scales that give every feature mean 0 and variance 1; in features of several parts, the same variance within a part and
/// to every part in sum, and 1 on average.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standardise {
    mean: Vec<f64>,
    scale: Vec<f64>,
}

impl Standardise {
    /// Measures the rows that count; a feature that never changes keeps its scale.
    ///
    /// - `counts`: `[rows]`, whether a row is measured
    pub fn fit(features: &Features, counts: &[bool]) -> Result<Self> {
        let (values, d) = (features.values()?, features.columns());
        let rows = || {
            values
                .chunks_exact(d)
                .zip(counts)
                .filter(|(_, c)| **c)
                .map(|(row, _)| row)
        };
        let n = rows().count();
        if n == 0 {
            return Err(TrainError::Data("no case to measure features on".into()));
        }
        let mut mean = vec![0.0; d];
        for row in rows() {
            mean.iter_mut().zip(row).for_each(|(m, v)| *m += v);
        }
        mean.iter_mut().for_each(|m| *m /= n as f64);
        let mut variance = vec![0.0; d];
        for row in rows() {
            for ((s, v), m) in variance.iter_mut().zip(row).zip(&mean) {
                *s += (v - m) * (v - m);
            }
        }
        let average = d as f64 / features.parts.len() as f64;
        let shares = features
            .parts
            .iter()
            .flat_map(|part| std::iter::repeat_n((*part as f64 / average).sqrt(), *part));
        let scale = variance
            .iter()
            .zip(&mean)
            .zip(shares)
            .map(|((s, m), share)| {
                let deviation = (s / n as f64).sqrt();
                share
                    * match deviation > 1e-10 * m.abs().max(1e-6) {
                        true => deviation,
                        false => 1.0,
                    }
            })
            .collect();
        Ok(Self { mean, scale })
    }

    /// Of features that lie side by side.
    pub(super) fn beside(all: &[Self]) -> Self {
        Self {
            mean: all.iter().flat_map(|s| s.mean.clone()).collect(),
            scale: all.iter().flat_map(|s| s.scale.clone()).collect(),
        }
    }

    /// The standardised features.
    ///
    /// Errors if their number differs from what was measured.
    pub fn apply(&self, features: &Features) -> Result<Features> {
        if features.columns() != self.mean.len() {
            return Err(TrainError::Data(format!(
                "{} features a case where {} were measured",
                features.columns(),
                self.mean.len()
            )));
        }
        let mut values = features.values()?;
        for row in values.chunks_exact_mut(self.mean.len()) {
            for ((v, m), s) in row.iter_mut().zip(&self.mean).zip(&self.scale) {
                *v = (*v - m) / s;
            }
        }
        Features::new(values, self.mean.len())?.in_parts(features.parts.clone())
    }
}
