//! The learning rate over a run.

use serde::{Deserialize, Serialize};

/// Linear warm-up, then half a cosine down to a floor.
///
/// Source: Loshchilov and Hutter 2017 (SGDR), without restarts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// The highest learning rate, reached after the warm-up.
    pub peak: f64,
    /// Steps of linear warm-up.
    pub warmup: u64,
    /// Steps of the whole run.
    pub total: u64,
    /// The last learning rate as a fraction of the peak.
    pub floor: f64,
}

impl Schedule {
    /// The learning rate of `step`, counted from 0.
    pub fn rate(&self, step: u64) -> f64 {
        if step < self.warmup {
            return self.peak * (step + 1) as f64 / self.warmup as f64;
        }
        let span = self.total.saturating_sub(self.warmup).max(1) as f64;
        let along = ((step - self.warmup) as f64 / span).min(1.0);
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * along).cos());
        self.peak * (self.floor + (1.0 - self.floor) * cosine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_to_its_peak_and_falls_to_its_floor() {
        let s = Schedule {
            peak: 1.0,
            warmup: 4,
            total: 104,
            floor: 0.1,
        };
        assert_eq!(s.rate(0), 0.25);
        assert_eq!(s.rate(3), 1.0);
        assert_eq!(s.rate(4), 1.0);
        assert!((s.rate(54) - 0.55).abs() < 1e-12);
        assert!((s.rate(104) - 0.1).abs() < 1e-12);
        assert!(
            (s.rate(1000) - 0.1).abs() < 1e-12,
            "past its end it stays on the floor"
        );
    }
}
