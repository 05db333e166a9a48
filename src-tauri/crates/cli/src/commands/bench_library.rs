//! `lucency bench library`: searches in a large library, on synthetic vectors. Measured, never asserted.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use lucency_library::LibraryError;
use lucency_library::vectors::{
    Building, Effort, IndexKey, Neighbour, PartitionedIndex, VectorIndex as _, Watch,
};
use serde::Serialize;

use super::bench::{Machine, machine, ms, status_mib};
use super::bench_store::{self, Wanted};
use crate::output::{CommandError, Output};
use crate::synthetic::Cloud;

const KEY: IndexKey<'static> = IndexKey {
    model: "synthetic",
    generation: 1,
};

/// `lucency bench library`
#[derive(Args)]
pub struct BenchLibrary {
    /// Vectors in the library
    #[arg(long, default_value_t = 1_000_000)]
    vectors: u64,
    /// Numbers in a vector
    #[arg(long, default_value_t = 512)]
    dim: usize,
    /// Clusters that the vectors lie in
    #[arg(long, default_value_t = 2000)]
    clusters: usize,
    /// Searches of each kind; the median counts
    #[arg(long, default_value_t = 200)]
    queries: usize,
    /// Neighbours that are sought
    #[arg(long, default_value_t = 10)]
    k: usize,
    /// Measure instead a library of this many synthetic reports: filling it, and searching its words
    #[arg(long, value_name = "N", default_value_t = 0)]
    reports: u64,
    /// Give those reports synthetic embeddings too, and time searches by meaning through all parts
    #[arg(long, requires = "reports")]
    meaning: bool,
    /// Measure instead, or also, the import of this many large radiographs
    #[arg(long, value_name = "N", default_value_t = 0)]
    images: u64,
    /// Where the random numbers begin
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder for the index or library while it is measured [default: the system's folder for temporary files]
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
    /// Write the vectors here, and beside them queries and their exact neighbours, for other programs to search
    #[arg(long, value_name = "FILE.npy")]
    export: Option<PathBuf>,
}

/// What was measured. Times of searches are of one query at a time on all threads, in the index as it was opened from its
/// file.
#[derive(Serialize)]
struct Measured {
    machine: Machine,
    vectors: u64,
    dim: usize,
    clusters: usize,
    queries: usize,
    k: usize,
    lists: usize,
    lists_read: usize,
    exact_ms: Times,
    approximate_ms: Times,
    /// Share of the exact neighbours that the approximate search finds.
    approximate_recall: f64,
    /// Exact search with a filter that leaves one vector in a hundred.
    filtered_ms: Times,
    /// Making the index, without making the vectors, and its parts.
    build_s: f64,
    build_stages_s: HashMap<&'static str, f64>,
    /// Processor time of making vectors and index together, of all threads.
    build_cpu_s: Option<f64>,
    save_s: f64,
    file_mb: f64,
    /// What the index says it takes when it was made, and when it was opened from its file, MB.
    index_mb: f64,
    opened_mb: f64,
    /// Resident memory of the process with the opened index, and the most there was while building, MB.
    resident_mb: Option<f64>,
    build_peak_mb: Option<f64>,
    /// Opening and verifying the file after the system forgot its pages (Linux), and again at once.
    open_cold_s: Option<f64>,
    open_warm_s: f64,
}

/// Milliseconds.
#[derive(Serialize)]
struct Times {
    median: f64,
    p95: f64,
    least: f64,
    /// Processor time of all threads, mean: what other programs on the machine change least.
    cpu_mean: Option<f64>,
}

impl BenchLibrary {
    /// Measures and prints.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        let scratch = match &self.scratch {
            Some(folder) => tempfile::tempdir_in(folder),
            None => tempfile::tempdir(),
        };
        let scratch = scratch.map_err(io)?;
        if self.reports > 0 || self.images > 0 {
            let wanted = Wanted {
                reports: self.reports,
                images: self.images,
                meaning: self.meaning,
                k: self.k,
                scratch: scratch.path(),
            };
            return bench_store::run(&wanted, output);
        }
        let cloud = Cloud::new(self.dim, self.clusters, self.seed);
        let queries = cloud.queries(self.queries.max(1));
        let cpu = cpu_s();
        let (mut index, build_s, build_stages_s) = self.build(&cloud)?;
        let build_cpu_s = since(cpu);
        let build_peak_mb = status_mib("VmHWM:").map(megabytes);
        let (lists, lists_read) = index.list_counts().unwrap_or((1, 1));

        let (_, before) = self.search(&index, &queries, Effort::Automatic, 1)?;

