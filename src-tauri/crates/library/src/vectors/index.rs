//! The index of a library's vectors: exact at any size, approximate from some size on.

use std::collections::HashMap;
use std::ops::Range;

use rayon::prelude::*;

use super::partition::{Partition, list_count, partition};
use super::rows::{Probe, Rows};
use super::shortlist::Shortlist;
use super::{Effort, Keep, Neighbour, VectorIndex, Watch};
use crate::error::{LibraryError, Result};

/// From this many vectors on an index gets lists: an exact search of fewer takes a few milliseconds.
pub const APPROXIMATE_FROM: usize = 100_000;

/// Rows that one thread scans at a time, about a megabyte.
const PIECE: usize = 2048;
/// Rows between two looks at the bar.
const BLOCK: usize = 256;
/// A filter is tried on this many vectors to learn what share it leaves.
const TRIED: usize = 512;
/// With a smaller share an approximate search would miss too much: it is done exactly.
const LEAST_SHARE: f32 = 0.5;
/// With more vectors outside the lists, or gone from them, the lists shall be made again.
const LOOSE_SHARE: usize = 10;

/// Vectors in two planes of bytes, from [`APPROXIMATE_FROM`] on in lists around centroids. Of a large index that was written
/// or opened, one plane stays in the file: it is read where a search needs it, and verified each time.
///
/// Vectors that are added after the lists were made are scanned in every search, so the lists need not
/// be made again at once; [`needs_lists`](Self::needs_lists) says when they should be.
#[derive(Debug, Clone)]
pub struct PartitionedIndex {
    pub(super) rows: Rows,
    pub(super) lists: Option<Lists>,
    /// Rows that were removed and erased, sorted out by [`compact`](Self::compact).
    gone: Vec<bool>,
    gone_count: usize,
    /// Row of each identifier; made when something is first added or removed.
    places: Option<HashMap<u64, u32>>,
}

/// What an approximate search needs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Lists {
    /// `[lists, dim]`
    pub centroids: Rows,
    /// Where each list begins, and where the last one ends; rows from there on are in no list.
    pub offsets: Vec<u32>,
    /// How many of them an approximate search reads.
    pub probes: usize,
}

impl PartitionedIndex {
    /// An index without vectors.
    ///
    /// - `dim`: numbers in a vector, 1 to 65 536
    ///
    /// Errors if it is something else.
    pub fn new(dim: usize) -> Result<Self> {
        if !(1..=65_536).contains(&dim) {
            return Err(LibraryError::Vectors(format!(
                "vectors have 1 to 65536 dimensions, not {dim}"
            )));
        }
        Ok(Self::of(Rows::new(dim), None))
    }

    pub(super) fn of(rows: Rows, lists: Option<Lists>) -> Self {
        Self {
            gone: vec![false; rows.len()],
            gone_count: 0,
            rows,
            lists,
            places: None,
        }
    }

    /// An index of all vectors that an iterator gives, with lists if there are enough of them.
    ///
    /// - `vectors`: identifiers, each once, with vectors `[dim]` of any length but zero
    /// - `seed`: of the lists; the same vectors and seed give the same index
    /// - returns nothing if the watch says stop
    ///
    /// Errors if a vector does not fit or an identifier comes twice, or with what the iterator gives.
    pub fn build(
        dim: usize,
        vectors: impl Iterator<Item = Result<(u64, Vec<f32>)>>,
        seed: u64,
        watch: &mut Watch<'_>,
    ) -> Result<Option<Self>> {
        let Some(mut index) = Self::gather(dim, vectors, watch)? else {
            return Ok(None);
        };
        if index.needs_lists() && !index.make_lists(seed, watch)? {
            return Ok(None);
        }
        Ok(Some(index))
    }

