//! Lists of rows around centroids: spherical k-means on a sample, then each row to its nearest
//! centroid.
//!
//! Source: Dhillon and Modha 2001, "Concept decompositions for large sparse text data using
//! clustering" (spherical k-means); Jégou et al. 2011, "Product quantization for nearest neighbor
//! search", section IV (inverted lists, of which only the nearest are read).

use rand::seq::index::sample;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::Watch;
use super::finder::{Desk, Finder, Nearest, grouped};
use super::rows::Rows;
use crate::error::Result;

/// Rows of the sample for each list.
const SAMPLE: usize = 40;
const ROUNDS: usize = 8;
/// After each of the first rounds, the smallest lists begin anew where rows are far from every centroid: of
/// lists that start at random rows, several share a cluster and many clusters have none.
const MOVING_ROUNDS: usize = 5;
/// The share of lists that may begin anew in a round: one in so many.
const MOVED: usize = 6;
/// Rows between two looks at the watch.
const TURN: usize = 1 << 14;

/// How many lists suit a number of rows: about as much work to choose lists as to read them.
pub(super) fn list_count(rows: usize) -> usize {
    (4.0 * (rows as f64).sqrt()).round() as usize
}

/// Rows grouped by centroid.
pub(super) struct Partition {
    /// Centroids, unit length, `[lists, dim]`.
    pub centroids: Rows,
    /// Row at each place, list by list.
    pub order: Vec<u32>,
    /// Where each list begins, and where the last one ends.
    pub offsets: Vec<u32>,
}

/// Groups all rows into `lists` lists. The same rows, seed and number give the same lists.
///
/// Nothing if the watch says stop.
pub(super) fn partition(
    rows: &Rows,
    lists: usize,
    seed: u64,
    watch: &mut Watch<'_>,
) -> Result<Option<Partition>> {
    let lists = lists.clamp(1, rows.len().max(1));
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let size = rows.len().min(lists * SAMPLE);
    let mut chosen: Vec<u32> = sample(&mut random, rows.len(), size)
        .iter()
        .map(|row| row as u32)
        .collect();
    let mut centroids = Rows::new(rows.dim);
    for (list, &row) in chosen.iter().take(lists).enumerate() {
        centroids.push(list as u64, &rows.vector(row as usize)?)?;
    }
    chosen.sort_unstable();
    let members = Members::gather(rows, &chosen);
    for round in 0..ROUNDS {
        watch.at("finding lists", round, ROUNDS);
        let Some(nearest) = members.nearest(&centroids, watch, None)? else {
            return Ok(None);
        };
        centroids = members.means(&nearest, lists, &mut random)?;
        if round < MOVING_ROUNDS {
            centroids = members.moved(&centroids, &nearest, &mut random)?;
        }
    }
    drop(members);
    let all = Members::all(rows);
    let Some(nearest) = all.nearest(&centroids, watch, Some("sorting into lists"))? else {
        return Ok(None);
    };
    let (order, offsets) = grouped(&lists_of(&nearest), lists);
    Ok(Some(Partition {
        centroids,
        order,
        offsets,
    }))
}

fn lists_of(nearest: &[Nearest]) -> Vec<u32> {
    nearest.iter().map(|n| n.list).collect()
}

/// Rows that are put to centroids: their high planes and scales.
struct Members<'a> {
    dim: usize,
    high: std::borrow::Cow<'a, [u8]>,
    scales: std::borrow::Cow<'a, [f32]>,
}

impl<'a> Members<'a> {
    fn all(rows: &'a Rows) -> Self {
        Self {
            dim: rows.dim,
            high: rows.high.as_slice().into(),
            scales: rows.scales.as_slice().into(),
        }
    }

    fn gather(rows: &Rows, chosen: &[u32]) -> Self {
        let dim = rows.dim;
        let mut high = Vec::with_capacity(chosen.len() * dim);
        for &row in chosen {
            high.extend_from_slice(&rows.high[row as usize * dim..(row as usize + 1) * dim]);
        }
        let scales: Vec<f32> = chosen
            .iter()
            .map(|&row| rows.scales[row as usize])
            .collect();
        Self {
            dim,
            high: high.into(),
            scales: scales.into(),
        }
    }

    /// The nearest centroid of each member; nothing if the watch says stop.
    fn nearest(
        &self,
        centroids: &Rows,
        watch: &mut Watch<'_>,
        stage: Option<&'static str>,
    ) -> Result<Option<Vec<Nearest>>> {
        let finder = Finder::of(centroids)?;
        let mut nearest = vec![Nearest::default(); self.scales.len()];
        for (i, nearest) in nearest.chunks_mut(TURN).enumerate() {
            if watch.stopped() {
                return Ok(None);
            }
            if let Some(stage) = stage {
                watch.at(stage, i * TURN, self.scales.len());
            }
            let first = i * TURN;
            let find = |desk: &mut Desk, (place, nearest): (usize, &mut Nearest)| {
                let member = first + place;
                let high = &self.high[member * self.dim..(member + 1) * self.dim];
                *nearest = finder.nearest(high, self.scales[member], desk);
            };
            nearest
                .par_iter_mut()
                .with_min_len(64)
                .enumerate()
                .for_each_init(Desk::default, find);
        }
        Ok(Some(nearest))
    }

