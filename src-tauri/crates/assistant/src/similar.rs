//! The library's cases that look most like one image.

use std::time::Instant;

use jiff::Timestamp;
use lucency_library::Exclude;
use lucency_nn::{Interrupt, Progress};

use crate::assistant::Assistant;
use crate::dto::{SimilarCase, SimilarCases};
use crate::error::{AssistantError, Result};
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
            provenance: self.compared(provenance(self.pack(), picture, begun, now)),
        })
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
            let pixels = some
                .iter()
                .map(|case| self.pixels(&picture::from_encoded(&library.image_bytes(&case.id)?)?))
                .collect::<Result<Vec<_>>>()?;
            rows.extend(self.comparable_images(&pixels)?);
        }
        library.store_embeddings(&self.embedder(), &rows)?;
        Ok(())
    }
}
