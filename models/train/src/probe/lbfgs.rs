//! Limited-memory BFGS that asks for function values instead of calling for them.
//!
//! Many problems on one matrix can so be evaluated together: one product with the matrix serves them all.

use std::collections::VecDeque;

/// Corrections that are remembered.
const MEMORY: usize = 12;
/// Trials of one line search before it is given up.
const LONGEST_SEARCH: usize = 30;
/// Sufficient decrease and curvature of the line search. Source: Nocedal and Wright 2006, section 3.1.
const DECREASE: f64 = 1e-4;
const CURVATURE: f64 = 0.9;

/// Where a minimisation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// [`Lbfgs::point`] waits for its value and gradient.
    Asking,
    /// The largest entry of the gradient is small enough, or no step can lower the value any more.
    Done,
}

/// One minimisation of a smooth function. Source: Liu and Nocedal 1989; the line search brackets and bisects, with weak Wolfe
/// conditions.
pub(super) struct Lbfgs {
    tolerance: f64,
    steps_left: usize,
    state: State,
    at: Vec<f64>,
    value: f64,
    gradient: Vec<f64>,
    direction: Vec<f64>,
    trial: Vec<f64>,
    size: f64,
    bracket: (f64, f64),
    trials: usize,
    corrections: VecDeque<Correction>,
    started: bool,
}

struct Correction {
    step: Vec<f64>,
    change: Vec<f64>,
    inverse_product: f64,
}

impl Lbfgs {
    /// Starts at a point.
    ///
    /// - `tolerance`: of the gradient's largest entry; `steps`: at most
    pub fn new(start: Vec<f64>, tolerance: f64, steps: usize) -> Self {
        Self {
            tolerance,
            steps_left: steps,
            state: State::Asking,
            trial: start.clone(),
            at: start,
            value: f64::INFINITY,
            gradient: Vec::new(),
            direction: Vec::new(),
            size: 1.0,
            bracket: (0.0, f64::INFINITY),
            trials: 0,
            corrections: VecDeque::new(),
            started: false,
        }
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// Where the function is wanted, and at the end the minimum.
    pub fn point(&self) -> &[f64] {
        match self.state {
            State::Asking => &self.trial,
            State::Done => &self.at,
        }
    }

    /// Takes the function's value and gradient at [`Lbfgs::point`].
    pub fn tell(&mut self, value: f64, gradient: Vec<f64>) {
        if !self.started {
            self.started = true;
            self.accept(value, gradient);
            return;
        }
        self.trials += 1;
        let descent = dot(&self.gradient, &self.direction);
        // Near the minimum differences of values drown in rounding; the gradient still tells.
        let noise = 1e-14 * self.value.abs().max(1.0);
        let decreased = value <= self.value + DECREASE * self.size * descent + noise;
        if !(value.is_finite() && decreased) {
            self.bracket.1 = self.size;
        } else if dot(&gradient, &self.direction) < CURVATURE * descent {
            self.bracket.0 = self.size;
        } else {
            return self.move_to(value, gradient);
        }
        if self.trials >= LONGEST_SEARCH {
            if value < self.value {
                return self.move_to(value, gradient);
            }
            self.state = State::Done; // rounding: no better point can be told apart
            return;
        }
        self.size = match self.bracket {
            (low, high) if high.is_finite() => 0.5 * (low + high),
            (low, _) => 2.0 * low,
        };
        self.try_size();
    }

    fn move_to(&mut self, value: f64, gradient: Vec<f64>) {
        let step: Vec<f64> = self
            .trial
            .iter()
            .zip(&self.at)
            .map(|(t, a)| t - a)
            .collect();
        let change: Vec<f64> = gradient
            .iter()
            .zip(&self.gradient)
            .map(|(n, o)| n - o)
            .collect();
        let product = dot(&step, &change);
        if product > 1e-300 {
            if self.corrections.len() == MEMORY {
                self.corrections.pop_front();
            }
            self.corrections.push_back(Correction {
                step,
                change,
                inverse_product: 1.0 / product,
            });
        }
        self.at.clone_from(&self.trial);
        self.accept(value, gradient);
    }

    /// The trial point is the best so far; chooses where to go from it.
    fn accept(&mut self, value: f64, gradient: Vec<f64>) {
        self.value = value;
        self.gradient = gradient;
        if largest(&self.gradient) <= self.tolerance || self.steps_left == 0 {
            self.state = State::Done;
            return;
        }
        self.steps_left -= 1;
        self.direction = self.descend();
        if dot(&self.direction, &self.gradient) >= 0.0 {
            self.corrections.clear();
            self.direction = self.descend();
        }
        self.size = match self.corrections.is_empty() {
            true => (1.0 / norm(&self.gradient)).min(1.0),
            false => 1.0,
        };
        self.bracket = (0.0, f64::INFINITY);
        self.trials = 0;
        self.try_size();
    }

    fn try_size(&mut self) {
        for ((t, a), d) in self.trial.iter_mut().zip(&self.at).zip(&self.direction) {
            *t = a + self.size * d;
        }
    }

    /// The two-loop recursion. Source: Nocedal and Wright 2006, algorithm 7.4.
    fn descend(&self) -> Vec<f64> {
        let mut q: Vec<f64> = self.gradient.iter().map(|g| -g).collect();
        let mut factors = Vec::with_capacity(self.corrections.len());
        for c in self.corrections.iter().rev() {
            let factor = c.inverse_product * dot(&c.step, &q);
            add(&mut q, -factor, &c.change);
            factors.push(factor);
        }
        if let Some(last) = self.corrections.back() {
            let scale = 1.0 / (last.inverse_product * dot(&last.change, &last.change));
            q.iter_mut().for_each(|v| *v *= scale);
        }
        for (c, factor) in self.corrections.iter().zip(factors.iter().rev()) {
            let back = c.inverse_product * dot(&c.change, &q);
            add(&mut q, factor - back, &c.step);
        }
        q
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = a8
        .remainder()
        .iter()
        .zip(b8.remainder())
        .map(|(x, y)| x * y)
        .sum();
    for (x, y) in a8.zip(b8) {
        for i in 0..8 {
            sums[i] += x[i] * y[i];
        }
    }
    sums.iter().sum::<f64>() + rest
}

fn add(to: &mut [f64], factor: f64, what: &[f64]) {
    for (t, w) in to.iter_mut().zip(what) {
        *t += factor * w;
    }
}

fn norm(v: &[f64]) -> f64 {
    dot(v, v).sqrt()
}

fn largest(v: &[f64]) -> f64 {
    v.iter().fold(0.0, |m: f64, x| m.max(x.abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_valley_of_rosenbrock_is_followed_to_its_end() {
        let mut walk = Lbfgs::new(vec![-1.2, 1.0], 1e-10, 200);
        let mut calls = 0;
        while walk.state() == State::Asking {
            let (x, y) = (walk.point()[0], walk.point()[1]);
            let value = (1.0 - x).powi(2) + 100.0 * (y - x * x).powi(2);
            let slope = vec![
                -2.0 * (1.0 - x) - 400.0 * x * (y - x * x),
                200.0 * (y - x * x),
            ];
            walk.tell(value, slope);
            calls += 1;
        }
        let found = walk.point();
        assert!((found[0] - 1.0).abs() < 1e-8 && (found[1] - 1.0).abs() < 1e-8);
        assert!(calls < 120, "{calls} evaluations");
    }
}
