//! Risk against coverage: what abstaining buys.

use super::check_lengths;
use crate::Result;

/// The error rate among the most confident answers, for every share of questions answered.
///
/// - `confidences`, `right`: `[n]`
/// - returns `[n]` pairs of coverage and risk, coverage rising to 1; equal confidences are answered together
///
/// Errors on empty input or unequal lengths.
/// Source: Geifman and El-Yaniv 2017, section 2.
pub fn risk_coverage(confidences: &[f64], right: &[bool]) -> Result<Vec<(f64, f64)>> {
    check_lengths("risk and coverage", confidences.len(), right.len())?;
    let mut order: Vec<usize> = (0..right.len()).collect();
    order.sort_by(|a, b| confidences[*b].total_cmp(&confidences[*a]));
    let n = order.len() as f64;
    let mut wrong = 0usize;
    let mut curve = Vec::new();
    for (given, index) in order.iter().enumerate() {
        wrong += usize::from(!right[*index]);
        let tied = order
            .get(given + 1)
            .is_some_and(|next| confidences[*next] == confidences[*index]);
        if !tied {
            let given = (given + 1) as f64;
            curve.push((given / n, wrong as f64 / given));
        }
    }
    Ok(curve)
}

/// The area under a risk–coverage curve by the trapezoid rule, from the first coverage on; below it the first risk holds.
pub fn area_under_risk(curve: &[(f64, f64)]) -> f64 {
    let first = curve
        .first()
        .map_or(0.0, |(coverage, risk)| coverage * risk);
    let rest: f64 = curve
        .windows(2)
        .map(|w| (w[1].0 - w[0].0) * (w[1].1 + w[0].1) / 2.0)
        .sum();
    first + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn risk_falls_where_confidence_is_earned_and_ties_are_one_point() {
        let curve = risk_coverage(&[0.9, 0.8, 0.8, 0.1], &[true, false, true, false]).unwrap();
        assert_eq!(curve, [(0.25, 0.0), (0.75, 1.0 / 3.0), (1.0, 0.5)]);
        let wanted = 0.5 * (1.0 / 6.0) + 0.25 * (5.0 / 12.0);
        assert!((area_under_risk(&curve) - wanted).abs() < 1e-12);
        assert!(risk_coverage(&[], &[]).is_err());
    }
}
