//! Images that are there twice, and patients in two splits.

use std::collections::{HashMap, HashSet};

use lucency_likeness::{Likeness, SAME_BITS, WORDS};
use rusqlite::Connection;

use super::connection::Sql;
use crate::import::{Leaks, Pair, Pairs};

/// Examples of each leak that are listed; further ones are only counted.
const MAX_EXAMPLES: usize = 50;
/// Images that share a quarter of their hash with more others than this are not compared with all of them: black frames.
const MAX_BUCKET: usize = 4096;

/// Leaks in which at least one side belongs to the source.
pub(super) fn find(connection: &Connection, source: &str) -> Sql<Leaks> {
    let mut leaks = Leaks::default();
    exact(connection, source, &mut leaks.same_image)?;
    similar(connection, source, &mut leaks.near_image)?;
    patients(connection, source, &mut leaks)?;
    leaks.images_with_questions_in_two_splits = divided(connection, source)?;
    Ok(leaks)
}

/// Cases with the same image file. Counted by groups, with one example a file: an image that is everywhere has very many pairs.
fn exact(connection: &Connection, source: &str, pairs: &mut Pairs) -> Sql<()> {
    let mut statement = connection.prepare(
        "SELECT sha256, split, source = (SELECT row FROM sources WHERE name = ?1), count(DISTINCT case_row)
         FROM images JOIN cases ON cases.row = case_row
         WHERE sha256 IN (SELECT sha256 FROM images GROUP BY sha256 HAVING count(DISTINCT case_row) > 1)
         GROUP BY 1, 2, 3 ORDER BY 1",
    )?;
    let mut rows = statement.query([source])?;
    let mut group: Vec<(Option<String>, bool, u64)> = Vec::new();
    let mut last: Option<[u8; 32]> = None;
    while let Some(row) = rows.next()? {
        let sha256: [u8; 32] = row.get(0)?;
        if last != Some(sha256) {
            count_group(&group, pairs);
            group.clear();
            last = Some(sha256);
        }
        let count: i64 = row.get(3)?;
        group.push((row.get(1)?, row.get(2)?, count.max(0) as u64));
    }
    count_group(&group, pairs);
    let mut statement = connection.prepare(
        "WITH ours AS (
             SELECT sha256 AS hash, min(case_row) AS ours FROM images JOIN cases ON cases.row = case_row
             WHERE source = (SELECT row FROM sources WHERE name = ?1) GROUP BY sha256),
         pairs AS (
             SELECT ours, (SELECT min(case_row) FROM images WHERE sha256 = hash AND case_row <> ours) AS other FROM ours)
         SELECT first.id, second.id, first.split IS NOT second.split FROM pairs
         JOIN cases AS first ON first.row = min(ours, other)
         JOIN cases AS second ON second.row = max(ours, other)
         WHERE other IS NOT NULL ORDER BY first.row LIMIT ?2",
    )?;
    let rows = statement.query_map((source, MAX_EXAMPLES as i64), |row| {
        Ok(Pair {
            first: row.get(0)?,
            second: row.get(1)?,
            across_splits: row.get(2)?,
        })
    })?;
    pairs.examples = rows.collect::<rusqlite::Result<_>>()?;
    Ok(())
}

/// Adds the pairs among cases with one image, of which at least one is the source's.
///
/// - `group`: split, whether it is the source's, how many cases
fn count_group(group: &[(Option<String>, bool, u64)], pairs: &mut Pairs) {
    for (i, (split, ours, count)) in group.iter().enumerate() {
        if *ours {
            pairs.count += count * (count - 1) / 2;
        }
        for (other_split, other_ours, other) in &group[i + 1..] {
            if *ours || *other_ours {
                pairs.count += count * other;
                pairs.across_splits += if split == other_split {
                    0
                } else {
                    count * other
                };
            }
        }
    }
}

