//! Vectors as the index keeps them: 16-bit fixed point in two planes of bytes.
//!
//! A vector `x` of length 1 becomes `scale · v` with whole numbers `v` up to [`FULL`], of length 1 again:
//! its direction is kept to 1 part in 32 639 of its largest number. `v = 256 · high + low` lies in two planes: a search reads only the
//! high one, half the memory, and bounds what the low one can add by Cauchy–Schwarz:
//!
//! `|q·x − q̂·x̂| ≤ ‖q − q̂‖ ‖x‖ + ‖q̂‖ ‖x − x̂‖`
//!
//! with `x̂ = scale · 256 · high` and `q̂` the query in 16 bits. `‖x − x̂‖`, the row's slack, is kept
//! beside it. No row outside the bound can be among the nearest, so scanning one plane and scoring
//! the few that remain from both loses nothing.

use super::kernels::{self, query_max};
use super::low::LowPlane;
use crate::error::{LibraryError, Result};

/// Largest magnitude of a stored number: 127 · 256 + 127.
const FULL: f32 = 32_639.0;
/// Room for what 32-bit floats round off in scales, slacks and sums.
const ROUNDING: f32 = 4e-6;

/// Vectors with their identifiers, `[rows, dim]` each plane.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    pub(super) dim: usize,
    pub(super) ids: Vec<u64>,
    pub(super) scales: Vec<f32>,
    pub(super) slacks: Vec<f32>,
    /// Two's complement bytes.
    pub(super) high: Vec<u8>,
    pub(super) low: LowPlane,
}

impl PartialEq for Rows {
    /// Equal if every row is the same, wherever it lies. A row that cannot be read is equal to none.
    fn eq(&self, other: &Self) -> bool {
        let same_low = |row: usize| match (self.low.row(row), other.low.row(row)) {
            (Ok(a), Ok(b)) => a == b,
            _ => false,
        };
        (self.dim, &self.ids, &self.high) == (other.dim, &other.ids, &other.high)
            && (&self.scales, &self.slacks) == (&other.scales, &other.slacks)
            && (0..self.len()).all(same_low)
    }
}

