//! Searching the case library with words, with meaning, with an image, or with all of them.

use std::collections::HashSet;
use std::path::Path;
use std::sync::PoisonError;
use std::time::Instant;

use jiff::Timestamp;
use lucency_library::import::SITE;
use lucency_library::search::Piece;
use lucency_library::vectors::Effort;
use lucency_library::vectors::fusion::{Explained, Place, Ranked, SamePatient, fuse};
use lucency_library::{
    CaseRecord, EmbeddingKind, Filter, LibraryError, Page, Space, SqliteStore, Storage as _,
    file_digest, unhex,
};
use lucency_nn::{Interrupt, Progress};

use super::query::CaseQuery;
use super::ranking::{Found, Searching};
use super::{CaseLibrary, Covered, describe, import};
use crate::assistant::Assistant;
use crate::dto::{ExcerptPiece, LibraryHit, LibraryHits, LibraryStatus, RankDto, SearchBy};
use crate::error::Result;
use crate::picture::Picture;
use crate::provenance::{provenance, text_provenance};

/// The image on the screen, and whose it is.
#[derive(Clone, Copy)]
pub struct Seen<'a> {
    /// The frame as the pack sees it.
    pub picture: &'a Picture,
    /// Its file, so that the library's copy of it is no hit.
    pub file: Option<&'a Path>,
    /// The department's identifier of the patient, DICOM's Patient ID (0010,0020), if it is known.
    pub patient: Option<&'a str>,
}

/// Image, report, words.
type Rankings = [Vec<Ranked>; 3];

/// Cases that are not independent of what is asked about.
#[derive(Default)]
struct Own {
    /// Those with the image itself.
    image: HashSet<String>,
    /// Those of the patient.
    patient: HashSet<String>,
}

impl CaseLibrary {
    /// How much there is, and how much of it a pack has embedded. Without a library everything is 0.
    ///
    /// Errors if there is a library that cannot be opened or read.
    pub fn status(&self, assistant: Option<&Assistant>) -> Result<LibraryStatus> {
        let Some(store) = self.store()? else {
            return Ok(LibraryStatus::default());
        };
        let mut status = describe::status(store.stats()?);
        if let Some(assistant) = assistant {
            let covered = self.covered(&store, assistant)?;
            status.embedded_images = covered.images.embedded;
            status.embedded_reports = covered.reports.embedded;
            status.to_embed = covered.images.missing;
            if assistant.reads_text() {
                status.to_embed += covered.reports.missing;
            }
        }
        Ok(status)
    }

    /// Finds cases by words in their texts, by the meaning of the words among images and reports, or by both.
    ///
    /// - `assistant`: needed unless `query.by` is [`SearchBy::Words`]
    ///
    /// Errors if there is no library or nothing to look for, or with [`AssistantError::Stopped`](crate::AssistantError::Stopped).
    pub fn search(
        &self,
        assistant: Option<&Assistant>,
        query: &CaseQuery,
        now: Timestamp,
        stop: &Interrupt,
        report: &mut dyn FnMut(Progress),
    ) -> Result<LibraryHits> {
        let begun = Instant::now();
        let store = self.existing()?;
        if query.text.trim().is_empty() {
            return Err(LibraryError::Request(
                "there is nothing to look for; write words of a report, such as: pleural effusion"
                    .into(),
            )
            .into());
        }
        let searching = self.searching(&store, query, &|_| false, 0, stop);
        let mut found = Found::default();
        let rankings = by_text(&searching, assistant, true, &mut found, report)?;
        let embeds = assistant.filter(|_| query.by != SearchBy::Words);
        if let Some(assistant) = embeds {
            note_coverage(&self.covered(&store, assistant)?, assistant, &mut found);
        }
        let hits = hits(&store, query, &rankings, &found, &Own::default())?;
        Ok(LibraryHits {
            hits,
            cases: store.count(&query.filter)?,
            notes: found.notes,
            provenance: embeds
                .map(|assistant| assistant.compared(text_provenance(assistant.pack(), begun, now))),
            elapsed_ms: begun.elapsed().as_secs_f64() * 1000.0,
        })
    }

