//! Products whose rows lie scattered in an image with channels innermost: convolutions, without unrolling the image.

use super::Panels;
use super::finish::Finish;
use super::panel_product::{Source, Strip};
use super::vector::Vector;

/// Rows of a product: each is `taps.len()` runs of `run` floats, at its start and each tap.
pub(crate) struct Gathered<'a> {
    x: &'a [f32],
    starts: &'a [usize],
    taps: &'a [usize],
    run: usize,
}

impl<'a> Gathered<'a> {
    /// Rows at `starts` of `x`; panics if one of them reaches past its end.
    pub(crate) fn new(x: &'a [f32], starts: &'a [usize], taps: &'a [usize], run: usize) -> Self {
        let last = |places: &[usize]| places.iter().max().copied().unwrap_or_default();
        let end = last(starts) + last(taps) + run;
        assert!(starts.is_empty() || end <= x.len(), "rows reach past x");
        Self {
            x,
            starts,
            taps,
            run,
        }
    }
}

impl Panels {
    /// `finish(x Wᵀ)` of gathered rows; returns `[rows, outputs]`.
    ///
    /// Panics if a row is not as long as the matrix has inputs.
    pub(crate) fn gathered_product(&self, x: &Gathered<'_>, finish: &Finish<'_>) -> Vec<f32> {
        assert_eq!(x.taps.len() * x.run, self.inputs, "rows of another length");
        self.product_of(x, x.starts.len(), finish)
    }
}

impl Source for Gathered<'_> {
    fn floats(&self) -> usize {
        self.run
    }

    fn run(&self) -> Option<usize> {
        Some(self.run)
    }

    #[inline(always)]
    unsafe fn sums<V: Vector, const M: usize, const N: usize>(
        &self,
        row: usize,
        strip: &Strip,
    ) -> [[V; N]; M] {
        let mut sums = [[unsafe { V::zero() }; N]; M];
        let starts = &self.starts[row..row + M];
        let (mut panel, mut ahead) = (strip.panel, strip.ahead);
        // A strip begins and ends between taps.
        let run = self.run.max(1);
        let taps = strip.inputs.start / run..strip.inputs.end / run;
        for &tap in &self.taps[taps] {
            let mut x = [self.x.as_ptr(); M];
            for i in 0..M {
                x[i] = self.x.as_ptr().wrapping_add(starts[i] + tap);
            }
            for k in 0..self.run {
                // SAFETY: `new` found every row within `x`, and the panel has a place for every input.
                unsafe { strip.add(&mut sums, panel, ahead, |i| *x[i].add(k)) };
                panel = panel.wrapping_add(strip.step);
                ahead = ahead.wrapping_add(strip.pace);
            }
        }
        sums
    }
}