    /// An index of all vectors that an iterator gives, without lists: every search is exact until they are made.
    ///
    /// - `vectors`: identifiers, each once, with vectors `[dim]` of any length but zero
    /// - returns nothing if the watch says stop
    ///
    /// Errors if a vector does not fit or an identifier comes twice, or with what the iterator gives.
    pub fn gather(
        dim: usize,
        vectors: impl Iterator<Item = Result<(u64, Vec<f32>)>>,
        watch: &mut Watch<'_>,
    ) -> Result<Option<Self>> {
        const REPORT: usize = 4096;
        let mut index = Self::new(dim)?;
        let (least, most) = vectors.size_hint();
        let expected = most.unwrap_or(least);
        index.rows.reserve(expected.min(1 << 24));
        for (done, vector) in vectors.enumerate() {
            if done % REPORT == 0 {
                if watch.stopped() {
                    return Ok(None);
                }
                watch.at("reading vectors", done, expected);
            }
            let (id, vector) = vector?;
            index.rows.push(id, &vector)?;
        }
        index.gone = vec![false; index.rows.len()];
        index.check_identifiers()?;
        Ok(Some(index))
    }

    /// The identifiers of all vectors, in no order that means anything.
    pub fn ids(&self) -> impl Iterator<Item = u64> {
        let rows = self.rows.ids.iter().zip(&self.gone);
        rows.filter(|(_, gone)| !**gone).map(|(id, _)| *id)
    }

