//! The texts of one step, each encoded once.

use std::collections::HashMap;

use candle_core::{Device, Tensor};
use lucency_zoo::clip::Clip;
use lucency_zoo::tokenizer::ClipTokenizer;

use crate::Result;

/// Distinct texts in the order of their first mention.
#[derive(Default)]
pub struct TextBatch {
    texts: Vec<String>,
    places: HashMap<String, usize>,
}

impl TextBatch {
    /// The place of `text`, new or known.
    pub fn place(&mut self, text: &str) -> u32 {
        if let Some(place) = self.places.get(text) {
            return *place as u32;
        }
        self.places.insert(text.to_string(), self.texts.len());
        self.texts.push(text.to_string());
        (self.texts.len() - 1) as u32
    }

    /// Distinct texts so far.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// True before the first text.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// Embeds all texts, not normalised.
    ///
    /// - `longest`: tokens at most, start and end included; longer texts are cut
    /// - returns `[len, d]`
    ///
    /// Short and long texts go through the tower apart: what follows a text's end cannot reach it through a causal mask, so
    /// trailing padding is only cost.
    pub fn embed(&self, clip: &Clip, tokenizer: &ClipTokenizer, longest: usize) -> Result<Tensor> {
        let mut rows: Vec<(usize, Vec<u32>)> = self
            .texts
            .iter()
            .enumerate()
            .map(|(i, text)| {
                let mut ids = tokenizer.tokenize(text, longest);
                let end = ids.iter().position(|id| *id == tokenizer.end());
                ids.truncate(end.map_or(longest, |e| e + 1));
                (i, ids)
            })
            .collect();
        rows.sort_by_key(|(i, ids)| (ids.len(), *i));
        let cut = cheapest_cut(&rows.iter().map(|(_, ids)| ids.len()).collect::<Vec<_>>());
        let mut embedded = Vec::new();
        for group in [&rows[..cut], &rows[cut..]] {
            let Some((_, last)) = group.last() else {
                continue;
            };
            let width = last.len();
            let mut flat = Vec::with_capacity(group.len() * width);
            for (_, ids) in group {
                flat.extend(ids);
                flat.extend(std::iter::repeat_n(0, width - ids.len()));
            }
            let ids = Tensor::from_vec(flat, (group.len(), width), &Device::Cpu)?;
            embedded.push(clip.encode_text(&ids)?); // [group, d]
        }
        let sorted = Tensor::cat(&embedded, 0)?; // [len, d]
        let mut back = vec![0u32; rows.len()];
        for (place, (original, _)) in rows.iter().enumerate() {
            back[*original] = place as u32;
        }
        let back = Tensor::from_vec(back, rows.len(), &Device::Cpu)?;
        Ok(sorted.index_select(&back, 0)?)
    }
}

/// Where to part ascending lengths in two so that padding both parts to their longest costs least.
fn cheapest_cut(lengths: &[usize]) -> usize {
    let n = lengths.len();
    (1..=n)
        .min_by_key(|cut| {
            let long = if *cut < n {
                (n - cut) * lengths[n - 1]
            } else {
                0
            };
            (cut * lengths[cut - 1] + long, n - cut) // one part if a second saves nothing
        })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_parted_where_padding_costs_least() {
        assert_eq!(cheapest_cut(&[5, 5, 6, 40]), 3);
        assert_eq!(cheapest_cut(&[7, 7, 7]), 3);
    }
}
