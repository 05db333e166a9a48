//! Lossless prediction. Source: T.81 annex H.

use super::bits::Bits;
use super::header::{Frame, Scan, Tables};
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
            selected.push((component.index, table));
        }
        self.shift = scan.low;
        let first = 1i32 << (self.frame.precision - scan.low - 1);
        let mut bits = Bits::new(data);
        let rows_between = interval / width;
        for y in 0..self.frame.height as usize {
            let mut fresh = y == 0;
            if rows_between > 0 && y > 0 && y % rows_between == 0 {
                bits.restart()?;
                fresh = true;
            }
            for x in 0..width {
                for (index, table) in &selected {
                    let plane = &mut self.planes[*index];
                    let at = y * width + x;
                    let left = |p: &[u16]| i32::from(p[at - 1]);
                    let above = |p: &[u16]| i32::from(p[at - width]);
                    let prediction = match (x, fresh) {
                        (0, true) => first,
                        (0, false) => above(plane),
                        (_, true) => left(plane),
                        _ => {
                            let (a, b) = (left(plane), above(plane));
                            predict(scan.start, a, b, i32::from(plane[at - width - 1]))
                        }
                    };
                    let difference = match table.decode(&mut bits)? {
                        16 => 0x8000,
                        category @ 0..16 => bits.receive_extend(u32::from(category))?,
                        _ => return Err(StudyError::corrupt("a JPEG magnitude category")),
                    };
                    plane[at] = (prediction + difference) as u16;
                }
            }
        }
        for component in &scan.components {
            self.seen[component.index] = true;
        }
        Ok(bits.position())
    }

    pub fn finish(self) -> Samples {
        let shift = self.shift;
        let pixels = self.frame.width as usize * self.frame.height as usize;
        if self.frame.precision <= 8 {
            let at = |i: usize| self.planes.iter().map(move |p| (p[i] << shift) as u8);
            Samples::U8((0..pixels).flat_map(at).collect())
        } else {
            let at = |i: usize| self.planes.iter().map(move |p| p[i] << shift);
            Samples::U16((0..pixels).flat_map(at).collect())
        }
    }
}

/// Table H.1.
#[inline]
fn predict(selection: u8, a: i32, b: i32, c: i32) -> i32 {
    match selection {
        1 => a,
        2 => b,
        3 => c,
        4 => a + b - c,
        5 => a + ((b - c) >> 1),
        6 => b + ((a - c) >> 1),
        _ => (a + b) >> 1,
    }
}