impl Rows {
    pub(super) fn new(dim: usize) -> Self {
        Self {
            dim,
            ids: Vec::new(),
            scales: Vec::new(),
            slacks: Vec::new(),
            high: Vec::new(),
            low: LowPlane::new(dim),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.high.capacity()
            + self.low.memory_bytes()
            + 4 * (self.scales.capacity() + self.slacks.capacity())
            + 8 * self.ids.capacity()
    }

    pub(super) fn reserve(&mut self, rows: usize) {
        self.ids.reserve_exact(rows);
        self.scales.reserve_exact(rows);
        self.slacks.reserve_exact(rows);
        self.high.reserve_exact(rows * self.dim);
        self.low.reserve(rows);
    }

    /// Adds a vector of any length but zero.
    ///
    /// Errors if it has another number of dimensions, or no direction.
    pub(super) fn push(&mut self, id: u64, vector: &[f32]) -> Result<()> {
        let unit = unit(vector, self.dim).map_err(|why| {
            LibraryError::Vectors(format!("the vector of case number {id} {why}"))
        })?;
        let largest = unit.iter().fold(0f32, |m, x| m.max(x.abs()));
        let (mut squares, mut low_squares) = (0i64, 0i64);
        let mut low_row = Vec::with_capacity(self.dim);
        for x in &unit {
            let v = (x / largest * FULL).round().clamp(-FULL, FULL) as i32;
            let high = (v + 128) >> 8;
            let low = v - (high << 8);
            self.high.push(high as i8 as u8);
            low_row.push(low as i8 as u8);
            squares += i64::from(v) * i64::from(v);
            low_squares += i64::from(low * low);
        }
        self.low.push(low_row.into_iter());
        let scale = 1.0 / (squares as f64).sqrt();
        let slack = scale * (low_squares as f64).sqrt();
        self.ids.push(id);
        self.scales.push(scale as f32);
        self.slacks.push(slack as f32 * (1.0 + 1e-6));
        Ok(())
    }

    /// The row as it is kept, within 2⁻¹⁵ of its largest number of what was added.
    ///
    /// Errors if it lies in a file that was changed or cannot be read.
    pub(super) fn vector(&self, row: usize) -> Result<Vec<f32>> {
        let (scale, low) = (self.scales[row], self.low.row(row)?);
        Ok(self.numbers(row, &low).map(|v| scale * v as f32).collect())
    }

    fn numbers<'a>(&'a self, row: usize, low: &'a [u8]) -> impl Iterator<Item = i32> + 'a {
        let both = self.high[row * self.dim..(row + 1) * self.dim]
            .iter()
            .zip(low);
        both.map(|(&high, &low)| (i32::from(high as i8) << 8) + i32::from(low as i8))
    }

    /// The dot product of the whole row with the query, in 64-bit floats. Errors as [`vector`](Self::vector) does.
    pub(super) fn dot(&self, row: usize, query: &[f32]) -> Result<f64> {
        let low = self.low.row(row)?;
        let products = self.numbers(row, &low).zip(query);
        let sum: f64 = products.map(|(v, q)| f64::from(v) * f64::from(*q)).sum();
        Ok(sum * f64::from(self.scales[row]))
    }

    /// Dot products of high planes with a query, from row `first` on.
    pub(super) fn rough(&self, probe: &Probe, first: usize, out: &mut [i32]) {
        let rows = &self.high[first * self.dim..(first + out.len()) * self.dim];
        kernels::dots(rows, &probe.narrow, out);
    }

    /// Overwrites a row so that nothing of it remains.
    pub(super) fn erase(&mut self, row: usize) {
        let place = row * self.dim..(row + 1) * self.dim;
        self.high[place].fill(0);
        self.low.erase(row);
        self.scales[row] = 0.0;
        self.slacks[row] = 0.0;
    }

    /// Puts row `order[i]` at place `i`, for all `i`, in place.
    ///
    /// `order` is a permutation of all rows.
    pub(super) fn reorder(&mut self, order: &[u32]) {
        permute(&mut self.ids, 1, order);
        permute(&mut self.scales, 1, order);
        permute(&mut self.slacks, 1, order);
        permute(&mut self.high, self.dim, order);
        self.low.reorder(order);
    }

    /// Keeps the rows for which `keep` is true, in their order.
    pub(super) fn retain(&mut self, keep: &dyn Fn(usize) -> bool) {
        self.low.retain(self.len(), keep);
        let mut to = 0;
        for from in (0..self.len()).filter(|&row| keep(row)) {
            if from != to {
                let place = from * self.dim..(from + 1) * self.dim;
                self.high.copy_within(place, to * self.dim);
                self.ids[to] = self.ids[from];
                self.scales[to] = self.scales[from];
                self.slacks[to] = self.slacks[from];
            }
            to += 1;
        }
        self.high.truncate(to * self.dim);
        self.ids.truncate(to);
        self.scales.truncate(to);
        self.slacks.truncate(to);
    }
}

/// Moves each cycle of the permutation round, with room for one row.
pub(super) fn permute<T: Copy>(values: &mut [T], width: usize, order: &[u32]) {
    let mut done = vec![false; order.len()];
    let mut spare = Vec::with_capacity(width);
    for start in 0..order.len() {
        if done[start] {
            continue;
        }
        spare.clear();
        spare.extend_from_slice(&values[start * width..(start + 1) * width]);
        let mut to = start;
        loop {
            done[to] = true;
            let from = order[to] as usize;
            if from == start {
                values[to * width..(to + 1) * width].copy_from_slice(&spare);
                break;
            }
            values.copy_within(from * width..(from + 1) * width, to * width);
            to = from;
        }
    }
}

/// A query, ready for both planes.
#[derive(Debug, Clone)]
pub(super) struct Probe {
    /// Unit length.
    pub(super) exact: Vec<f32>,
    narrow: Vec<i16>,
    /// What one of a high plane's numbers is worth, but for the row's scale.
    step: f32,
    /// ‖q − q̂‖
    slack: f32,
}

impl Probe {
    /// A query of any length but zero.
    ///
    /// Errors if it has another number of dimensions, or no direction.
    pub(super) fn new(query: &[f32], dim: usize) -> Result<Self> {
        let exact = unit(query, dim)
            .map_err(|why| LibraryError::Vectors(format!("the vector that is sought {why}")))?;
        let largest = exact.iter().fold(0f32, |m, x| m.max(x.abs()));
        let step = largest / query_max(dim) as f32;
        let narrow: Vec<i16> = exact.iter().map(|x| (x / step).round() as i16).collect();
        let squares: f64 = exact
            .iter()
            .zip(&narrow)
            .map(|(x, &n)| (f64::from(*x) - f64::from(step) * f64::from(n)).powi(2))
            .sum();
        Ok(Self {
            exact,
            narrow,
            step: step * 256.0,
            slack: squares.sqrt() as f32,
        })
    }

