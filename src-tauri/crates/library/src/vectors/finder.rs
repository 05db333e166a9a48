//! Which of many centroids is nearest to a row, without comparing all of them.
//!
//! Centroids lie in groups; a row is compared with the groups, then with the centroids of the nearest
//! groups. It may miss the nearest centroid by a little; then the row lies in a list a little less like it,
//! which the measured number of lists to read accounts for.

use super::kernels;
use super::rows::Rows;
use crate::error::Result;

/// With fewer centroids all are compared.
const GROUPED_FROM: usize = 256;
/// One group in so many is looked into.
const LOOKED_INTO: usize = 10;
const ROUNDS: usize = 4;

/// A row's nearest centroid and the cosine with it, both from high planes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Nearest {
    pub list: u32,
    pub cosine: f32,
}

/// Centroids in groups.
pub(super) struct Finder {
    /// `[groups, dim]`; empty if there is only one.
    groups: Rows,
    /// The centroids, group by group, identified by their lists.
    members: Rows,
    offsets: Vec<u32>,
}

/// Memory that comparing one row takes, kept from row to row.
#[derive(Default)]
pub(super) struct Desk {
    query: Vec<i16>,
    dots: Vec<i32>,
    order: Vec<(f32, u32)>,
}

impl Finder {
    /// Groups some centroids; the list of each is its place.
    ///
    /// Errors only if the centroids are damaged.
    pub(super) fn of(centroids: &Rows) -> Result<Self> {
        let count = centroids.len();
        if count < GROUPED_FROM {
            return Ok(Self {
                groups: Rows::new(centroids.dim),
                members: centroids.clone(),
                offsets: vec![0, count as u32],
            });
        }
        let groups = (count as f64).sqrt() as usize;
        let mut flat = Rows::new(centroids.dim);
        for group in 0..groups {
            flat.push(group as u64, &centroids.vector(group * count / groups)?)?;
        }
        let mut desk = Desk::default();
        let mut group_of = vec![0u32; count];
        for _ in 0..ROUNDS {
            for (centroid, group) in group_of.iter_mut().enumerate() {
                let place = centroid * centroids.dim..(centroid + 1) * centroids.dim;
                desk.take(&centroids.high[place]);
                *group = desk.best(&flat, 0..groups).list;
            }
            flat = means(centroids, &group_of, &flat)?;
        }
        let (order, offsets) = grouped(&group_of, groups);
        let mut members = centroids.clone();
        members.reorder(&order);
        Ok(Self {
            groups: flat,
            members,
            offsets,
        })
    }

    /// The centroid nearest to a row, or nearly.
    ///
    /// - `high`: `[dim]`, the row's high plane, `scale`: the row's
    pub(super) fn nearest(&self, high: &[u8], scale: f32, desk: &mut Desk) -> Nearest {
        desk.take(high);
        let mut best = match self.groups.len() {
            0 => desk.best(&self.members, 0..self.members.len()),
            groups => {
                let looked_into = groups.div_ceil(LOOKED_INTO);
                desk.rank(&self.groups, looked_into);
                let mut best = Nearest {
                    list: 0,
                    cosine: f32::NEG_INFINITY,
                };
                for i in 0..looked_into {
                    let group = desk.order[i].1 as usize;
                    let range = self.offsets[group] as usize..self.offsets[group + 1] as usize;
                    let found = desk.best(&self.members, range);
                    if found.cosine > best.cosine {
                        best = found;
                    }
                }
                best
            }
        };
        best.list = self.members.ids[best.list as usize] as u32;
        best.cosine *= 65_536.0 * scale;
        best
    }
}

impl Desk {
    fn take(&mut self, high: &[u8]) {
        self.query.clear();
        self.query.extend(high.iter().map(|&x| i16::from(x as i8)));
    }

    fn compare(&mut self, rows: &Rows, range: std::ops::Range<usize>) {
        self.dots.resize(range.len(), 0);
        let high = &rows.high[range.start * rows.dim..range.end * rows.dim];
        kernels::dots(high, &self.query, &mut self.dots);
    }

