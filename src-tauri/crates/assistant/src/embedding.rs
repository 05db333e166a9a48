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
        self.adapter().filter(|adapter| adapter.compares())
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
        let rows = match self.comparing_adapter() {
            Some(adapter) => adapter.with_towers(|towers| Ok(towers.embed_pixels(&batch)?))?,
            None => self.with_clip(|clip| Ok(clip.embed_images(&batch, Mode::Eval)?))?,
        };
        Ok(rows.detach().to_vec2()?)
    }

    /// Embeddings of short texts, `[texts, dim]`, unit length, to be compared with those of pictures.
    pub(crate) fn comparable_texts(&self, texts: &[String]) -> Result<Tensor> {
        match self.comparing_adapter() {
            Some(adapter) => adapter.with_towers(|towers| Ok(towers.embed_texts(texts)?.detach())),
            None => self.embed_texts(texts),
        }
    }

    /// True if the pack embeds texts too.
    pub fn reads_text(&self) -> bool {
        self.tokenizer().is_ok()
    }

    /// Embeddings of reports of any length, `[reports][dim]`, unit length.
    ///
    /// A report is read in [pieces](lucency_zoo::tokenizer::ClipTokenizer::pieces); its embedding is the direction of the mean of theirs. A
    /// text of one piece gets the embedding that [`embed_texts`](Self::embed_texts) gives it, or the adapter in use.
    ///
    /// Errors if the pack reads images only.
    pub fn embed_reports(&self, reports: &[String]) -> Result<Vec<Vec<f32>>> {
        self.in_pieces(reports, |texts| self.comparable_texts(texts))
    }

    /// As [`embed_reports`](Self::embed_reports), by the pack without an adapter.
    pub(crate) fn embed_reports_of_pack(&self, reports: &[String]) -> Result<Vec<Vec<f32>>> {
        self.in_pieces(reports, |texts| self.embed_texts(texts))
    }

    /// The direction of the mean of every report's pieces, by what embeds short texts.
    fn in_pieces(
        &self,
        reports: &[String],
        embed: impl Fn(&[String]) -> Result<Tensor>,
    ) -> Result<Vec<Vec<f32>>> {
        let (tokenizer, context) = (self.tokenizer()?, self.clip_config().text.context);
        let mut pieces = Vec::new();
        let mut counts = Vec::with_capacity(reports.len());
        for report in reports {
            let of_one = tokenizer.pieces(report, context);
            counts.push(of_one.len());
            pieces.extend(of_one);
        }
        let mut embedded = Vec::with_capacity(pieces.len());
        for some in pieces.chunks(TEXTS) {
            let rows = embed(some)?; // [n, dim]
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
}