    /// Finds the cases that look most like an image, and if words are given, have them too.
    ///
    /// The library's copy of the image is no hit, nor is any other image of its case. Cases of the same patient are left
    /// out, or marked if they are wanted.
    ///
    /// Errors if there is no library, or with [`AssistantError::Stopped`](crate::AssistantError::Stopped).
    pub fn similar(
        &self,
        assistant: &Assistant,
        seen: Seen<'_>,
        query: &CaseQuery,
        now: Timestamp,
        stop: &Interrupt,
        report: &mut dyn FnMut(Progress),
    ) -> Result<LibraryHits> {
        let begun = Instant::now();
        let store = self.existing()?;
        let own = own(&store, seen)?;
        let left_out =
            |id: &str| own.image.contains(id) || (!query.same_patient && own.patient.contains(id));
        let count = own.image.len() + own.patient.len();
        let searching = self.searching(&store, query, &left_out, count, stop);
        let mut found = Found::default();
        let vector = assistant.comparable(seen.picture)?; // [dim]
        let space = space(assistant, EmbeddingKind::Image);
        let images = searching.vectors(&space, &vector, Effort::Automatic, &mut found, report)?;
        let mut rankings = match query.text.trim().is_empty() {
            true => Rankings::default(),
            false => by_text(&searching, Some(assistant), false, &mut found, report)?,
        };
        rankings[0] = images;
        note_coverage(&self.covered(&store, assistant)?, assistant, &mut found);
        Ok(LibraryHits {
            hits: hits(&store, query, &rankings, &found, &own)?,
            cases: store.count(&query.filter)?,
            notes: found.notes,
            provenance: Some(assistant.compared(provenance(
                assistant.pack(),
                seen.picture,
                begun,
                now,
            ))),
            elapsed_ms: begun.elapsed().as_secs_f64() * 1000.0,
        })
    }

    /// What a pack has embedded; counted again only if the library changed.
    fn covered(&self, store: &SqliteStore, assistant: &Assistant) -> Result<Covered> {
        let (generation, pack) = (store.generation()?, assistant.embedder());
        let mut last = self.covered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*last
            && (known.generation, &known.pack) == (generation, &pack)
        {
            return Ok(known.clone());
        }
        let covered = Covered {
            generation,
            pack,
            images: store.coverage(&space(assistant, EmbeddingKind::Image))?,
            reports: store.coverage(&space(assistant, EmbeddingKind::Report))?,
        };
        *last = Some(covered.clone());
        Ok(covered)
    }

    fn searching<'a>(
        &'a self,
        store: &'a SqliteStore,
        query: &'a CaseQuery,
        never: &'a dyn Fn(&str) -> bool,
        never_count: usize,
        stop: &'a Interrupt,
    ) -> Searching<'a> {
        Searching {
            store,
            indexes: &self.indexes,
            query,
            never,
            never_count,
            stop,
        }
    }
}

/// The space of the embeddings of one kind that are compared: the pack's, or those of an adapter on it.
pub(crate) fn space(assistant: &Assistant, kind: EmbeddingKind) -> Space {
    Space {
        pack: assistant.embedder(),
        kind,
    }
}

/// The rankings that the query's words give.
///
/// - `images`: false where an image of the query's own says which images are near
fn by_text(
    searching: &Searching<'_>,
    assistant: Option<&Assistant>,
    images: bool,
    found: &mut Found,
    report: &mut dyn FnMut(Progress),
) -> Result<Rankings> {
    let query = searching.query;
    let mut rankings = Rankings::default();
    if query.by != SearchBy::Meaning {
        rankings[2] = searching.words(found)?;
    }
    if query.by == SearchBy::Words {
        return Ok(rankings);
    }
    let assistant = assistant.ok_or_else(|| {
        LibraryError::Request("searching by meaning needs a model pack; search by words".into())
    })?;
    if query.by == SearchBy::Both && !assistant.reads_text() {
        found
            .notes
            .push("This pack reads images only: the words were searched as they stand.".into());
        return Ok(rankings);
    }
    let embedded = assistant.embed_reports(std::slice::from_ref(&query.text))?;
    let vector = embedded.into_iter().next().unwrap_or_default(); // [dim]
    // How many lists an approximate search reads was measured among vectors of one kind: a text among images, or a few
    // words among whole reports, are not of it.
    let mut nearest = |kind, found: &mut Found| {
        let space = space(assistant, kind);
        searching.vectors(&space, &vector, Effort::Exact, found, report)
    };
    if images {
        rankings[0] = nearest(EmbeddingKind::Image, found)?;
    }
    rankings[1] = nearest(EmbeddingKind::Report, found)?;
    Ok(rankings)
}