    /// The best of some rows by place, its cosine but for the query's scale.
    fn best(&mut self, rows: &Rows, range: std::ops::Range<usize>) -> Nearest {
        let first = range.start;
        self.compare(rows, range);
        let mut best = Nearest {
            list: 0,
            cosine: f32::NEG_INFINITY,
        };
        for (i, dot) in self.dots.iter().enumerate() {
            let cosine = *dot as f32 * rows.scales[first + i];
            if cosine > best.cosine {
                best = Nearest {
                    list: (first + i) as u32,
                    cosine,
                };
            }
        }
        best
    }

    /// Puts the best `count` of all rows first into `order`.
    fn rank(&mut self, rows: &Rows, count: usize) {
        self.compare(rows, 0..rows.len());
        self.order.clear();
        let scored = self.dots.iter().zip(&rows.scales).zip(0..);
        self.order
            .extend(scored.map(|((dot, scale), row)| (*dot as f32 * scale, row)));
        let nth = count.min(rows.len()) - 1;
        self.order
            .select_nth_unstable_by(nth, |a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    }
}

/// The direction of each group's mean; a group without members stays where it was.
fn means(centroids: &Rows, group_of: &[u32], before: &Rows) -> Result<Rows> {
    let mut sums = vec![vec![0f32; centroids.dim]; before.len()];
    for (centroid, &group) in group_of.iter().enumerate() {
        for (sum, x) in sums[group as usize]
            .iter_mut()
            .zip(centroids.vector(centroid)?)
        {
            *sum += x;
        }
    }
    let mut after = Rows::new(centroids.dim);
    for (group, sum) in sums.iter().enumerate() {
        if after.push(group as u64, sum).is_err() {
            after.push(group as u64, &before.vector(group)?)?;
        }
    }
    Ok(after)
}

/// Members list by list, in their order within each, and where the lists begin.
pub(super) fn grouped(list_of: &[u32], lists: usize) -> (Vec<u32>, Vec<u32>) {
    let mut offsets = vec![0u32; lists + 1];
    for &list in list_of {
        offsets[list as usize + 1] += 1;
    }
    for list in 0..lists {
        offsets[list + 1] += offsets[list];
    }
    let mut next = offsets.clone();
    let mut order = vec![0u32; list_of.len()];
    for (member, &list) in list_of.iter().enumerate() {
        order[next[list as usize] as usize] = member as u32;
        next[list as usize] += 1;
    }
    (order, offsets)
}

#[cfg(test)]
mod tests {
    use rand::{Rng as _, SeedableRng as _};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn random(n: usize, dim: usize, seed: u64) -> Rows {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut rows = Rows::new(dim);
        for id in 0..n {
            let vector: Vec<f32> = (0..dim)
                .map(|_| random.random_range(-1.0f32..1.0))
                .collect();
            rows.push(id as u64, &vector).unwrap();
        }
        rows
    }

    fn all_nearest(centroids: &Rows, rows: &Rows) -> f64 {
        let finder = Finder::of(centroids).unwrap();
        let mut desk = Desk::default();
        let mut right = 0;
        for row in 0..rows.len() {
            let high = &rows.high[row * rows.dim..(row + 1) * rows.dim];
            let found = finder.nearest(high, rows.scales[row], &mut desk);
            let vector = rows.vector(row).unwrap();
            let cosine = |list: usize| centroids.dot(list, &vector).unwrap();
            let own = cosine(found.list as usize);
            assert!(
                (own - f64::from(found.cosine)).abs() < 0.02,
                "its own cosine"
            );
            right += usize::from((0..centroids.len()).all(|list| cosine(list) <= own + 0.01));
        }
        right as f64 / rows.len() as f64
    }

    #[test]
    fn few_centroids_are_all_compared() {
        assert_eq!(all_nearest(&random(50, 16, 1), &random(200, 16, 2)), 1.0);
    }

    #[test]
    fn of_many_centroids_the_nearest_is_mostly_found_even_without_any_clusters() {
        let share = all_nearest(&random(600, 16, 3), &random(300, 16, 4));
        assert!(share > 0.7, "{share}");
        assert!(share < 1.0, "groups are used at all");
    }

    #[test]
    fn grouping_keeps_every_member_once() {
        let (order, offsets) = grouped(&[2, 0, 2, 1, 0], 4);
        assert_eq!(order, [1, 4, 3, 0, 2]);
        assert_eq!(offsets, [0, 2, 3, 5, 5]);
    }
}