    /// The direction of each list's mean; a list without members becomes one of the members.
    fn means(&self, nearest: &[Nearest], lists: usize, random: &mut ChaCha8Rng) -> Result<Rows> {
        let (order, offsets) = grouped(&lists_of(nearest), lists);
        let sums: Vec<Vec<f32>> = offsets
            .par_windows(2)
            .map(|ends| self.sum(&order[ends[0] as usize..ends[1] as usize]))
            .collect();
        let mut centroids = Rows::new(self.dim);
        for (list, sum) in sums.into_iter().enumerate() {
            if centroids.push(list as u64, &sum).is_err() {
                let any = random.random_range(0..nearest.len()) as u32;
                centroids.push(list as u64, &self.sum(&[any]))?;
            }
        }
        Ok(centroids)
    }

    /// The centroids, the smallest lists' moved to members that are far from theirs, drawn by the square of
    /// the distance as k-means++ does (Arthur and Vassilvitskii 2007).
    fn moved(
        &self,
        centroids: &Rows,
        nearest: &[Nearest],
        random: &mut ChaCha8Rng,
    ) -> Result<Rows> {
        let lists = centroids.len();
        let mut sizes = vec![0usize; lists];
        nearest.iter().for_each(|n| sizes[n.list as usize] += 1);
        let mut smallest: Vec<usize> = (0..lists).collect();
        smallest.sort_by_key(|&list| sizes[list]);
        smallest.retain(|&list| 2 * sizes[list] * lists < nearest.len());
        smallest.truncate(lists / MOVED);
        let mut total = 0.0;
        let reach: Vec<f64> = nearest
            .iter()
            .map(|n| {
                total += f64::from((1.0 - n.cosine).max(0.0)).powi(2);
                total
            })
            .collect();
        let mut place = vec![None; lists];
        for list in smallest {
            let drawn = random.random_range(0.0..=total);
            let member = reach.partition_point(|r| *r < drawn).min(nearest.len() - 1);
            place[list] = Some(member as u32);
        }
        let mut moved = Rows::new(self.dim);
        for (list, place) in place.into_iter().enumerate() {
            let centroid = match place {
                Some(member) => self.sum(&[member]),
                None => centroids.vector(list)?,
            };
            moved.push(list as u64, &centroid)?;
        }
        Ok(moved)
    }

    fn sum(&self, members: &[u32]) -> Vec<f32> {
        let mut sum = vec![0f32; self.dim];
        for &member in members {
            let member = member as usize;
            let high = &self.high[member * self.dim..(member + 1) * self.dim];
            for (sum, &high) in sum.iter_mut().zip(high) {
                *sum += self.scales[member] * f32::from(high as i8);
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corners(n: usize) -> Rows {
        // Three directions, each with a little of its own.
        let mut rows = Rows::new(3);
        for i in 0..n {
            let mut vector = [0.01 * (i as f32).sin(), 0.01 * (i as f32).cos(), 0.01];
            vector[i % 3] += 1.0;
            rows.push(i as u64, &vector).unwrap();
        }
        rows
    }

    fn run(rows: &Rows, lists: usize, stop: bool) -> Option<Partition> {
        let mut watch = Watch {
            stop: &|| stop,
            report: &mut |_| {},
        };
        partition(rows, lists, 1, &mut watch).unwrap()
    }

    #[test]
    fn each_row_is_in_one_list_with_its_like() {
        let rows = corners(300);
        let found = run(&rows, 12, false).unwrap();
        let mut all = found.order.clone();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..300), "every row once");
        for ends in found.offsets.windows(2) {
            let list = &found.order[ends[0] as usize..ends[1] as usize];
            assert!(
                list.windows(2).all(|pair| pair[0] % 3 == pair[1] % 3),
                "directions are not mixed in a list"
            );
        }
    }

    #[test]
    fn more_lists_than_rows_or_equal_rows_do_no_harm() {
        assert_eq!(run(&corners(5), 50, false).unwrap().order.len(), 5);
        let mut same = Rows::new(2);
        for id in 0..40 {
            same.push(id, &[1.0, 1.0]).unwrap();
        }
        let found = run(&same, 8, false).unwrap();
        assert_eq!(*found.offsets.last().unwrap(), 40);
    }

    #[test]
    fn it_stops_when_it_is_told_to() {
        assert!(run(&corners(30), 3, true).is_none());
    }
}
