//! The library's cases that look most like one image.

use std::time::Instant;

use jiff::Timestamp;
use lucency_library::Exclude;
use lucency_nn::{Interrupt, Progress};

use crate::assistant::Assistant;
use crate::dto::{Provenance, SimilarCase, SimilarCases};
use crate::error::{AssistantError, Result};
use crate::finetune::ActiveAdapter;
use crate::picture::{self, Picture};
use crate::provenance::provenance;

/// Images that go through the image tower at a time.
const BATCH: usize = 16;

impl Assistant {
    /// Finds the `k` nearest cases by cosine of the image embeddings; the same image is not its own neighbour.
    ///
    /// The first call with a new pack embeds the whole library and keeps the result; `report` is told.
    ///
    /// Errors if there is no library, or with [`AssistantError::Stopped`] when `stop` is pressed while embedding.
    pub fn similar(
        &self,
        picture: &Picture,
        k: usize,
        now: Timestamp,
        stop: &Interrupt,
        report: &mut dyn FnMut(Progress),
    ) -> Result<SimilarCases> {
        let begun = Instant::now();
        let library = self.library()?;
        self.embed_library(stop, report)?;
        let query = self.comparable(picture)?; // [dim]
        let exclude = Exclude {
            pixel_hash: Some(picture.pixel_hash.clone()),
            ..Exclude::default()
        };
        let hits = library.nearest(&self.embedder(), &query, k, &exclude)?;
        let cases = hits
            .into_iter()
            .map(|hit| SimilarCase {
                case_id: hit.case.id.clone(),
                score: f64::from(hit.score),
                labels: hit.case.labels.clone(),
                report: hit.case.report_text(),
                modality: hit.case.modality.clone(),
                synthetic: hit.case.synthetic,
            })
            .collect();
        Ok(SimilarCases {
            cases,
            library: library.name().to_owned(),
            library_size: library.len(),
            provenance: Provenance {
                adapter: self.comparing_adapter().map(|a| a.name().to_owned()),
                ..provenance(self.pack(), picture, begun, now)
            },
        })
    }

    /// The adapter whose embeddings are compared; none if the pack's own are.
    fn comparing_adapter(&self) -> Option<&ActiveAdapter> {
        self.adapter().filter(|adapter| !adapter.knows_classes())
    }

    /// What tells these embeddings from others.
    fn embedder(&self) -> String {
        self.comparing_adapter()
            .map_or(self.pack().hash(), ActiveAdapter::id)
            .to_owned()
    }

    /// The embedding by which cases are compared, `[dim]`, unit length.
    fn comparable(&self, picture: &Picture) -> Result<Vec<f32>> {
        let adapted = match self.comparing_adapter() {
            Some(adapter) => adapter.embedding(picture)?,
            None => None,
        };
        match adapted {
            Some(embedding) => Ok(embedding),
            None => Ok(self.image_embedding(picture)?.to_vec1()?),
        }
    }

    /// [`comparable`](Self::comparable) of many pictures, in one pass where the pack's own embeddings are compared.
    fn comparable_batch(&self, pictures: &[Picture]) -> Result<Vec<Vec<f32>>> {
        if self.comparing_adapter().is_some() {
            return pictures.iter().map(|p| self.comparable(p)).collect();
        }
        let pixels: Vec<_> = pictures
            .iter()
            .map(|picture| self.pixels(picture))
            .collect::<Result<_>>()?;
        self.embed_pixels(&pixels)
    }

    /// Embeds every case of the library with the current pack, unless that was done before.
    fn embed_library(&self, stop: &Interrupt, report: &mut dyn FnMut(Progress)) -> Result<()> {
        let library = self.library()?;
        if library.has_embeddings(&self.embedder())? {
            return Ok(());
        }
        let total = library.len() as u64;
        let mut rows = Vec::with_capacity(library.len());
        for some in library.cases().chunks(BATCH) {
            if stop.is_stopped() {
                return Err(AssistantError::Stopped);
            }
            let done = rows.len() as u64;
            report(Progress::new("embedding the library", done, total));
            let pictures = some
                .iter()
                .map(|case| picture::from_encoded(&library.image_bytes(&case.id)?))
                .collect::<Result<Vec<_>>>()?;
            rows.extend(self.comparable_batch(&pictures)?);
        }
        library.store_embeddings(&self.embedder(), &rows)?;
        Ok(())
    }
}
