//! One scan: context modelling, prediction, run mode, Golomb codes. Source: T.87 annex A.

use super::bits::{Bits, Fault, Read};
use super::parameters::Parameters;
use crate::error::Result;

/// How the components of a scan alternate; a scan of one component counts as `Line`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interleave {
    Line,
    Sample,
}

/// Run length codes. Source: A.2.1, table of J.
const RUN_BITS: [u32; 32] = [
    0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13,
    14, 15,
];

#[derive(Clone, Copy)]
struct Context {
    /// Sum of error magnitudes.
    a: i32,
    /// Sum of errors, for the bias.
    b: i32,
    /// Prediction correction.
    c: i32,
    /// Occurrences.
    n: i32,
}

#[derive(Clone, Copy)]
struct RunContext {
    a: i32,
    n: i32,
    /// Negative errors.
    negative: i32,
}

struct State<'p> {
    parameters: &'p Parameters,
    contexts: Vec<Context>,
    runs: [RunContext; 2],
}

impl<'p> State<'p> {
    fn new(parameters: &'p Parameters) -> Self {
        let a = ((parameters.range + 32) / 64).max(2);
        Self {
            parameters,
            contexts: vec![
                Context {
                    a,
                    b: 0,
                    c: 0,
                    n: 1
                };
                365
            ],
            runs: [RunContext {
                a,
                n: 1,
                negative: 0,
            }; 2],
        }
    }

    /// A.5.3: a limited-length Golomb code.
    #[inline(always)]
    fn golomb(&self, bits: &mut Bits<'_>, k: u32, limit: u32) -> Read<i32> {
        let escape = limit - self.parameters.quantised_bits - 1;
        let value = match bits.golomb(k, escape) {
            Some(value) => value,
            None => match bits.zeros(limit)? {
                zeros if zeros < escape => zeros << k | bits.read(k)?,
                _ => bits.read(self.parameters.quantised_bits)? + 1,
            },
        };
        // A mapped error is at most the range and one.
        if value > 2 * self.parameters.range as u32 {
            return Err(Fault::Code);
        }
        Ok(value as i32)
    }

    /// A sample in regular mode; `q` is the signed context number. Source: A.4 to A.6.
    #[inline]
    fn regular(&mut self, bits: &mut Bits<'_>, q: i32, [a, b, c]: [i32; 3]) -> Read<u16> {
        let p = self.parameters;
        let sign = if q < 0 { -1 } else { 1 };
        let at = q.unsigned_abs() as usize;
        let context = self.contexts[at];
        // A.4.2: the median of a, b and a + b - c.
        let predicted = (a + b - c).clamp(a.min(b), a.max(b));
        let predicted = (predicted + sign * context.c).clamp(0, p.max_value);
        let k = golomb_parameter(context.n, context.a);
        let mapped = self.golomb(bits, k, p.limit)?;
        let turned = p.near == 0 && k == 0 && 2 * context.b <= -context.n;
        // A.5.2: odd numbers are negative errors, or the other way round where the context is biased.
        let error = (mapped >> 1) ^ -(mapped & 1) ^ -i32::from(turned);
        self.contexts[at] = context.updated(error, p);
        Ok(p.reconstruct(predicted, sign * error) as u16)
    }

    /// The sample that ends a run. Source: A.7.2.
    fn interruption(
        &mut self,
        bits: &mut Bits<'_>,
        kind: usize,
        a: i32,
        b: i32,
        run_bits: u32,
    ) -> Read<u16> {
        let p = self.parameters;
        let context = self.runs[kind];
        let temp = if kind == 1 {
            context.a + (context.n >> 1)
        } else {
            context.a
        };
        let k = golomb_parameter(context.n, temp);
        let mapped = self.golomb(bits, k, p.limit - run_bits - 1)?;
        let folded = mapped + kind as i32;
        let odd = folded & 1 == 1;
        let magnitude = (folded + i32::from(odd)) / 2;
        let error = if (k != 0 || 2 * context.negative >= context.n) == odd {
            -magnitude
        } else {
            magnitude
        };
        let mut next = context;
        next.negative += i32::from(error < 0);
        next.a += (mapped + 1 - kind as i32) >> 1;
        if next.n == p.reset {
            next.a >>= 1;
            next.n >>= 1;
            next.negative >>= 1;
        }
        next.n += 1;
        self.runs[kind] = next;
        let (prediction, sign) = match kind {
            1 => (a, 1),
            _ if b < a => (b, -1),
            _ => (b, 1),
        };
        Ok(p.reconstruct(prediction, sign * error) as u16)
    }