    /// From the high plane's dot product and the row's scale to a cosine.
    #[inline(always)]
    pub(super) fn cosine(&self, dot: i32, scale: f32) -> f32 {
        self.step * scale * dot as f32
    }

    /// How far that can be off: the first part for every row, the second times the row's slack.
    pub(super) fn margin(&self) -> (f32, f32) {
        (self.slack * 1.001 + ROUNDING, 1.0 + self.slack)
    }
}

/// The vector with length 1, or why that cannot be.
pub(crate) fn unit(vector: &[f32], dim: usize) -> std::result::Result<Vec<f32>, String> {
    if vector.len() != dim {
        return Err(format!("has {} dimensions, not {dim}", vector.len()));
    }
    let squares: f64 = vector.iter().map(|x| f64::from(*x).powi(2)).sum();
    let length = squares.sqrt();
    if !length.is_finite() {
        return Err("has numbers that are not finite".into());
    }
    if length < 1e-12 {
        return Err("has no direction: it is zero".into());
    }
    Ok(vector
        .iter()
        .map(|x| (f64::from(*x) / length) as f32)
        .collect())
}

#[cfg(test)]
mod tests {
    use rand::{Rng as _, SeedableRng as _};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn random(seed: u64, n: usize, dim: usize) -> Vec<Vec<f32>> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut row = || {
            (0..dim)
                .map(|_| random.random_range(-1.0f32..1.0))
                .collect()
        };
        (0..n).map(|_| row()).collect()
    }

    #[test]
    fn a_row_is_kept_to_sixteen_bits() {
        let mut rows = Rows::new(40);
        for (id, vector) in random(3, 50, 40).iter().enumerate() {
            rows.push(id as u64, vector).unwrap();
            let unit = unit(vector, 40).unwrap();
            let largest = unit.iter().fold(0f32, |m, x| m.max(x.abs()));
            for (kept, x) in rows.vector(id).unwrap().iter().zip(&unit) {
                assert!((kept - x).abs() <= largest / 30_000.0, "{kept} for {x}");
            }
        }
    }

    #[test]
    fn the_high_plane_is_never_further_off_than_its_margin() {
        // One large number leaves the others few bits: the worst case.
        for spike in [0.0, 3.0, 100.0] {
            let mut rows = Rows::new(64);
            for (id, mut vector) in random(4, 300, 64).into_iter().enumerate() {
                vector[id % 64] += spike;
                rows.push(id as u64, &vector).unwrap();
            }
            for query in random(5, 20, 64) {
                let probe = Probe::new(&query, 64).unwrap();
                let mut dots = vec![0; rows.len()];
                rows.rough(&probe, 0, &mut dots);
                let (every, each) = probe.margin();
                for (row, &dot) in dots.iter().enumerate() {
                    let rough = f64::from(probe.cosine(dot, rows.scales[row]));
                    let off = (rough - rows.dot(row, &probe.exact).unwrap()).abs();
                    let margin = f64::from(every + each * rows.slacks[row]);
                    assert!(off <= margin, "off by {off}, margin {margin}");
                }
            }
        }
    }

    #[test]
    fn what_has_no_direction_is_refused_and_changes_nothing() {
        let mut rows = Rows::new(2);
        for bad in [
            vec![0.0, 0.0],
            vec![f32::NAN, 1.0],
            vec![f32::INFINITY, 1.0],
            vec![1.0],
            vec![1.0, 2.0, 3.0],
        ] {
            assert!(rows.push(7, &bad).is_err(), "{bad:?}");
            assert_eq!(rows, Rows::new(2), "nothing was added");
        }
        rows.push(7, &[1e-6, 0.0]).unwrap();
    }

    #[test]
    fn rows_change_places_without_changing_themselves() {
        let mut rows = Rows::new(5);
        for (id, vector) in random(6, 9, 5).iter().enumerate() {
            rows.push(id as u64, vector).unwrap();
        }
        let before = rows.clone();
        let order = [3, 0, 2, 8, 5, 4, 1, 7, 6];
        rows.reorder(&order);
        for (place, &from) in order.iter().enumerate() {
            assert_eq!(rows.ids[place], u64::from(from));
            assert_eq!(
                rows.vector(place).unwrap(),
                before.vector(from as usize).unwrap()
            );
            assert_eq!(rows.slacks[place], before.slacks[from as usize]);
        }
        rows.retain(&|row| row % 2 == 1);
        assert_eq!(rows.ids, [0, 8, 4, 7]);
        assert_eq!(rows.vector(3).unwrap(), before.vector(7).unwrap());
        rows.erase(1);
        assert_eq!(rows.vector(1).unwrap(), [0.0; 5]);
    }
}
