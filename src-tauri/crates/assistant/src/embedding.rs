//! Embeddings of many pictures and of long texts, the same for every use case.

use candle_core::{Device, Tensor};
use lucency_nn::{Mode, ops};

use crate::assistant::Assistant;
use crate::dto::Provenance;
use crate::error::Result;
use crate::finetune::ActiveAdapter;
use crate::picture::Picture;

/// Pieces of text that go through the text tower at a time.
const TEXTS: usize = 32;

impl Assistant {
    /// A picture as the image tower takes it, `[1, 3, side, side]`.
    pub(crate) fn pixels(&self, picture: &Picture) -> Result<Tensor> {
        let preprocess = &self.pack().manifest().preprocessing;
        Ok(preprocess.batch(&[&picture.image], &Device::Cpu)?)
    }

    /// The adapter whose embeddings are compared; none if the pack's own are.
    fn comparing_adapter(&self) -> Option<&ActiveAdapter> {
        self.adapter().filter(|adapter| adapter.towers().is_some())
    }

    /// What tells the embeddings that are compared from others: the hash of the pack, or the identity of an adapter.
    pub(crate) fn embedder(&self) -> String {
        self.comparing_adapter()
            .map_or_else(|| self.pack().weights_id(), |a| a.id().to_owned())
    }

    /// The name of the adapter whose embeddings are compared, if it is not the pack's own.
    pub(crate) fn comparing_name(&self) -> Option<&str> {
        self.comparing_adapter().map(ActiveAdapter::name)
    }

    /// The origin of a comparison: the adapter takes part in it if it has embeddings of its own.
    pub(crate) fn compared(&self, by: Provenance) -> Provenance {
        Provenance {
            adapter: self.comparing_name().map(str::to_owned),
            ..by
        }
    }

    /// The embedding by which a picture is compared with others, `[dim]`, unit length; the pack's own is remembered.
    pub(crate) fn comparable(&self, picture: &Picture) -> Result<Vec<f32>> {
        if self.comparing_adapter().is_none() {
            return Ok(self.image_embedding(picture)?.to_vec1()?);
        }
        let rows = self.comparable_images(&[self.pixels(picture)?])?;
        Ok(rows.into_iter().next().unwrap_or_default())
    }

    /// Embeddings of prepared pictures in one pass, `[pictures][dim]`, unit length: what
    /// [`comparable`](Self::comparable) gives each alone, and nothing is remembered.
    ///
    /// - `pixels`: each as [`pixels`](Self::pixels) makes it
    pub(crate) fn comparable_images(&self, pixels: &[Tensor]) -> Result<Vec<Vec<f32>>> {
        if pixels.is_empty() {
            return Ok(Vec::new());
        }
        let batch = Tensor::cat(pixels, 0)?; // [n, 3, side, side]
        let rows = match self.comparing_adapter().and_then(ActiveAdapter::towers) {
            Some(towers) => towers.embed_pixels(&batch)?,
            None => self.clip().embed_images(&batch, Mode::Eval)?,
        };
        Ok(rows.detach().to_vec2()?)
    }

    /// Embeddings of short texts, `[texts, dim]`, unit length, to be compared with those of pictures.
    pub(crate) fn comparable_texts(&self, texts: &[String]) -> Result<Tensor> {
        match self.comparing_adapter().and_then(ActiveAdapter::towers) {
            Some(towers) => Ok(towers.embed_texts(texts)?.detach()),
            None => self.embed_texts(texts),
        }
    }

    /// True if the pack embeds texts too.
    pub fn reads_text(&self) -> bool {
        self.tokenizer().is_ok()
    }