    /// Number of samples that repeat, and whether the run ended before the line did. Source: A.7.1.
    fn run_length(
        &self,
        bits: &mut Bits<'_>,
        left: usize,
        run_index: &mut usize,
    ) -> Read<(usize, bool)> {
        let mut length = 0;
        while bits.read(1)? == 1 {
            let full = 1usize << RUN_BITS[*run_index];
            length += full;
            if length <= left && *run_index < 31 {
                *run_index += 1;
            }
            if length >= left {
                return Ok((left, false));
            }
        }
        length += bits.read(RUN_BITS[*run_index])? as usize;
        Ok((length.min(left), length < left))
    }
}

impl Context {
    /// A.6.
    #[inline]
    fn updated(mut self, error: i32, p: &Parameters) -> Self {
        self.b += error * p.step();
        self.a += error.abs();
        if self.n == p.reset {
            self.a >>= 1;
            self.b >>= 1;
            self.n >>= 1;
        }
        self.n += 1;
        // The bias returns to -n + 1 ..= 0; the correction follows it. As one step, for want of predictable branches.
        let step = i32::from(self.b > 0) - i32::from(self.b <= -self.n);
        self.b = (self.b - step * self.n).clamp(1 - self.n, 0);
        self.c = (self.c + step).clamp(-128, 127);
        self
    }
}

#[inline]
fn golomb_parameter(n: i32, a: i32) -> u32 {
    let k = n.leading_zeros().saturating_sub(a.leading_zeros());
    let short = (i64::from(n) << k) < i64::from(a);
    (k + u32::from(short)).min(24)
}

/// Decodes a scan: bytes taken, and one plane a component.
///
/// - `restart_interval`: lines between restarts, 0 for none
/// - `size`: width, height, components
///
/// Errors if the data end early or hold an impossible code.
pub(super) fn decode(
    data: &[u8],
    parameters: &Parameters,
    interleave: Interleave,
    restart_interval: usize,
    size: (usize, usize, usize),
) -> Result<(usize, Vec<Vec<u16>>)> {
    let (width, height, components) = size;
    let mut bits = Bits::new(data);
    let mut planes: Vec<Vec<u16>> = vec![Vec::new(); components];
    let mut lines = Lines::new(parameters, width, components);
    for y in 0..height {
        if restart_interval > 0 && y > 0 && y % restart_interval == 0 {
            bits.restart()?;
            lines = Lines::new(parameters, width, components);
        }
        match interleave {
            Interleave::Line => {
                for component in 0..components {
                    lines.line(&mut bits, component)?;
                }
            }
            Interleave::Sample => lines.sample_interleaved(&mut bits)?,
        }
        for (plane, line) in planes.iter_mut().zip(&lines.current) {
            plane.extend_from_slice(&line[1..=width]);
        }
        std::mem::swap(&mut lines.current, &mut lines.previous);
    }
    Ok((bits.position(), planes))
}

/// Neighbours a, b, c and the signed context number of the sample at `x`, counted from 1. Source: A.3.
#[inline(always)]
fn context(p: &Parameters, previous: &[u16], current: &[u16], x: usize) -> ([i32; 3], i32) {
    let a = i32::from(current[x - 1]);
    let b = i32::from(previous[x]);
    let c = i32::from(previous[x - 1]);
    let d = i32::from(previous[x + 1]);
    let q = 81 * p.quantise(d - b) + 9 * p.quantise(b - c) + p.quantise(c - a);
    ([a, b, c], q)
}