    fn check_identifiers(&self) -> Result<()> {
        let mut ids = self.rows.ids.clone();
        ids.par_sort_unstable();
        match ids.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(taken(pair[0])),
            None => Ok(()),
        }
    }

    /// True if an approximate search would be worth more than it is now: there are enough vectors and no
    /// lists yet, or more than a tenth came or went since they were made.
    pub fn needs_lists(&self) -> bool {
        let listed = self.listed();
        let loose = self.rows.len() - listed + self.gone_count;
        self.len() >= APPROXIMATE_FROM && loose * LOOSE_SHARE > listed
    }

    /// True if there are lists, so that an approximate search is possible.
    pub fn has_lists(&self) -> bool {
        self.lists.is_some()
    }

    /// How many lists there are, and how many of them an approximate search reads.
    pub fn list_counts(&self) -> Option<(usize, usize)> {
        self.lists
            .as_ref()
            .map(|lists| (lists.centroids.len(), lists.probes))
    }

    /// Makes the lists anew from all vectors, and measures how many of them a search has to read.
    ///
    /// - `seed`: the same vectors and seed give the same lists
    /// - returns false if the watch said stop; the index is then as it was
    ///
    /// Errors only if the vectors are damaged or cannot be read from the index's file.
    pub fn make_lists(&mut self, seed: u64, watch: &mut Watch<'_>) -> Result<bool> {
        self.make_lists_of(list_count(self.len()), seed, watch)
    }

    pub(super) fn make_lists_of(
        &mut self,
        count: usize,
        seed: u64,
        watch: &mut Watch<'_>,
    ) -> Result<bool> {
        self.compact();
        let Some(found) = partition(&self.rows, count, seed, watch)? else {
            return Ok(false);
        };
        let Partition {
            centroids,
            order,
            offsets,
        } = found;
        self.places = None;
        self.rows.reorder(&order);
        let probes = centroids.len();
        self.lists = Some(Lists {
            centroids,
            offsets,
            probes,
        });
        // Until it is known how many suffice, all lists are read: stopped here, searches stay right.
        if let Some(probes) = self.enough_probes(seed, watch)? {
            self.lists.iter_mut().for_each(|l| l.probes = probes);
        }
        Ok(true)
    }

    /// Closes the gaps that removed vectors left.
    pub fn compact(&mut self) {
        if self.gone_count == 0 {
            return;
        }
        if let Some(lists) = &mut self.lists {
            let gone = &self.gone;
            let mut before = 0;
            let mut begin = 0;
            for end in &mut lists.offsets {
                let removed = gone[begin..*end as usize].iter().filter(|g| **g).count();
                begin = *end as usize;
                before += removed as u32;
                *end -= before;
            }
        }
        let gone = &self.gone;
        self.rows.retain(&|row| !gone[row]);
        self.gone = vec![false; self.rows.len()];
        self.gone_count = 0;
        self.places = None;
    }

    /// Rows that are in lists.
    fn listed(&self) -> usize {
        let last = |lists: &Lists| lists.offsets.last().map_or(0, |end| *end as usize);
        self.lists.as_ref().map_or(0, last)
    }

    fn places(&mut self) -> &mut HashMap<u64, u32> {
        let (rows, gone) = (&self.rows, &self.gone);
        self.places.get_or_insert_with(|| {
            let live = rows.ids.iter().enumerate().filter(|(row, _)| !gone[*row]);
            live.map(|(row, &id)| (id, row as u32)).collect()
        })
    }

    /// The lists in order of their centroids' cosines with the query, nearest first.
    pub(super) fn lists_by_distance(lists: &Lists, probe: &Probe) -> Vec<u32> {
        let count = lists.centroids.len();
        let mut dots = vec![0; count];
        lists.centroids.rough(probe, 0, &mut dots);
        let mut order: Vec<u32> = (0..count as u32).collect();
        let cosine =
            |list: u32| probe.cosine(dots[list as usize], lists.centroids.scales[list as usize]);
        order.sort_by(|&a, &b| cosine(b).total_cmp(&cosine(a)).then(a.cmp(&b)));
        order
    }

    /// The rows that an approximate search reads; nothing if it shall be exact.
    fn nearby(&self, probe: &Probe, keep: &Keep<'_>) -> Option<Vec<Range<usize>>> {
        let lists = self.lists.as_ref()?;
        if self.share(keep) < LEAST_SHARE {
            return None;
        }
        let order = Self::lists_by_distance(lists, probe);
        let list = |list: &u32| {
            let list = *list as usize;
            lists.offsets[list] as usize..lists.offsets[list + 1] as usize
        };
        let mut ranges: Vec<Range<usize>> = order.iter().take(lists.probes).map(list).collect();
        ranges.push(self.listed()..self.rows.len());
        Some(ranges)
    }

    /// All rows, as a range.
    pub(super) fn everything(&self) -> Vec<Range<usize>> {
        std::iter::once(0..self.rows.len()).collect()
    }

    /// The share of vectors that a filter leaves, by trying some that lie evenly apart.
    fn share(&self, keep: &Keep<'_>) -> f32 {
        let step = self.rows.len().div_ceil(TRIED).max(1);
        let tried = self.rows.ids.iter().step_by(step);
        let left = tried.clone().filter(|id| keep(**id)).count();
        left as f32 / tried.len().max(1) as f32
    }

    /// The nearest among the rows of some ranges.
    pub(super) fn nearest(
        &self,
        probe: &Probe,
        k: usize,
        ranges: Vec<Range<usize>>,
        keep: &Keep<'_>,
    ) -> Result<Vec<Found>> {
        let pieces: Vec<Range<usize>> = ranges.into_iter().flat_map(pieces).collect();
        let list = pieces
            .into_par_iter()
            .map(|rows| self.scan(probe, k, rows, keep))
            .reduce(|| Shortlist::new(k), Shortlist::and);
        self.score(probe, k, list)
    }

    /// The candidates among some rows, from their high plane.
    fn scan(&self, probe: &Probe, k: usize, rows: Range<usize>, keep: &Keep<'_>) -> Shortlist {
        let mut list = Shortlist::new(k);
        let (every, each) = probe.margin();
        let mut dots = [0i32; BLOCK];
        for first in rows.clone().step_by(BLOCK) {
            let dots = &mut dots[..BLOCK.min(rows.end - first)];
            self.rows.rough(probe, first, dots);
            let scales = &self.rows.scales[first..first + dots.len()];
            let slacks = &self.rows.slacks[first..first + dots.len()];
            let mut bar = list.bar();
            for (i, ((dot, scale), slack)) in dots.iter().zip(scales).zip(slacks).enumerate() {
                let cosine = probe.cosine(*dot, *scale);
                let margin = every + each * slack;
                let row = first + i;
                // The filter may be slow: only rows that would enter are shown to it.
                if cosine + margin >= bar && !self.gone[row] && keep(self.rows.ids[row]) {
                    list.offer(row as u32, cosine - margin, cosine + margin);
                    bar = list.bar();
                }
            }
        }
        list
    }

    /// Scores candidates from both planes, the most promising first, until no other can be better.
    fn score(&self, probe: &Probe, k: usize, list: Shortlist) -> Result<Vec<Found>> {
        let mut best: Vec<Found> = Vec::with_capacity(k.min(1024) + 1);
        for (upper, row) in list.finish() {
            if best.len() == k && f64::from(upper) < best[k - 1].cosine {
                break;
            }
            let found = Found {
                cosine: self.rows.dot(row as usize, &probe.exact)?,
                id: self.rows.ids[row as usize],
                row,
            };
            let better = |b: &Found| (b.cosine, found.id) > (found.cosine, b.id);
            let place = best.partition_point(better);
            best.insert(place, found);
            best.truncate(k);
        }
        Ok(best)
    }
}