        let path = scratch.path().join(KEY.file_name());
        let index_mb = index.memory_bytes() as f64 / 1e6;
        let begun = Instant::now();
        index.save(&path, KEY).map_err(library)?;
        let save_s = ms(begun) / 1000.0;
        drop(index);
        let file_mb = std::fs::metadata(&path).map_err(io)?.len() as f64 / 1e6;
        let open_cold_s = match forget(&path) {
            true => Some(open(&path)?.1),
            false => None,
        };
        let (index, open_warm_s) = open(&path)?;
        let opened_mb = index.memory_bytes() as f64 / 1e6;
        let resident_mb = status_mib("VmRSS:").map(megabytes);
        let (exact_ms, exact) = self.search(&index, &queries, Effort::Exact, 1)?;
        let (approximate_ms, found) = self.search(&index, &queries, Effort::Automatic, 1)?;
        let (filtered_ms, _) = self.search(&index, &queries, Effort::Automatic, 100)?;
        if found != before {
            return Err(CommandError::new(
                "bench",
                "the index that was read answers differently",
            ));
        }
        if let Some(path) = &self.export {
            self.export(path, &cloud, &queries, &exact)?;
        }
        let measured = Measured {
            machine: machine(),
            vectors: self.vectors,
            dim: self.dim,
            clusters: self.clusters,
            queries: queries.len(),
            k: self.k,
            lists,
            lists_read,
            exact_ms,
            approximate_ms,
            approximate_recall: recall(&exact, &found),
            filtered_ms,
            build_s,
            build_stages_s,
            build_cpu_s,
            save_s,
            file_mb,
            index_mb,
            opened_mb,
            resident_mb,
            build_peak_mb,
            open_cold_s,
            open_warm_s,
        };
        output.print(&measured, text)
    }

    /// The index, and how long making it took, in all and by stage, without making the vectors.
    fn build(
        &self,
        cloud: &Cloud,
    ) -> Result<(PartitionedIndex, f64, HashMap<&'static str, f64>), CommandError> {
        let making = Cell::new(Duration::ZERO);
        let mut batches = cloud.vectors(self.vectors);
        let timed = std::iter::from_fn(|| {
            let begun = Instant::now();
            let batch = batches.next();
            making.set(making.get() + begun.elapsed());
            batch
        });
        let vectors = timed.flatten().map(Ok).take(self.vectors as usize);
        let mut stages: Vec<(&'static str, Instant)> = Vec::new();
        let mut report = |at: Building| {
            if stages.last().is_none_or(|(stage, _)| *stage != at.stage) {
                stages.push((at.stage, Instant::now()));
            }
        };
        let mut watch = Watch {
            stop: &|| false,
            report: &mut report,
        };
        let begun = Instant::now();
        let index = PartitionedIndex::build(self.dim, vectors, self.seed, &mut watch)
            .map_err(library)?
            .ok_or_else(|| CommandError::new("stopped", "the index was not made"))?;
        let end = Instant::now();
        let making = making.get().as_secs_f64();
        let ends = stages.iter().skip(1).map(|(_, begun)| *begun).chain([end]);
        let seconds = |((stage, begun), end): (&(&'static str, Instant), Instant)| {
            (*stage, (end - *begun).as_secs_f64())
        };
        let mut by_stage: HashMap<&'static str, f64> =
            stages.iter().zip(ends).map(seconds).collect();
        by_stage
            .entry("reading vectors")
            .and_modify(|s| *s -= making);
        Ok((index, (end - begun).as_secs_f64() - making, by_stage))
    }

    /// Searches for each query in turn among every `step`-th vector.
    fn search(
        &self,
        index: &PartitionedIndex,
        queries: &[Vec<f32>],
        effort: Effort,
        step: u64,
    ) -> Result<(Times, Vec<Vec<Neighbour>>), CommandError> {
        let keep = |id: u64| id.is_multiple_of(step);
        let cpu = cpu_s();
        let mut times = Vec::with_capacity(queries.len());
        let mut found = Vec::with_capacity(queries.len());
        for query in queries {
            let begun = Instant::now();
            let hits = index
                .search(query, self.k, effort, &keep)
                .map_err(library)?;
            times.push(ms(begun));
            found.push(hits);
        }
        let cpu_mean = since(cpu).map(|s| 1000.0 * s / times.len() as f64);
        times.sort_by(f64::total_cmp);
        let at = |share: f64| times[(share * (times.len() - 1) as f64).round() as usize];
        let times = Times {
            median: at(0.5),
            p95: at(0.95),
            least: at(0.0),
            cpu_mean,
        };
        Ok((times, found))
    }

    /// `FILE.npy` with the vectors, `FILE.queries.npy` and `FILE.neighbours.npy` beside it.
    fn export(
        &self,
        path: &Path,
        cloud: &Cloud,
        queries: &[Vec<f32>],
        exact: &[Vec<Neighbour>],
    ) -> Result<(), CommandError> {
        let bytes =
            |vector: &[f32]| -> Vec<u8> { vector.iter().flat_map(|x| x.to_le_bytes()).collect() };
        let parts = cloud.vectors(self.vectors).map(|batch| {
            batch
                .iter()
                .flat_map(|(_, v)| bytes(v))
                .collect::<Vec<u8>>()
        });
        let shape = [self.vectors as usize, self.dim];
        crate::npy::write_parts(path, "<f4", &shape, parts)?;
        let beside = |name: &str| path.with_extension(format!("{name}.npy"));
        crate::npy::write_f32(
            &beside("queries"),
            &[queries.len(), self.dim],
            &queries.concat(),
        )?;
        let ids: Vec<u8> = exact
            .iter()
            .flatten()
            .flat_map(|n| n.id.to_le_bytes())
            .collect();
        let shape = [exact.len(), exact.first().map_or(0, Vec::len)];
        crate::npy::write(&beside("neighbours"), "<u8", &shape, &ids)
    }
}

fn open(path: &Path) -> Result<(PartitionedIndex, f64), CommandError> {
    let begun = Instant::now();
    let index = PartitionedIndex::open(path, KEY).map_err(library)?;
    Ok((index, ms(begun) / 1000.0))
}

/// Makes the system forget the file's pages; false where that cannot be done.
#[cfg(target_os = "linux")]
fn forget(path: &Path) -> bool {
    use rustix::fs::{Advice, fadvise};
    let file = std::fs::File::open(path);
    file.is_ok_and(|file| fadvise(file, 0, None, Advice::DontNeed).is_ok())
}

#[cfg(not(target_os = "linux"))]
fn forget(_path: &Path) -> bool {
    false
}

fn recall(exact: &[Vec<Neighbour>], found: &[Vec<Neighbour>]) -> f64 {
    let (mut hits, mut wanted) = (0, 0);
    for (exact, found) in exact.iter().zip(found) {
        let ids: HashSet<u64> = exact.iter().map(|n| n.id).collect();
        hits += found.iter().filter(|n| ids.contains(&n.id)).count();
        wanted += ids.len();
    }
    hits as f64 / f64::from(wanted.max(1) as u32)
}

/// Processor time of this process so far, in seconds, where the system says it (Linux: proc(5), hundredths).
pub(super) fn cpu_s() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields = stat.rsplit_once(')')?.1;
    let mut times = fields.split_whitespace().skip(11).map(str::parse::<f64>);
    Some((times.next()?.ok()? + times.next()?.ok()?) / 100.0)
}

