//! Which case to label next: the most informative one (active learning).
//!
//! Uncertainty asks for the case that the present model knows least about; the core-set asks for the one that lies farthest from
//! everything that is labelled, whatever a model says. Both work on what is cached: probabilities and embeddings.

use rayon::prelude::*;

use crate::{Result, TrainError};

/// How uncertainty is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uncertainty {
    /// Shannon's entropy, as a share of the largest that is possible.
    Entropy,
    /// One minus the distance of the two best classes.
    Margin,
}

/// How uncertain a model is of one case, from 0 (sure) to 1 (nothing known).
///
/// - `probabilities`: `[classes]`, of classes that exclude each other (they sum to 1) or of findings that do not
/// - `exclusive`: which of the two; of findings the least certain decides for the margin, the mean for the entropy
///
/// Errors without a probability, with a single exclusive class, or with one outside 0 to 1.
/// Source: Settles 2009, section 3.1.
pub fn uncertainty(probabilities: &[f64], exclusive: bool, by: Uncertainty) -> Result<f64> {
    let least = if exclusive { 2 } else { 1 };
    let usable = |p: &f64| (-1e-9..=1.0 + 1e-9).contains(p);
    if probabilities.len() < least || !probabilities.iter().all(usable) {
        return Err(TrainError::Data(format!(
            "uncertainty wants at least {least} probabilities between 0 and 1, got {}",
            probabilities.len()
        )));
    }
    let clamped = probabilities.iter().map(|p| p.clamp(0.0, 1.0));
    Ok(match (exclusive, by) {
        (true, Uncertainty::Entropy) => {
            clamped.map(surprise).sum::<f64>() / (probabilities.len() as f64).ln()
        }
        (true, Uncertainty::Margin) => {
            let mut sorted: Vec<f64> = clamped.collect();
            sorted.sort_by(|a, b| b.total_cmp(a));
            1.0 - (sorted[0] - sorted[1])
        }
        (false, Uncertainty::Entropy) => {
            let both = |p: f64| (surprise(p) + surprise(1.0 - p)) / std::f64::consts::LN_2;
            clamped.map(both).sum::<f64>() / probabilities.len() as f64
        }
        (false, Uncertainty::Margin) => clamped
            .map(|p| 1.0 - (2.0 * p - 1.0).abs())
            .fold(0.0, f64::max),
    })
}

fn surprise(p: f64) -> f64 {
    if p > 0.0 { -p * p.ln() } else { 0.0 }
}

/// The points that best cover all others together with those that are covered already: greedy k-centre.
///
/// Each choice is the point farthest from everything chosen or covered; of equals the first. Where nothing is covered yet, the
/// first choice is the point nearest to the mean of all.
///
/// - `points`: `[points][dim]`, unit length; `covered`: `[any][dim]`, unit length
/// - returns at most `k` pairs of a point's number and its cosine distance (0 to 2) from the nearest one before it
///
/// Errors if the lengths of vectors differ.
/// Source: Sener & Savarese 2018, algorithm 1.
pub fn k_centre(points: &[&[f32]], covered: &[&[f32]], k: usize) -> Result<Vec<(usize, f64)>> {
    let dim = points.first().map_or(0, |p| p.len());
    if points.iter().chain(covered).any(|p| p.len() != dim) {
        return Err(TrainError::Data(
            "a core-set wants vectors of one length".into(),
        ));
    }
    if points.is_empty() {
        return Ok(Vec::new());
    }
    let mut nearest: Vec<f64> = points
        .par_iter()
        .map(|p| {
            let distances = covered.iter().map(|c| distance(p, c));
            distances.fold(f64::INFINITY, f64::min)
        })
        .collect();
    let mut chosen = Vec::new();
    while chosen.len() < k.min(points.len()) {
        let (next, gap) = match covered.is_empty() && chosen.is_empty() {
            true => (most_central(points, dim), 0.0),
            false => first_largest(&nearest),
        };
        chosen.push((next, gap));
        nearest
            .par_iter_mut()
            .zip(points)
            .for_each(|(near, p)| *near = near.min(distance(p, points[next])));
        nearest[next] = f64::NEG_INFINITY; // chosen once
    }
    Ok(chosen)
}

