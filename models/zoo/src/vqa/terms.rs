//! A question as weighted terms: word n-grams and pieces of words, so that two wordings of one question are alike.

use std::collections::BTreeMap;

/// Longest word n-gram.
const WORDS: usize = 3;
/// Lengths of the pieces of words, in characters; a word counts with a space on either side.
const PIECES: std::ops::RangeInclusive<usize> = 3..=5;

/// How often each bucket's term occurs in a text: word 1- to 3-grams in `0..buckets`, pieces of words in `buckets..2 · buckets`.
///
/// Source: the hashing trick of Weinberger et al. 2009, with FNV-1a.
pub fn term_counts(text: &str, buckets: usize) -> BTreeMap<u32, u32> {
    let lower = text.to_lowercase();
    let words: Vec<&str> = super::question::words(&lower).collect();
    let mut counts = BTreeMap::new();
    let mut count = |term: &str, first: usize| {
        let bucket = first + (hash(term) % buckets as u64) as usize;
        *counts.entry(bucket as u32).or_insert(0) += 1;
    };
    for n in 1..=WORDS {
        for gram in words.windows(n) {
            count(&gram.join(" "), 0);
        }
    }
    for word in words {
        let padded: Vec<char> = format!(" {word} ").chars().collect();
        for n in PIECES {
            if padded.len() <= n {
                count(&padded.iter().collect::<String>(), buckets);
                break;
            }
            for piece in padded.windows(n) {
                count(&piece.iter().collect::<String>(), buckets);
            }
        }
    }
    counts
}

/// A text's terms as a vector of length 1: half of its square from words, half from pieces of words.
///
/// - `rarity`: the inverse document frequency of every bucket, `2 · buckets` long
/// - returns (bucket, value), sorted by bucket; empty for a text without letters or digits
///
/// Source: Salton and Buckley 1988, logarithmic term frequency with inverse document frequency.
pub fn term_vector(text: &str, rarity: &[f32]) -> Vec<(u32, f32)> {
    let buckets = rarity.len() / 2;
    let mut vector: Vec<(u32, f32)> = term_counts(text, buckets)
        .into_iter()
        .map(|(bucket, n)| (bucket, (1.0 + (n as f32).ln()) * rarity[bucket as usize]))
        .collect();
    let split = vector.partition_point(|(bucket, _)| (*bucket as usize) < buckets);
    let (words, pieces) = vector.split_at_mut(split);
    for half in [words, pieces] {
        let square: f32 = half.iter().map(|(_, v)| v * v).sum();
        let scale = (0.5 / square.max(f32::MIN_POSITIVE)).sqrt();
        half.iter_mut().for_each(|(_, v)| *v *= scale);
    }
    vector
}

/// How rare each bucket's term is among some texts: `ln((1 + n) / (1 + occurrences)) + 1`.
pub fn term_rarity<T: AsRef<str>>(texts: &[T], buckets: usize) -> Vec<f32> {
    let mut occurrences = vec![0u32; 2 * buckets];
    for text in texts {
        for bucket in term_counts(text.as_ref(), buckets).keys() {
            occurrences[*bucket as usize] += 1;
        }
    }
    let n = texts.len() as f32;
    occurrences
        .into_iter()
        .map(|seen| ((1.0 + n) / (1.0 + seen as f32)).ln() + 1.0)
        .collect()
}

fn hash(text: &str) -> u64 {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash ^ (hash >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUCKETS: usize = 1 << 14;

    fn alike(a: &str, b: &str) -> f32 {
        let rarity = vec![1.0; 2 * BUCKETS];
        let b: BTreeMap<u32, f32> = term_vector(b, &rarity).into_iter().collect();
        let a = term_vector(a, &rarity);
        a.iter().map(|(k, v)| v * b.get(k).unwrap_or(&0.0)).sum()
    }

    #[test]
    fn a_text_is_like_itself_and_less_like_others() {
        let asked = "Is there a pneumothorax?";
        assert!((alike(asked, "is there a PNEUMOTHORAX") - 1.0).abs() < 1e-5);
        let near = alike(asked, "Are there pneumothoraces?");
        let far = alike(asked, "What plane is shown?");
        assert!(near > far && near < 0.9, "{near} {far}");
    }

    #[test]
    fn rare_terms_weigh_more_and_an_empty_text_has_none() {
        let rarity = term_rarity(&["is it big", "is it small"], BUCKETS);
        let vector: BTreeMap<u32, f32> = term_vector("is big", &rarity).into_iter().collect();
        let value = |word: &str| vector[&((hash(word) % BUCKETS as u64) as u32)];
        assert!(value("big") > value("is"));
        assert!(term_vector("?!", &rarity).is_empty());
    }
}