/// One image file, whoever has it.
struct Picture {
    perceptual: Likeness,
    sha256: [u8; 32],
    /// The first case that has it.
    case: String,
    splits: Vec<Option<String>>,
    ours: bool,
}

/// Images that look the same and are different files.
fn similar(connection: &Connection, source: &str, pairs: &mut Pairs) -> Sql<()> {
    let pictures = pictures(connection, source)?;
    for (a, b) in near_pairs(&pictures) {
        let (a, b) = (&pictures[a], &pictures[b]);
        let pair = Pair {
            first: a.case.clone(),
            second: b.case.clone(),
            across_splits: a.splits.iter().any(|x| b.splits.iter().any(|y| x != y)),
        };
        pairs.add(pair, MAX_EXAMPLES);
    }
    Ok(())
}

fn pictures(connection: &Connection, source: &str) -> Sql<Vec<Picture>> {
    let mut statement = connection.prepare(
        "SELECT sha256, perceptual, cases.id, split, source = (SELECT row FROM sources WHERE name = ?1)
         FROM images JOIN cases ON cases.row = case_row WHERE perceptual IS NOT NULL ORDER BY images.row",
    )?;
    let mut pictures: Vec<Picture> = Vec::new();
    let mut places: HashMap<[u8; 32], usize> = HashMap::new();
    let mut rows = statement.query([source])?;
    while let Some(row) = rows.next()? {
        let sha256: [u8; 32] = row.get(0)?;
        let (split, ours): (Option<String>, bool) = (row.get(3)?, row.get(4)?);
        match places.get(&sha256) {
            Some(&at) => {
                let known = &mut pictures[at];
                known.ours |= ours;
                if !known.splits.contains(&split) {
                    known.splits.push(split);
                }
            }
            None => {
                places.insert(sha256, pictures.len());
                pictures.push(Picture {
                    perceptual: Likeness(row.get(1)?),
                    sha256,
                    case: row.get(2)?,
                    splits: vec![split],
                    ours,
                });
            }
        }
    }
    Ok(pictures)
}

/// Pairs whose hashes differ in few bits, one of them the source's. Hashes that differ in at most
/// [`SAME_BITS`] bits agree in one of their 16-bit words, so only images that share a word are compared.
fn near_pairs(pictures: &[Picture]) -> Vec<(usize, usize)> {
    let mut pairs = HashSet::new();
    for word in 0..WORDS {
        let key = |picture: &Picture| {
            [
                picture.perceptual.0[2 * word],
                picture.perceptual.0[2 * word + 1],
            ]
        };
        let mut buckets: HashMap<[u8; 2], Vec<usize>> = HashMap::new();
        for (i, picture) in pictures.iter().enumerate().filter(|(_, p)| p.ours) {
            buckets.entry(key(picture)).or_default().push(i);
        }
        buckets.retain(|_, bucket| bucket.len() <= MAX_BUCKET);
        for (i, picture) in pictures.iter().enumerate() {
            for &j in buckets.get(&key(picture)).map_or(&[][..], Vec::as_slice) {
                let other = &pictures[j];
                let distance = picture.perceptual.distance(&other.perceptual);
                if distance <= SAME_BITS && picture.sha256 != other.sha256 {
                    pairs.insert((i.min(j), i.max(j)));
                }
            }
        }
    }
    let mut pairs: Vec<(usize, usize)> = pairs.into_iter().collect();
    pairs.sort_unstable();
    pairs
}

/// Cases whose questions lie in more than one split.
fn divided(connection: &Connection, source: &str) -> Sql<u64> {
    let n: i64 = connection.query_row(
        "SELECT count(*) FROM (
             SELECT case_row FROM questions JOIN texts ON texts.row = text_row JOIN cases ON cases.row = case_row
             WHERE source = (SELECT row FROM sources WHERE name = ?1) AND questions.split IS NOT NULL
             GROUP BY case_row HAVING count(DISTINCT questions.split) > 1)",
        [source],
        |row| row.get(0),
    )?;
    Ok(n.max(0) as u64)
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
