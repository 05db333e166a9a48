//! Images that are there twice, and patients in two splits.

use std::collections::{HashMap, HashSet};

use rusqlite::Connection;

use super::connection::Sql;
use crate::import::{Leaks, Pair, near};

/// Examples of each leak that are listed; further ones are only counted.
const MAX_EXAMPLES: usize = 50;
/// Images that share a quarter of their hash with more others than this are not compared with all of them: black frames.
const MAX_BUCKET: usize = 4096;

struct Picture {
    case: usize,
    perceptual: [u8; 32],
    sha256: [u8; 32],
}

/// Leaks in which at least one side belongs to the source.
pub(super) fn find(connection: &Connection, source: &str) -> Sql<Leaks> {
    let mut leaks = Leaks::default();
    exact(connection, source, &mut leaks)?;
    similar(connection, source, &mut leaks)?;
    patients(connection, source, &mut leaks)?;
    Ok(leaks)
}

fn exact(connection: &Connection, source: &str, leaks: &mut Leaks) -> Sql<()> {
    let mut statement = connection.prepare(
        "SELECT first.id, second.id, first.split IS NOT second.split
         FROM images AS a JOIN images AS b ON a.sha256 = b.sha256 AND a.case_row < b.case_row
         JOIN cases AS first ON first.row = a.case_row JOIN cases AS second ON second.row = b.case_row
         WHERE (SELECT row FROM sources WHERE name = ?1) IN (first.source, second.source)
         ORDER BY a.row, b.row",
    )?;
    let mut rows = statement.query([source])?;
    while let Some(row) = rows.next()? {
        let pair = Pair {
            first: row.get(0)?,
            second: row.get(1)?,
            across_splits: row.get(2)?,
        };
        leaks.same_image.add(pair, MAX_EXAMPLES);
    }
    Ok(())
}

fn similar(connection: &Connection, source: &str, leaks: &mut Leaks) -> Sql<()> {
    let mut statement = connection.prepare(
        "SELECT case_row, cases.id, split, source = (SELECT row FROM sources WHERE name = ?1), perceptual, sha256
         FROM images JOIN cases ON cases.row = case_row WHERE perceptual IS NOT NULL ORDER BY images.row",
    )?;
    let mut cases: Vec<(String, Option<String>, bool)> = Vec::new();
    let mut place: HashMap<i64, usize> = HashMap::new();
    let mut pictures = Vec::new();
    let mut rows = statement.query([source])?;
    while let Some(row) = rows.next()? {
        let case_row: i64 = row.get(0)?;
        let (id, split, ours) = (row.get(1)?, row.get(2)?, row.get(3)?);
        let case = *place.entry(case_row).or_insert_with(|| {
            cases.push((id, split, ours));
            cases.len() - 1
        });
        pictures.push(Picture {
            case,
            perceptual: row.get(4)?,
            sha256: row.get(5)?,
        });
    }
    let mut found = HashSet::new();
    for (a, b) in near_pairs(&pictures, &|a, b| {
        let (a, b) = (&pictures[a], &pictures[b]);
        a.case != b.case && a.sha256 != b.sha256 && (cases[a.case].2 || cases[b.case].2)
    }) {
        let (a, b) = (pictures[a].case, pictures[b].case);
        let (a, b) = (a.min(b), a.max(b));
        if found.insert((a, b)) {
            let pair = Pair {
                first: cases[a].0.clone(),
                second: cases[b].0.clone(),
                across_splits: cases[a].1 != cases[b].1,
            };
            leaks.near_image.add(pair, MAX_EXAMPLES);
        }
    }
    Ok(())
}

/// Pairs whose hashes differ in few bits. Hashes that differ in at most [`near::MAX_DISTANCE`] bits agree in one of
/// their 16-bit words, so only images that share a word are compared.
fn near_pairs(pictures: &[Picture], wanted: &dyn Fn(usize, usize) -> bool) -> Vec<(usize, usize)> {
    let mut pairs = HashSet::new();
    for word in 0..near::WORDS {
        let mut buckets: HashMap<[u8; 2], Vec<usize>> = HashMap::new();
        for (i, picture) in pictures.iter().enumerate() {
            let key = [
                picture.perceptual[2 * word],
                picture.perceptual[2 * word + 1],
            ];
            buckets.entry(key).or_default().push(i);
        }
        for bucket in buckets.values().filter(|b| b.len() <= MAX_BUCKET) {
            for (i, &a) in bucket.iter().enumerate() {
                for &b in &bucket[i + 1..] {
                    let distance = near::distance(&pictures[a].perceptual, &pictures[b].perceptual);
                    if distance <= near::MAX_DISTANCE && wanted(a, b) {
                        pairs.insert((a, b));
                    }
                }
            }
        }
    }
    let mut pairs: Vec<(usize, usize)> = pairs.into_iter().collect();
    pairs.sort_unstable();
    pairs
}

fn patients(connection: &Connection, source: &str, leaks: &mut Leaks) -> Sql<()> {
    let mut statement = connection.prepare(
        "SELECT patient FROM cases WHERE patient IS NOT NULL AND split IS NOT NULL
         GROUP BY patient HAVING count(DISTINCT split) > 1
         AND max(source = (SELECT row FROM sources WHERE name = ?1)) = 1 ORDER BY patient",
    )?;
    let mut rows = statement.query([source])?;
    while let Some(row) = rows.next()? {
        leaks.patients_in_two_splits += 1;
        if leaks.patients.len() < MAX_EXAMPLES {
            leaks.patients.push(row.get(0)?);
        }
    }
    Ok(())
}