/// A row that was scored from both planes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    cosine: f64,
    id: u64,
    pub(super) row: u32,
}

impl From<Found> for Neighbour {
    fn from(found: Found) -> Self {
        Self {
            id: found.id,
            cosine: (found.cosine as f32).clamp(-1.0, 1.0),
        }
    }
}

impl PartialEq for PartitionedIndex {
    /// Equal if every search gives the same: a lookup table that was made on the way does not count.
    fn eq(&self, other: &Self) -> bool {
        self.rows == other.rows && self.lists == other.lists && self.gone == other.gone
    }
}

impl VectorIndex for PartitionedIndex {
    fn dim(&self) -> usize {
        self.rows.dim
    }

    fn len(&self) -> usize {
        self.rows.len() - self.gone_count
    }

    fn add(&mut self, id: u64, vector: &[f32]) -> Result<()> {
        if self.places().contains_key(&id) {
            return Err(taken(id));
        }
        let row = u32::try_from(self.rows.len())
            .map_err(|_| LibraryError::Vectors("the index is full".into()))?;
        self.rows.push(id, vector)?;
        self.gone.push(false);
        self.places().insert(id, row);
        Ok(())
    }

    fn remove(&mut self, id: u64) -> bool {
        let Some(row) = self.places().remove(&id) else {
            return false;
        };
        self.rows.erase(row as usize);
        self.gone[row as usize] = true;
        self.gone_count += 1;
        true
    }

    fn search(
        &self,
        query: &[f32],
        k: usize,
        effort: Effort,
        keep: &Keep<'_>,
    ) -> Result<Vec<Neighbour>> {
        let probe = Probe::new(query, self.dim())?;
        let k = k.min(self.len());
        if k == 0 {
            return Ok(Vec::new());
        }
        if effort != Effort::Exact
            && let Some(ranges) = self.nearby(&probe, keep)
        {
            let found = self.nearest(&probe, k, ranges, keep)?;
            if found.len() == k {
                return Ok(found.into_iter().map(Neighbour::from).collect());
            }
        }
        let found = self.nearest(&probe, k, self.everything(), keep)?;
        Ok(found.into_iter().map(Neighbour::from).collect())
    }

    fn memory_bytes(&self) -> usize {
        let lists = |l: &Lists| l.centroids.memory_bytes() + 4 * l.offsets.capacity();
        let places = |p: &HashMap<u64, u32>| p.capacity() * (size_of::<(u64, u32)>() + 1);
        self.rows.memory_bytes()
            + self.gone.capacity()
            + self.lists.as_ref().map_or(0, lists)
            + self.places.as_ref().map_or(0, places)
    }
}

fn pieces(range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let end = range.end;
    range
        .step_by(PIECE)
        .map(move |begin| begin..end.min(begin + PIECE))
}

fn taken(id: u64) -> LibraryError {
    LibraryError::Vectors(format!(
        "case number {id} has a vector already; remove it first"
    ))
}
