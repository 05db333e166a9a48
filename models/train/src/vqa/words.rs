//! First word vectors: a GloVe file, and their tf-idf mixture.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;

use super::dictionary::Dictionary;
use crate::{Result, TrainError};

/// How the weights of the co-occurrence are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TfIdf {
    /// Every pair is divided by the frequency of its second word.
    Right,
    /// As published: the divisions hit the first entries of the list over and over, by word number instead of pair number.
    Published,
}

/// Vectors from a GloVe text file: a word and its numbers a line; words that the file lacks are zero, as published.
///
/// Returns `[words][dim]` and how many words were found.
/// Errors if the file cannot be read, a line has another width than `dim`, or a value is no number.
pub fn glove_vectors(
    path: &Path,
    dictionary: &Dictionary,
    dim: usize,
) -> Result<(Vec<Vec<f32>>, usize)> {
    let file = std::fs::File::open(path).map_err(|e| TrainError::io(path, e))?;
    let mut vectors = vec![vec![0f32; dim]; dictionary.words().len()];
    let mut found = 0;
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(|e| TrainError::io(path, e))?;
        let Some((word, numbers)) = line.split_once(' ') else {
            continue;
        };
        let Some(index) = dictionary.number(word) else {
            continue;
        };
        let values: Option<Vec<f32>> = numbers.split_whitespace().map(|v| v.parse().ok()).collect();
        let values = values.filter(|v| v.len() == dim).ok_or_else(|| {
            TrainError::Data(format!(
                "{}, line {}: {dim} numbers are wanted after the word",
                path.display(),
                number + 1
            ))
        })?;
        vectors[index as usize] = values;
        found += 1;
    }
    Ok((vectors, found))
}

/// Mixes every word's vector from those of the words it occurs with: rows of the tf-idf co-occurrence, which sum to one.
///
/// - `vectors`: `[words][dim]`
/// - returns `[words][dim]`; a word that never occurs with another is zero
///
/// Source: `tfidf_from_questions` of aioz-ai/MICCAI19-MedVQA.
pub fn tfidf_vectors<'a>(
    questions: impl IntoIterator<Item = &'a str>,
    dictionary: &Dictionary,
    vectors: &[Vec<f32>],
    how: TfIdf,
) -> Vec<Vec<f32>> {
    let mut pairs: Vec<(u32, u32)> = Vec::new();
    let mut frequency: HashMap<u32, u64> = HashMap::new();
    for question in questions {
        let tokens = dictionary.encode(question);
        for token in &tokens {
            *frequency.entry(*token).or_default() += 1;
        }
        for (i, a) in tokens.iter().enumerate() {
            for b in &tokens[i + 1..] {
                pairs.push((*a, *b));
                pairs.push((*b, *a));
            }
        }
    }
    let mut values = vec![1f64; pairs.len()];
    for (k, (_, column)) in pairs.iter().enumerate() {
        let at = match how {
            TfIdf::Right => k,
            TfIdf::Published => *column as usize,
        };
        if let Some(value) = values.get_mut(at) {
            *value /= frequency.get(column).copied().unwrap_or(1) as f64;
        }
    }
    // A pair may occur several times; its weights add up, as in a coalesced sparse matrix.
    let mut rows: Vec<HashMap<u32, f64>> = vec![HashMap::new(); vectors.len()];
    for ((row, column), value) in pairs.iter().zip(&values) {
        if let Some(row) = rows.get_mut(*row as usize) {
            *row.entry(*column).or_default() += value;
        }
    }
    let dim = vectors.first().map_or(0, Vec::len);
    rows.into_iter()
        .map(|row| {
            let mut row: Vec<(u32, f64)> = row.into_iter().collect();
            row.sort_unstable_by_key(|(column, _)| *column);
            let sum: f64 = row.iter().map(|(_, v)| v).sum();
            let mut mixed = vec![0f64; dim];
            if sum > 0.0 {
                for (column, value) in row {
                    for (m, v) in mixed.iter_mut().zip(&vectors[column as usize]) {
                        *m += value / sum * f64::from(*v);
                    }
                }
            }
            mixed.into_iter().map(|v| v as f32).collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::dictionary::Unknown;
    use super::*;

    #[test]
    fn a_mixture_weighs_neighbours_by_how_rare_they_are() {
        let questions = ["is mass", "is cyst", "is mass"];
        let d = Dictionary::of(questions, Unknown::LastWord); // is, mass, cyst
        let vectors = vec![
            vec![1.0, 0.0, 0.0],
            vec![0.0, 1.0, 0.0],
            vec![0.0, 0.0, 1.0],
        ];
        let mixed = tfidf_vectors(questions, &d, &vectors, TfIdf::Right);
        // "is" meets mass twice at weight 1/2 each and cyst once at weight 1.
        assert_eq!(mixed[0], [0.0, 0.5, 0.5]);
        assert_eq!(mixed[1], [1.0, 0.0, 0.0]);
        // As published, the pairs are (is,mass) (mass,is) (is,cyst) (cyst,is) (is,mass) (mass,is); only the first three values
        // are ever divided: 1/4 for mass, 1/27 for is, 1/1 for cyst, each at its word number.
        let odd = tfidf_vectors(questions, &d, &vectors, TfIdf::Published);
        // values: [1/27, 1/4, 1, 1, 1, 1]; row "is": mass 1/27 + 1, cyst 1.
        let mass = (1.0 / 27.0 + 1.0) / (1.0 / 27.0 + 2.0);
        assert!((odd[0][1] - mass as f32).abs() < 1e-6, "{:?}", odd[0]);
    }

    #[test]
    fn glove_lines_are_found_by_word_and_bad_ones_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("glove.txt");
        std::fs::write(&path, "mass 1 2\nother 3 4\n").unwrap();
        let d = Dictionary::of(["is mass"], Unknown::LastWord);
        let (vectors, found) = glove_vectors(&path, &d, 2).unwrap();
        assert_eq!((vectors, found), (vec![vec![0.0, 0.0], vec![1.0, 2.0]], 1));
        std::fs::write(&path, "mass 1 x\n").unwrap();
        let error = glove_vectors(&path, &d, 2).unwrap_err().to_string();
        assert!(error.contains("line 1"), "{error}");
    }
}