    /// Embeddings of reports of any length, `[reports][dim]`, unit length.
    ///
    /// A text tower reads a few dozen words and would cut a report at its end, where its impression stands. A report is
    /// read in pieces instead: whole sentences as long as they fit together, a longer sentence at its words; the embedding
    /// is the direction of the mean of the pieces' unit-length embeddings. A text of one piece gets the embedding that
    /// [`embed_texts`](Self::embed_texts) gives it, or the adapter in use.
    ///
    /// Errors if the pack reads images only.
    pub fn embed_reports(&self, reports: &[String]) -> Result<Vec<Vec<f32>>> {
        let mut pieces = Vec::new();
        let mut counts = Vec::with_capacity(reports.len());
        for report in reports {
            let of_one = self.pieces(report)?;
            counts.push(of_one.len());
            pieces.extend(of_one);
        }
        let mut embedded = Vec::with_capacity(pieces.len());
        for some in pieces.chunks(TEXTS) {
            let rows = self.comparable_texts(some)?; // [n, dim]
            embedded.extend((0..some.len()).map(|i| rows.narrow(0, i, 1)));
        }
        let mut rows = embedded.into_iter();
        let mean = |count: usize| {
            let own = rows
                .by_ref()
                .take(count)
                .collect::<candle_core::Result<Vec<_>>>()?;
            let mean = Tensor::cat(&own, 0)?.mean_keepdim(0)?; // [1, dim]
            Ok(ops::l2_normalise(&mean)?.squeeze(0)?.to_vec1()?)
        };
        counts.into_iter().map(mean).collect()
    }

    /// A text in pieces that the text tower reads whole; at least one.
    fn pieces(&self, text: &str) -> Result<Vec<String>> {
        let tokenizer = self.tokenizer()?;
        // Start and end take two places.
        let most = self.clip().config().text.context.saturating_sub(2).max(1);
        Ok(cut(text, most, &|text| tokenizer.encode(text).len()))
    }
}

/// Cuts a text into pieces of at most `most` units: whole sentences as long as they fit together, a longer one at its
/// words. A single word that is longer stays whole.
fn cut(text: &str, most: usize, length: &dyn Fn(&str) -> usize) -> Vec<String> {
    let mut pieces: Vec<(String, usize)> = Vec::new();
    let mut add = |part: &str| {
        let units = length(part);
        match pieces.last_mut() {
            Some((piece, have)) if *have + units <= most => {
                piece.push(' ');
                piece.push_str(part);
                *have += units;
            }
            _ => pieces.push((part.to_owned(), units)),
        }
    };
    for sentence in sentences(text) {
        match length(&sentence) <= most {
            true => add(&sentence),
            false => sentence.split(' ').for_each(&mut add),
        }
    }
    match pieces.is_empty() {
        true => vec![String::new()],
        false => pieces.into_iter().map(|(piece, _)| piece).collect(),
    }
}

/// Sentences with single spaces: they end with a line, or with a full stop before a blank.
fn sentences(text: &str) -> Vec<String> {
    let mut sentences = Vec::new();
    for line in text.lines() {
        let mut sentence = String::new();
        for word in line.split_whitespace() {
            if !sentence.is_empty() {
                sentence.push(' ');
            }
            sentence.push_str(word);
            if word.ends_with(['.', '!', '?', '。']) {
                sentences.push(std::mem::take(&mut sentence));
            }
        }
        if !sentence.is_empty() {
            sentences.push(sentence);
        }
    }
    sentences
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut_at(text: &str, most: usize) -> Vec<String> {
        cut(text, most, &|text| text.split_whitespace().count())
    }

    #[test]
    fn sentences_stay_whole_while_they_fit_and_no_word_is_lost() {
        let report = "Heart size normal.  No effusion.\nIMPRESSION: right lower lobe opacity is seen again today.";
        let pieces = cut_at(report, 5);
        assert_eq!(
            pieces,
            [
                "Heart size normal. No effusion.",
                "IMPRESSION: right lower lobe opacity",
                "is seen again today."
            ]
        );
        let words = |text: &str| text.split_whitespace().count();
        assert_eq!(
            pieces.iter().map(|p| words(p)).sum::<usize>(),
            words(report)
        );
    }

    #[test]
    fn a_short_text_is_one_piece_as_it_is() {
        assert_eq!(cut_at("pleural effusion", 5), ["pleural effusion"]);
        assert_eq!(cut_at(" \n ", 5), [""]);
    }
}