/// Tells what searches by vectors cannot find.
fn note_coverage(covered: &Covered, assistant: &Assistant, found: &mut Found) {
    let Covered {
        images, reports, ..
    } = covered;
    let missing = [
        (images.missing, images.embedded, "image"),
        (reports.missing, reports.embedded, "report"),
    ];
    for (missing, embedded, what) in missing {
        if missing > 0 && (what == "image" || assistant.reads_text()) {
            let all = missing + embedded;
            let (are, s) = if all == 1 { ("is", "") } else { ("are", "s") };
            found.notes.push(format!(
                "{missing} of {all} {what}{s} {are} not embedded with {} yet and {are} not searched by meaning or image.",
                embedder_in_words(assistant)
            ));
        }
    }
    match images.unreadable {
        0 => {}
        1 => found
            .notes
            .push("1 of the library's images cannot be read and is not found by image.".into()),
        n => found.notes.push(format!(
            "{n} of the library's images cannot be read and are not found by image."
        )),
    }
}

/// Whose embeddings are compared.
fn embedder_in_words(assistant: &Assistant) -> String {
    match assistant.comparing_name() {
        Some(adapter) => format!("the adapter “{adapter}”"),
        None => "this pack".into(),
    }
}

/// Cases with the image that is asked about, and those of its patient: the one that its file states, and whom the library
/// knows the image of.
fn own(store: &SqliteStore, seen: Seen<'_>) -> Result<Own> {
    let pixels = unhex(&seen.picture.pixel_hash);
    // A file that cannot be read any more has been decoded before: its pixels tell it.
    let file = seen.file.and_then(|file| file_digest(file).ok());
    let image = store.cases_with_image(file.as_ref().map(|(hash, _)| hash), pixels.as_ref())?;
    let stated = seen.patient.map(str::trim).filter(|id| !id.is_empty());
    let mut patients: HashSet<String> = stated
        .map(|patient| store.pseudonym(SITE, patient))
        .into_iter()
        .collect();
    for id in &image {
        patients.extend(store.get(id)?.patient);
    }
    let mut own = Own {
        image: image.into_iter().collect(),
        patient: HashSet::new(),
    };
    for patient in patients {
        let filter = Filter {
            patient: Some(patient),
            ..Filter::default()
        };
        let all = Page {
            offset: 0,
            limit: u64::MAX,
        };
        let cases = store.list(&filter, all)?;
        own.patient.extend(cases.into_iter().map(|case| case.id));
    }
    Ok(own)
}

/// The best cases of the rankings together, with why.
fn hits(
    store: &SqliteStore,
    query: &CaseQuery,
    rankings: &Rankings,
    found: &Found,
    own: &Own,
) -> Result<Vec<LibraryHit>> {
    let policy = match query.same_patient {
        true => SamePatient::Mark,
        false => SamePatient::LeaveOut,
    };
    let is_own = |number: u64| own.patient.contains(found.id(number));
    let [images, reports, words] = rankings;
    let fused = fuse([images, reports, words], query.k, policy, &is_own);
    let mut hits = Vec::with_capacity(fused.len());
    for explained in fused {
        match store.get(found.id(explained.id)) {
            Ok(case) => hits.push(hit(&case, &explained, found)),
            // It was deleted since it was found.
            Err(LibraryError::NoCase { .. }) => {}
            Err(other) => return Err(other.into()),
        }
    }
    Ok(hits)
}

fn hit(case: &CaseRecord, explained: &Explained<3>, found: &Found) -> LibraryHit {
    let rank = |place: Option<Place>| {
        place.map(|place| RankDto {
            rank: place.rank,
            score: place.score,
        })
    };
    let [by_image, by_report, by_words] = explained.places.map(rank);
    LibraryHit {
        case_id: case.id.clone(),
        source: case.source.name.clone(),
        score: explained.score,
        by_words,
        by_image,
        by_report,
        same_patient: explained.same_patient,
        facts: describe::facts(&case.facts),
        labels: describe::present(&case.labels),
        images: case.images.len(),
        image: found.image.get(&explained.id).copied().unwrap_or(0),
        excerpt: excerpt(case, found.excerpt.get(&explained.id)),
    }
}

/// The passage that was found, or the beginning of the first text.
fn excerpt(case: &CaseRecord, passage: Option<&Vec<Piece>>) -> Vec<ExcerptPiece> {
    if let Some(pieces) = passage {
        let piece = |piece: &Piece| ExcerptPiece {
            text: piece.text.clone(),
            matched: piece.matched,
        };
        return pieces.iter().map(piece).collect();
    }
    let beginning = case.texts.first().map(|text| ExcerptPiece {
        text: import::beginning(&text.body),
        matched: false,
    });
    beginning.into_iter().collect()
}
