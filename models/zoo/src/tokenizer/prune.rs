//! Chooses which merged ids a compact vocabulary keeps.

use super::ClipTokenizer;
use super::bpe::{BYTE_IDS, PLAIN_IDS, parts};

/// Chooses at most `max_ids` ids that spell the texts in few tokens.
///
/// - `texts`: what the model will read, wording variants included
/// - `max_ids`: the size of the vocabulary, start and end and the 512 byte ids included; at least 514
/// - returns the kept merged ids of CLIP's vocabulary, ascending, without bytes and special ids
///
/// An id that is seldom met hands its count to its two parts, from the last merge to the first; the threshold is the lowest
/// one with which the kept ids fit. The same texts give the same ids in whatever order they come.
pub fn select<T: AsRef<str>>(texts: impl IntoIterator<Item = T>, max_ids: usize) -> Vec<u32> {
    let room = max_ids.saturating_sub(BYTE_IDS + 2);
    let tokenizer = ClipTokenizer::clip();
    let mut counts = vec![0u64; PLAIN_IDS];
    for text in texts {
        for id in tokenizer.encode(text.as_ref()) {
            if let Some(count) = counts.get_mut(id as usize) {
                *count += 1;
            }
        }
    }
    // The lowest threshold in low..=high whose choice fits.
    let (mut low, mut high) = (1u64, counts.iter().sum::<u64>() + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        if above(&counts, middle).len() <= room {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    above(&counts, low)
}

fn above(counts: &[u64], threshold: u64) -> Vec<u32> {
    let mut counts = counts.to_vec();
    let mut kept = Vec::new();
    for id in (BYTE_IDS..PLAIN_IDS).rev() {
        let count = counts[id];
        if count >= threshold {
            kept.push(id as u32);
        } else if count > 0
            && let Some((left, right)) = parts(id as u32)
        {
            counts[left as usize] += count;
            counts[right as usize] += count;
        }
    }
    kept.reverse();
    kept
}