/// Two lines of each component, with one sample of margin on each side.
struct Lines<'p> {
    state: State<'p>,
    width: usize,
    previous: Vec<Vec<u16>>,
    current: Vec<Vec<u16>>,
    run_index: Vec<usize>,
}

impl<'p> Lines<'p> {
    fn new(parameters: &'p Parameters, width: usize, components: usize) -> Self {
        Self {
            state: State::new(parameters),
            width,
            previous: vec![vec![0; width + 2]; components],
            current: vec![vec![0; width + 2]; components],
            run_index: vec![0; components],
        }
    }

    /// Margins: the sample above on the left, the last sample again on the right. Source: A.2.1, figure A.1.
    fn margins(&mut self, component: usize) {
        let previous = &mut self.previous[component];
        previous[self.width + 1] = previous[self.width];
        self.current[component][0] = previous[1];
    }

    fn line(&mut self, bits: &mut Bits<'_>, component: usize) -> Read<()> {
        self.margins(component);
        let previous = self.previous[component].as_slice();
        let current = self.current[component].as_mut_slice();
        let (state, run_index) = (&mut self.state, &mut self.run_index[component]);
        let mut x = 1;
        while x <= self.width {
            let (neighbours, q) = context(state.parameters, previous, current, x);
            if q != 0 {
                current[x] = state.regular(bits, q, neighbours)?;
                x += 1;
                continue;
            }
            let left = self.width + 1 - x;
            let (length, interrupted) = state.run_length(bits, left, run_index)?;
            let value = current[x - 1];
            current[x..x + length].fill(value);
            x += length;
            if interrupted {
                let run_bits = RUN_BITS[*run_index];
                let (a, b) = (i32::from(value), i32::from(previous[x]));
                let kind = usize::from((a - b).abs() <= state.parameters.near);
                current[x] = state.interruption(bits, kind, a, b, run_bits)?;
                *run_index = run_index.saturating_sub(1);
                x += 1;
            }
        }
        Ok(())
    }

    /// Source: annex B.2: a run needs every component in it, and its interruption codes each component.
    fn sample_interleaved(&mut self, bits: &mut Bits<'_>) -> Read<()> {
        let components = self.current.len();
        (0..components).for_each(|c| self.margins(c));
        let mut x = 1;
        while x <= self.width {
            // One component is a scan by lines, and no frame has more than three.
            let mut contexts = [([0; 3], 0); 3];
            for (component, found) in contexts.iter_mut().enumerate().take(components) {
                let (previous, current) = (&self.previous[component], &self.current[component]);
                *found = context(self.state.parameters, previous, current, x);
            }
            if contexts.iter().any(|(_, q)| *q != 0) {
                for (component, (neighbours, q)) in
                    contexts.into_iter().enumerate().take(components)
                {
                    let sample = self.state.regular(bits, q, neighbours)?;
                    self.current[component][x] = sample;
                }
                x += 1;
                continue;
            }
            let left = self.width + 1 - x;
            let run_index = &mut self.run_index[0];
            let (length, interrupted) = self.state.run_length(bits, left, run_index)?;
            for line in &mut self.current {
                let value = line[x - 1];
                line[x..x + length].fill(value);
            }
            x += length;
            if interrupted {
                let run_bits = RUN_BITS[self.run_index[0]];
                for component in 0..components {
                    let a = i32::from(self.current[component][x - 1]);
                    let b = i32::from(self.previous[component][x]);
                    let sample = self.state.interruption(bits, 0, a, b, run_bits)?;
                    self.current[component][x] = sample;
                }
                self.run_index[0] = self.run_index[0].saturating_sub(1);
                x += 1;
            }
        }
        Ok(())
    }
}