/// The point nearest to the direction of the mean.
fn most_central(points: &[&[f32]], dim: usize) -> usize {
    let mut mean = vec![0.0f32; dim];
    for point in points {
        for (m, x) in mean.iter_mut().zip(*point) {
            *m += x;
        }
    }
    let likeness: Vec<f64> = points.iter().map(|p| -distance(p, &mean)).collect();
    first_largest(&likeness).0
}

fn first_largest(values: &[f64]) -> (usize, f64) {
    let mut best = (0, f64::NEG_INFINITY);
    for (i, value) in values.iter().enumerate() {
        if *value > best.1 {
            best = (i, *value);
        }
    }
    best
}

/// One minus the cosine of unit-length vectors.
fn distance(a: &[f32], b: &[f32]) -> f64 {
    1.0 - a.iter().zip(b).map(|(x, y)| f64::from(x * y)).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn close(found: f64, wanted: f64) {
        assert!((found - wanted).abs() < 1e-12, "{found}, not {wanted}");
    }

    #[test]
    fn entropy_and_margin_are_those_worked_by_hand() {
        let of = |p: &[f64], exclusive, by| uncertainty(p, exclusive, by).unwrap_or(f64::NAN);
        let p = [0.7, 0.2, 0.1];
        // scipy.stats.entropy([0.7, 0.2, 0.1], base=3)
        close(of(&p, true, Uncertainty::Entropy), 0.729_846_699_162_097_5);
        close(of(&p, true, Uncertainty::Margin), 0.5);
        close(of(&[0.5, 0.5], true, Uncertainty::Entropy), 1.0);
        close(of(&[1.0, 0.0], true, Uncertainty::Entropy), 0.0);
        close(of(&[0.5, 1.0], false, Uncertainty::Entropy), 0.5);
        close(of(&[0.4, 0.99], false, Uncertainty::Margin), 0.8);
        assert!(uncertainty(&[1.0], true, Uncertainty::Margin).is_err());
        assert!(uncertainty(&[f64::NAN], false, Uncertainty::Margin).is_err());
    }

    #[test]
    fn a_core_set_takes_the_middle_first_and_then_what_is_far() {
        let at = |degrees: f32| [degrees.to_radians().cos(), degrees.to_radians().sin()];
        let angles = [0.0, 5.0, 10.0, 80.0, 82.0, 40.0].map(at);
        let points: Vec<&[f32]> = angles.iter().map(<[f32; 2]>::as_slice).collect();
        let order = |covered: &[&[f32]]| -> Vec<usize> {
            let chosen = k_centre(&points, covered, 3).unwrap_or_default();
            chosen.into_iter().map(|(i, _)| i).collect()
        };
        assert_eq!(order(&[]), [5, 4, 0], "the mean lies at 36 degrees");
        assert_eq!(order(&[&at(81.0)]), [0, 5, 2]);
        let chosen = k_centre(&points, &[&at(80.0)], 99).unwrap_or_default();
        assert_eq!(chosen.len(), 6, "each once");
        let gap = 1.0 - 80f64.to_radians().cos();
        assert!((chosen[0].1 - gap).abs() < 1e-6, "{chosen:?}");
        assert!(k_centre(&points, &[&[1.0]], 1).is_err());
        assert!(k_centre(&[], &[], 1).is_ok_and(|c| c.is_empty()));
    }

    #[test]
    fn greedy_choices_are_those_of_the_definition() {
        // Points on the sphere from a fixed sequence; the definition written out point by point.
        let mut state = 7u64;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        };
        let rows: Vec<Vec<f32>> = (0..60)
            .map(|_| {
                let row: Vec<f32> = (0..8).map(|_| next()).collect();
                let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
                row.iter().map(|x| x / length).collect()
            })
            .collect();
        let points: Vec<&[f32]> = rows[5..].iter().map(Vec::as_slice).collect();
        let covered: Vec<&[f32]> = rows[..5].iter().map(Vec::as_slice).collect();
        let found = k_centre(&points, &covered, 10).unwrap_or_default();
        let mut seen = covered.clone();
        for (i, gap) in found {
            let gap_of = |p: &[f32]| {
                let all = seen.iter().map(|c| distance(p, c));
                all.fold(f64::INFINITY, f64::min)
            };
            let best = points.iter().map(|p| gap_of(p)).fold(0.0, f64::max);
            close(gap, best);
            close(gap_of(points[i]), best);
            seen.push(points[i]);
        }
    }
}