/// Processor seconds since then.
pub(super) fn since(begun: Option<f64>) -> Option<f64> {
    Some(cpu_s()? - begun?)
}

/// From MiB.
fn megabytes(mib: f64) -> f64 {
    mib * 1024.0 * 1024.0 / 1e6
}

fn library(error: LibraryError) -> CommandError {
    CommandError::new(error.code(), error.to_string())
}

fn io(error: std::io::Error) -> CommandError {
    CommandError::new("io", error.to_string())
}

fn text(m: &Measured) -> String {
    let optional =
        |v: Option<f64>, unit: &str| v.map_or("–".to_owned(), |v| format!("{v:.2} {unit}"));
    let times = |name: &str, t: &Times| {
        let cpu = optional(t.cpu_mean, "ms");
        format!(
            "{name:22} {:8.2} ms median, {:.2} ms p95, {:.2} ms least, processors {cpu}",
            t.median, t.p95, t.least
        )
    };
    [
        format!(
            "{}, {} threads, {}",
            m.machine.cpu, m.machine.threads, m.machine.build
        ),
        format!(
            "{} × {} in {} clusters, top {}",
            m.vectors, m.dim, m.clusters, m.k
        ),
        times("exact", &m.exact_ms),
        times("approximate", &m.approximate_ms),
        format!(
            "approximate recall     {:8.4} ({} of {} lists read)",
            m.approximate_recall, m.lists_read, m.lists
        ),
        times("exact, 1 % pass", &m.filtered_ms),
        format!(
            "build                  {:8.1} s, processors with making the vectors {}",
            m.build_s,
            optional(m.build_cpu_s, "s")
        ),
        format!(
            "save                   {:8.2} s, {:.0} MB",
            m.save_s, m.file_mb
        ),
        format!(
            "memory                 {:8.0} MB, when it was made {:.0} MB, process {}",
            m.opened_mb,
            m.index_mb,
            optional(m.resident_mb, "MB")
        ),
        format!(
            "build peak             {:>11}",
            optional(m.build_peak_mb, "MB")
        ),
        format!(
            "open cold              {:>11}",
            optional(m.open_cold_s, "s")
        ),
        format!("open again             {:8.2} s", m.open_warm_s),
    ]
    .join("\n")
}
