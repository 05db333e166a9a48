//! Lossless prediction. Source: T.81 annex H.

use super::bits::Bits;
use super::header::{Frame, Scan, Tables};
use super::huffman::Differences;
use crate::codec::Samples;
use crate::error::{Result, StudyError};

pub(super) struct Planes {
    pub frame: Frame,
    /// One plane a component.
    planes: Vec<Vec<u16>>,
    pub seen: Vec<bool>,
    /// Bits that the point transform dropped, restored at the end.
    shift: u8,
}

impl Planes {
    pub fn new(frame: Frame) -> Self {
        let pixels = frame.width as usize * frame.height as usize;
        Self {
            planes: vec![vec![0; pixels]; frame.components.len()],
            seen: vec![false; frame.components.len()],
            frame,
            shift: 0,
        }
    }

    pub fn scan(&mut self, scan: &Scan, data: &[u8], tables: &Tables) -> Result<usize> {
        if self
            .frame
            .components
            .iter()
            .any(|c| c.h != c.v || c.h != self.frame.h_max)
        {
            return Err(StudyError::unsupported("subsampled lossless JPEG"));
        }
        if !(1..=7).contains(&scan.start) || scan.low >= self.frame.precision {
            return Err(StudyError::corrupt("the lossless JPEG predictor"));
        }
        let width = self.frame.width as usize;
        let interval = tables.restart_interval as usize;
        if !interval.is_multiple_of(width) {
            return Err(StudyError::unsupported(
                "lossless JPEG restarts inside a row",
            ));
        }
        let missing = || StudyError::corrupt("a JPEG scan without its tables");
        let mut selected = Vec::new();
        for component in &scan.components {
            let table = tables.dc[component.dc].as_ref().ok_or_else(missing)?;
            selected.push((component.index, Differences::new(table)));
        }
        self.shift = scan.low;
        let first = 1i32 << (self.frame.precision - scan.low - 1);
        let mut bits = Bits::new(data);
        let rows_between = interval / width;
        // One row of differences a component, then the row's samples from them: neither loop waits for the other.
        let mut rows = vec![vec![0i32; width]; selected.len()];
        for y in 0..self.frame.height as usize {
            let mut fresh = y == 0;
            if rows_between > 0 && y > 0 && y % rows_between == 0 {
                bits.restart()?;
                fresh = true;
            }
            read_row(&mut bits, &selected, &mut rows)?;
            for ((index, _), differences) in selected.iter().zip(&rows) {
                let (above, row) = self.planes[*index].split_at_mut(y * width);
                let row = &mut row[..width];
                match fresh {
                    true => restore_first(row, differences, first),
                    false => {
                        restore(row, &above[(y - 1) * width..], differences, scan.start);
                    }
                }
            }
        }
        for component in &scan.components {
            self.seen[component.index] = true;
        }
        Ok(bits.position())
    }

    pub fn finish(mut self) -> Samples {
        if self.shift > 0 {
            for sample in self.planes.iter_mut().flatten() {
                *sample <<= self.shift;
            }
        }
        Samples::interleave(&self.planes, u16::from(self.frame.precision))
    }
}

/// Reads the differences of a row, components interleaved.
///
/// Errors if the data end or hold something that is no code.
fn read_row(
    bits: &mut Bits<'_>,
    selected: &[(usize, Differences<'_>)],
    rows: &mut [Vec<i32>],
) -> Result<()> {
    let end = || StudyError::truncated("JPEG entropy-coded data");
    if let ([(_, table)], [row]) = (selected, &mut *rows) {
        for difference in row {
            *difference = table.next(bits)?;
        }
    } else {
        for x in 0..rows.first().map_or(0, Vec::len) {
            for ((_, table), row) in selected.iter().zip(&mut *rows) {
                row[x] = table.next(bits)?;
            }
        }
    }
    if bits.is_overrun() {
        return Err(end());
    }
    Ok(())
}

/// The first row, and the first after a restart: each sample predicts the next. Source: H.1.2.1.
fn restore_first(row: &mut [u16], differences: &[i32], first: i32) {
    let mut left = first as u16;
    for (sample, difference) in row.iter_mut().zip(differences) {
        left = left.wrapping_add(*difference as u16);
        *sample = left;
    }
}

/// Any other row. The first sample is predicted from above, the others by table H.1, modulo 2^16.
fn restore(row: &mut [u16], above: &[u16], differences: &[i32], selection: u8) {
    match selection {
        1 => predicted(row, above, differences, |a, _, _| a),
        2 => predicted(row, above, differences, |_, b, _| b),
        3 => predicted(row, above, differences, |_, _, c| c),
        4 => predicted(row, above, differences, |a, b, c| a + b - c),
        5 => predicted(row, above, differences, |a, b, c| a + ((b - c) >> 1)),
        6 => predicted(row, above, differences, |a, b, c| b + ((a - c) >> 1)),
        _ => predicted(row, above, differences, |a, b, _| (a + b) >> 1),
    }
}

/// - `predict`: from the samples to the left (a), above (b), and above to the left (c)
#[inline]
fn predicted(
    row: &mut [u16],
    above: &[u16],
    differences: &[i32],
    predict: impl Fn(i32, i32, i32) -> i32,
) {
    let (Some(&top), Some(&difference)) = (above.first(), differences.first()) else {
        return;
    };
    let mut a = i32::from(top.wrapping_add(difference as u16));
    let mut c = i32::from(top);
    row[0] = a as u16;
    for ((sample, b), difference) in row.iter_mut().zip(above).zip(differences).skip(1) {
        let b = i32::from(*b);
        *sample = (predict(a, b, c) + difference) as u16;
        a = i32::from(*sample);
        c = b;
    }
}
