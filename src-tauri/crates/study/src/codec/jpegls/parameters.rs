//! Coding parameters of a scan. Source: T.87 A.2.1, C.2.4.1.1.

/// Coding parameters and what follows from them. Source: A.2.1, C.2.4.1.1.1.
pub(super) struct Parameters {
    pub max_value: i32,
    pub near: i32,
    pub thresholds: [i32; 3],
    pub reset: i32,
    pub range: i32,
    pub quantised_bits: u32,
    pub limit: u32,
}

impl Parameters {
    /// Zeros take the default; `None` when the values contradict each other.
    pub fn new(
        precision: u16,
        near: u32,
        max_value: u32,
        thresholds: [u32; 3],
        reset: u32,
    ) -> Option<Self> {
        let full = (1i32 << precision) - 1;
        let max_value = match max_value as i32 {
            0 => full,
            v => v,
        };
        let near = near as i32;
        if max_value > full || near > 255.min(max_value / 2) {
            return None;
        }
        let defaults = default_thresholds(max_value, near);
        let thresholds: [i32; 3] = std::array::from_fn(|i| match thresholds[i] as i32 {
            0 => defaults[i],
            t => t,
        });
        let [t1, t2, t3] = thresholds;
        let ordered = near < t1 && t1 <= t2 && t2 <= t3 && t3 <= max_value;
        let reset = match reset as i32 {
            0 => 64,
            r => r,
        };
        if !ordered || reset < 3 {
            return None;
        }
        let range = (max_value + 2 * near) / (2 * near + 1) + 1;
        let bits = ceil_log2(max_value + 1).max(2);
        Some(Self {
            max_value,
            near,
            thresholds,
            reset,
            range,
            quantised_bits: ceil_log2(range),
            limit: 2 * (bits + bits.max(8)),
        })
    }

    pub fn step(&self) -> i32 {
        2 * self.near + 1
    }

    #[inline]
    pub fn quantise(&self, gradient: i32) -> i32 {
        let [t1, t2, t3] = self.thresholds;
        let magnitude = gradient.abs();
        // The thresholds ascend, so that counting those passed needs no branch.
        let passed = [magnitude > self.near, magnitude >= t1, magnitude >= t2];
        let level = passed.map(i32::from).iter().sum::<i32>() + i32::from(magnitude >= t3);
        level * gradient.signum()
    }

    /// Adds an error to a prediction, modulo the range. Source: A.4.5.
    #[inline]
    pub fn reconstruct(&self, prediction: i32, error: i32) -> i32 {
        let mut value = prediction + error * self.step();
        if value < -self.near {
            value += self.range * self.step();
        } else if value > self.max_value + self.near {
            value -= self.range * self.step();
        }
        value.clamp(0, self.max_value)
    }
}

fn default_thresholds(max_value: i32, near: i32) -> [i32; 3] {
    let within = |v: i32, low: i32| {
        if v > max_value || v < low { low } else { v }
    };
    let raw = if max_value >= 128 {
        let factor = (max_value.min(4095) + 128) / 256;
        [
            factor + 2 + 3 * near,
            4 * factor + 3 + 5 * near,
            17 * factor + 4 + 7 * near,
        ]
    } else {
        let factor = 256 / (max_value + 1);
        [
            (3 / factor + 3 * near).max(2),
            (7 / factor + 5 * near).max(3),
            (21 / factor + 7 * near).max(4),
        ]
    };
    let t1 = within(raw[0], near + 1);
    let t2 = within(raw[1], t1);
    [t1, t2, within(raw[2], t2)]
}

fn ceil_log2(v: i32) -> u32 {
    (v.max(1) as u32).next_power_of_two().trailing_zeros()
}
