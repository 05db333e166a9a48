//! Embedding what of the library has no embedding yet.

use std::path::Path;
use std::time::{Instant, UNIX_EPOCH};

use candle_core::Tensor;
use lucency_library::{
    EmbeddingKind, LibraryError, NewEmbedding, Space, SqliteStore, Storage as _, Unembedded,
    UnembeddedImage, Unreadable, file_digest, unhex,
};
use lucency_nn::{Interrupt, Progress};
use rayon::prelude::*;
use serde_json::json;

use super::CaseLibrary;
use super::images::picture_of_file;
use super::search::space;
use crate::assistant::Assistant;
use crate::dto::EmbedOutcome;
use crate::error::{AssistantError, Result};
use crate::ledger;

/// Images that are decoded, go through the image tower and are written at a time.
const IMAGES: usize = 16;
/// Reports that are embedded and written at a time.
const REPORTS: usize = 32;

impl CaseLibrary {
    /// Embeds every image and report that the pack in use has not embedded yet. Without a library nothing is done.
    ///
    /// What was embedded is written batch by batch: stopped or killed, the job goes on where it was. An image goes in as
    /// [`Assistant::image_embedding`] takes it, of several frames the middle one; a report as
    /// [`Assistant::embed_reports`] reads it.
    ///
    /// An image that cannot be decoded is noted and not tried again until its file changes. One whose file is gone, or
    /// is not the one that was imported, is tried again by the next call.
    ///
    /// Errors if the library cannot be written; what was written until then is kept.
    pub fn embed(
        &self,
        assistant: &Assistant,
        stop: &Interrupt,
        report: &mut dyn FnMut(Progress),
    ) -> Result<EmbedOutcome> {
        let (begun, started) = (Instant::now(), ledger::now());
        let mut outcome = EmbedOutcome {
            images: 0,
            reports: 0,
            unreadable: 0,
            elapsed_s: 0.0,
        };
        if self.store()?.is_some() {
            let store = self.own_store()?;
            let job = Job {
                store: &store,
                assistant,
                stop,
            };
            job.images(&mut outcome, report)?;
            if assistant.reads_text() {
                job.reports(&mut outcome, report)?;
            }
            let seen = [outcome.images, outcome.reports, outcome.unreadable];
            if seen != [0; 3] {
                let by = (assistant.pack().hash(), assistant.comparing_name());
                let done = json!({
                    "images": seen[0], "reports": seen[1], "unreadable": seen[2], "stopped": stop.is_stopped(),
                });
                ledger::embedded(&store, by, started, done)?;
            }
            for kind in [EmbeddingKind::Image, EmbeddingKind::Report] {
                if !stop.is_stopped() {
                    let space = space(assistant, kind);
                    self.indexes.settle(&store, &space, stop, report)?;
                }
            }
        }
        outcome.elapsed_s = begun.elapsed().as_secs_f64();
        Ok(outcome)
    }
}

struct Job<'a> {
    store: &'a SqliteStore,
    assistant: &'a Assistant,
    stop: &'a Interrupt,
}

/// Why an image has no embedding.
enum Fault {
    /// It cannot be decoded, and trying again would not help.
    Damaged(&'static str),
    /// Its file is gone, cannot be opened, or is another one now.
    Away,
}

/// An image that was decoded: its pixels as the tower takes them, and their hash.
type Decoded = (Tensor, Option<[u8; 32]>);

impl Job<'_> {
    fn images(&self, outcome: &mut EmbedOutcome, report: &mut dyn FnMut(Progress)) -> Result<()> {
        let space = space(self.assistant, EmbeddingKind::Image);
        let total = self.store.coverage(&space)?.missing;
        let mut after = 0;
        while !self.stop.is_stopped() {
            let done = outcome.images + outcome.unreadable;
            report(Progress::new("embedding images", done, total.max(done)));
            let some = self.store.unembedded(&space, after, IMAGES)?;
            let Some(last) = some.last() else { break };
            after = last.row;
            let decoded = some
                .par_iter()
                .map(|one| self.decode(one))
                .collect::<Result<Vec<_>>>()?;
            self.write_images(&space, &some, decoded, outcome)?;
        }
        Ok(())
    }

