//! The standard normal distribution.

/// The probability that a standard normal deviate is at most `z`.
///
/// Accurate to about 1e-15 of the result near the centre and in the lower tail.
/// Source: Abramowitz and Stegun 1964, 7.1.6 (series) and 7.1.14 (continued fraction).
pub fn normal_cdf(z: f64) -> f64 {
    if z.is_nan() {
        return f64::NAN;
    }
    let x = z.abs() / std::f64::consts::SQRT_2;
    let upper = 0.5 * erfc(x);
    if z > 0.0 { 1.0 - upper } else { upper }
}

/// The deviate below which a share `p` of a standard normal distribution lies; infinite for 0 and 1.
///
/// Bisection on [`normal_cdf`], refined until neighbouring numbers are reached.
pub fn normal_quantile(p: f64) -> f64 {
    if !(0.0..=1.0).contains(&p) {
        return f64::NAN;
    }
    if p == 0.0 || p == 1.0 {
        return if p == 0.0 {
            f64::NEG_INFINITY
        } else {
            f64::INFINITY
        };
    }
    let (mut low, mut high) = (-39.0f64, 39.0f64);
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if normal_cdf(middle) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

/// The complementary error function of `x >= 0`.
fn erfc(x: f64) -> f64 {
    if x < 2.0 {
        // erf x = 2/sqrt(pi) * exp(-x^2) * sum 2^n x^(2n+1) / (2n+1)!!
        let (mut term, mut sum, mut n) = (x, x, 0.0);
        while term > sum * 1e-17 {
            n += 1.0;
            term *= 2.0 * x * x / (2.0 * n + 1.0);
            sum += term;
        }
        return 1.0 - std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp() * sum;
    }
    if x > 27.0 {
        return 0.0;
    }
    // The continued fraction 1/(x + (1/2)/(x + 1/(x + (3/2)/(x + …)))), from its far end.
    let mut tail = 0.0;
    for k in (1..=120).rev() {
        tail = 0.5 * f64::from(k) / (x + tail);
    }
    0.5 * std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp() / (x + tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_the_tabulated_ones() {
        // scipy.stats.norm.cdf
        for (z, p) in [
            (0.0, 0.5),
            (1.0, 0.841_344_746_068_542_9),
            (-1.96, 0.024_997_895_148_220_435),
            (-2.9, 0.001_865_813_300_384_037_7),
            (-6.0, 9.865_876_450_376_946e-10),
        ] {
            assert!(
                (normal_cdf(z) / p - 1.0).abs() < 1e-12,
                "{z}: {}",
                normal_cdf(z)
            );
        }
        assert!((normal_quantile(0.975) - 1.959_963_984_540_054).abs() < 1e-12);
        assert!(normal_cdf(f64::NAN).is_nan());
    }
}