    fn decode(&self, one: &Unembedded) -> Result<std::result::Result<Decoded, Fault>> {
        let Some(image) = &one.image else {
            return Ok(Err(Fault::Away));
        };
        let path = Path::new(&image.root).join(&image.path);
        if !is_unchanged(&path, image) {
            return Ok(Err(Fault::Away));
        }
        match picture_of_file(&path) {
            Ok(picture) => {
                let pixels = self.assistant.pixels(&picture)?;
                Ok(Ok((pixels, unhex(&picture.pixel_hash))))
            }
            Err(AssistantError::Study(error)) => Ok(Err(Fault::Damaged(error.code()))),
            Err(other) => Err(other),
        }
    }

    fn write_images(
        &self,
        space: &Space,
        some: &[Unembedded],
        decoded: Vec<std::result::Result<Decoded, Fault>>,
        outcome: &mut EmbedOutcome,
    ) -> Result<()> {
        let (mut owners, mut pixels, mut hashes) = (Vec::new(), Vec::new(), Vec::new());
        let mut unreadable = Vec::new();
        for (one, decoded) in some.iter().zip(decoded) {
            let path = one.image.as_ref().map(|image| image.path.clone());
            match decoded {
                Ok((tensor, hash)) => {
                    owners.push((one.case_id.clone(), path));
                    pixels.push(tensor);
                    hashes.push(hash);
                }
                Err(fault) => {
                    outcome.unreadable += 1;
                    if let (Fault::Damaged(code), Some(path)) = (fault, path) {
                        unreadable.push(Unreadable {
                            case_id: one.case_id.clone(),
                            path,
                            code: code.to_owned(),
                        });
                    }
                }
            }
        }
        let vectors = self.assistant.comparable_images(&pixels)?;
        let new = owners.into_iter().zip(hashes).zip(vectors);
        let new = new.map(|(((case_id, image), pixels), vector)| NewEmbedding {
            case_id,
            image,
            pixels,
            vector: halved(&vector),
        });
        outcome.images += self.put(space, new.collect())?;
        let dim = self.assistant.clip_config().embed_dim;
        self.store.put_unreadable(space, dim, &unreadable)?;
        Ok(())
    }

    fn reports(&self, outcome: &mut EmbedOutcome, report: &mut dyn FnMut(Progress)) -> Result<()> {
        let space = space(self.assistant, EmbeddingKind::Report);
        let total = self.store.coverage(&space)?.missing;
        let mut after = 0;
        while !self.stop.is_stopped() {
            let done = outcome.reports;
            report(Progress::new("embedding reports", done, total.max(done)));
            let some = self.store.unembedded(&space, after, REPORTS)?;
            let Some(last) = some.last() else { break };
            after = last.row;
            let texts: Vec<String> = some
                .iter()
                .map(|one| one.text.clone().unwrap_or_default())
                .collect();
            let vectors = self.assistant.embed_reports(&texts)?;
            let new = some.into_iter().zip(vectors);
            let new = new.map(|(one, vector)| NewEmbedding {
                case_id: one.case_id,
                image: None,
                pixels: None,
                vector: halved(&vector),
            });
            outcome.reports += self.put(&space, new.collect())?;
        }
        Ok(())
    }

    /// Stores embeddings and returns how many; those of cases that were deleted meanwhile are passed over.
    fn put(&self, space: &Space, mut embeddings: Vec<NewEmbedding>) -> Result<u64> {
        loop {
            match self.store.put_embeddings(space, &embeddings) {
                Ok(()) => return Ok(embeddings.len() as u64),
                Err(LibraryError::NoCase { id }) => {
                    embeddings.retain(|embedding| embedding.case_id != id);
                }
                Err(other) => return Err(other.into()),
            }
        }
    }
}

fn halved(vector: &[f32]) -> Vec<half::f16> {
    vector.iter().map(|x| half::f16::from_f32(*x)).collect()
}

/// True if a file is the one that was imported: by its length and time, or else by its content.
fn is_unchanged(path: &Path, image: &UnembeddedImage) -> bool {
    let Ok(metadata) = std::fs::metadata(path) else {
        return false;
    };
    let time = metadata.modified().ok();
    let time = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let time = time.map_or(0, |t| i64::try_from(t.as_nanos()).unwrap_or(0));
    if metadata.len() != image.bytes {
        return false;
    }
    time == image.modified_ns || file_digest(path).is_ok_and(|(hash, _)| hash == image.sha256)
}
