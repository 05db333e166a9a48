//! What callers need of a case library, whoever keeps it.

use crate::error::Result;
use crate::import::{Checkpoint, ImportKey, Leaks, Reject};
use crate::records::{
    AdapterRecord, CasePart, CaseRecord, CaseSummary, Count, Coverage, Embedded, Filter,
    ImageReference, LabelAction, LabelScheme, NewEmbedding, NewRecord, Page, Reading, Run,
    RunRecord, SeenBy, Source, Space, SpaceState, Stats, StoredEmbedding, Unembedded, Unreadable,
    Wanted,
};
use crate::search::{WordHits, WordQuery};

/// What is written at once or not at all.
#[derive(Debug, Default)]
pub struct Batch {
    /// Cases, or more about them.
    pub records: Vec<NewRecord>,
    /// Rows that were refused, of the checkpoint's import.
    pub rejects: Vec<Reject>,
    /// How far the import has come after this batch, without what the batch itself brings in; none outside an import.
    pub checkpoint: Option<Checkpoint>,
}

/// What a batch did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// Cases that were new.
    pub new_cases: u64,
    /// Records that said more about a case that was there.
    pub joined: u64,
}

/// Cases of a library that can be changed. [`SqliteStore`](crate::SqliteStore) keeps them on one workstation; a backend
/// that several share can take its place.
pub trait Storage: Send + Sync {
    /// Puts records into the library, joining those of the same case, and notes how far an import has come.
    ///
    /// Errors leave the library as it was before the batch.
    fn put(&self, source: &Source, batch: &Batch) -> Result<Written>;

    /// The case with an identifier. Errors if there is none.
    fn get(&self, id: &str) -> Result<CaseRecord>;

    /// Cases in the order in which they came, those that `filter` lets through.
    fn list(&self, filter: &Filter, page: Page) -> Result<Vec<CaseSummary>>;

    /// How many cases `filter` lets through.
    fn count(&self, filter: &Filter) -> Result<u64>;

    /// Deletes cases with every trace of them and returns how many there were.
    ///
    /// Errors, deleting none, if an identifier is unknown.
    fn delete(&self, ids: &[String]) -> Result<u64>;

    /// How much there is.
    fn stats(&self) -> Result<Stats>;

    /// Reports, captions and questions with the words of the query, the best first.
    fn search_words(&self, query: &WordQuery) -> Result<WordHits>;

    /// The pseudonym under which the library knows a patient.
    ///
    /// - `domain`: whose identifiers these are, [`SITE`](crate::import::SITE) for the department's own
    fn pseudonym(&self, domain: &str, patient: &str) -> String;

    /// Stores embeddings, in place of earlier ones of the same images or reports.
    ///
    /// Errors, storing none, if a case or image is unknown, or if a vector's length is not the space's.
    fn put_embeddings(&self, space: &Space, embeddings: &[NewEmbedding]) -> Result<()>;

    /// Embeddings in the order of their rows, from the first above `after`, at most `limit`.
    fn embeddings_after(
        &self,
        space: &Space,
        after: i64,
        limit: usize,
    ) -> Result<Vec<StoredEmbedding>>;

    /// How many embeddings there are.
    fn count_embeddings(&self, space: &Space) -> Result<u64>;

    /// How many embeddings a space has, and when they last changed.
    fn space_state(&self, space: &Space) -> Result<SpaceState>;

    /// Rows of the embeddings of all cases that `filter` lets through, ascending.
    fn embedding_rows(&self, space: &Space, filter: &Filter) -> Result<Vec<i64>>;

    /// What rows of embeddings belong to; those that are gone are left out.
    fn embedded(&self, rows: &[i64]) -> Result<Vec<Embedded>>;

    /// How much of the library has an embedding.
    fn coverage(&self, space: &Space) -> Result<Coverage>;

    /// Notes images that cannot be decoded: [`unembedded`](Self::unembedded) leaves them out until their files change.
    ///
    /// - `dim`: numbers in an embedding of the space
    fn put_unreadable(&self, space: &Space, dim: usize, images: &[Unreadable]) -> Result<()>;

    /// Cases that have an image, told by its file or by the pixels that were embedded.
    ///
    /// - `file`: SHA-256 of the file
    /// - `pixels`: SHA-256 of the pixels, see [`NewEmbedding::pixels`]
    fn cases_with_image(
        &self,
        file: Option<&[u8; 32]>,
        pixels: Option<&[u8; 32]>,
    ) -> Result<Vec<String>>;

    /// Images or reports without an embedding, from the first above `after`, at most `limit`.
    fn unembedded(&self, space: &Space, after: i64, limit: usize) -> Result<Vec<Unembedded>>;

    /// A number that grows with every change of cases or embeddings: what was made of an earlier state is stale.
    fn generation(&self) -> Result<u64>;

    /// Takes up an import where it stopped, or begins it.
    fn open_import(&self, source: &Source, key: &ImportKey) -> Result<Checkpoint>;

    /// Where an import stopped that was interrupted; none if it was not begun, is finished, or begins anew because its
    /// data changed.
    fn interrupted_import(&self, source: &str, key: &ImportKey) -> Result<Option<Checkpoint>>;

    /// What is known of an image file that did not change since it was imported.
    fn known_image(&self, source: &str, path: &str) -> Result<Option<ImageReference>>;

    /// Rows that an import refused.
    fn rejects(&self, checkpoint: &Checkpoint, limit: usize) -> Result<Vec<Reject>>;

    /// Images that are twice in the library and patients in two splits, as far as a source is concerned.
    fn leaks(&self, source: &str) -> Result<Leaks>;
}

/// Labels that readers give. Nobody's labels take the place of another's, nor of those that came with a case.
pub trait Labelling: Send + Sync {
    /// Sets of labels, by name.
    fn label_sets(&self) -> Result<Vec<LabelScheme>>;

    /// The set with a name. Errors if there is none.
    fn label_set(&self, name: &str) -> Result<LabelScheme>;

    /// Keeps a set of labels, in place of an earlier one of its name. Labels that were given stay.
    ///
    /// Errors as [`LabelScheme::checked`] does.
    fn put_label_set(&self, set: &LabelScheme) -> Result<()>;

    /// Forgets a set of labels; labels that were given stay. False if there was none.
    fn remove_label_set(&self, name: &str) -> Result<bool>;

    /// Gives a case a reader's labels, or takes them away.
    ///
    /// - `at`: now, UTC, RFC 3339
    /// - returns none if everything was so already
    ///
    /// Errors if there is no such case, or as [`reader_name`](crate::reader_name) does.
    fn give_labels(
        &self,
        case_id: &str,
        reader: &str,
        wanted: &[Wanted],
        at: &str,
    ) -> Result<Option<LabelAction>>;

    /// Takes back what the reader did last; none if there is nothing to take back.
    fn undo_labels(&self, reader: &str, at: &str) -> Result<Option<LabelAction>>;

    /// Does again what the reader took back last; none if the reader gave a label since.
    fn redo_labels(&self, reader: &str, at: &str) -> Result<Option<LabelAction>>;

    /// How many actions can be undone and redone.
    fn undoable_labels(&self, reader: &str) -> Result<(u64, u64)>;

    /// Every label with one of the names that a reader gave, or all readers if none is named, by case and name.
    fn readings(&self, reader: Option<&str>, names: &[String]) -> Result<Vec<Reading>>;

    /// Cases with an image that `filter` lets through and that a reader gave none of the names, in the order in which they came.
    ///
    /// - `read_by`: only those that this other reader gave one of the names
    fn unread(
        &self,
        filter: &Filter,
        reader: &str,
        names: &[String],
        read_by: Option<&str>,
    ) -> Result<Vec<String>>;

    /// Readers with the number of cases that they gave one of the names, the busiest first.
    fn readers(&self, names: &[String]) -> Result<Vec<Count>>;
}

/// What was done with the cases: runs on them, and the adapters that are there. Folders hold what was learned; this is the
/// record of who learned from whom.
pub trait Ledger: Send + Sync {
    /// Writes a run, in place of the one with the same folder and beginning, and which cases it saw; cases that were noted
    /// before stay.
    ///
    /// - `cases`: identifiers
    /// - returns how many of the cases are not in the library (any more)
    fn put_run(&self, run: &Run, cases: &[(String, CasePart)]) -> Result<u64>;

    /// Notes that a run's folder is no more; the run stays in the record. False if no run had it.
    fn forget_run(&self, path: &str) -> Result<bool>;

    /// The latest runs, the latest first.
    fn runs(&self, limit: u64) -> Result<Vec<RunRecord>>;

    /// Writes an adapter, in place of the one of its name.
    fn put_adapter(&self, adapter: &AdapterRecord) -> Result<()>;

    /// Takes an adapter that is no more out of the record; the run that made it stays. False if there was none.
    fn forget_adapter(&self, name: &str) -> Result<bool>;

    /// Adapters by name.
    fn adapters(&self) -> Result<Vec<AdapterRecord>>;

    /// Runs that saw one of the cases, the latest first.
    ///
    /// Errors if an identifier is unknown.
    fn seen_by(&self, ids: &[String]) -> Result<Vec<SeenBy>>;
}

/// Every embedding of a space, page by page.
pub struct Embeddings<'a> {
    storage: &'a dyn Storage,
    space: Space,
    page: std::vec::IntoIter<StoredEmbedding>,
    last: i64,
    ended: bool,
}

/// Embeddings in a page of [`Embeddings`].
const PAGE: usize = 4096;

impl<'a> Embeddings<'a> {
    /// Begins after the row `after`; 0 begins with the first.
    pub fn new(storage: &'a dyn Storage, space: Space, after: i64) -> Self {
        Self {
            storage,
            space,
            page: Vec::new().into_iter(),
            last: after,
            ended: false,
        }
    }
}

impl Iterator for Embeddings<'_> {
    type Item = Result<StoredEmbedding>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(embedding) = self.page.next() {
            self.last = embedding.row;
            return Some(Ok(embedding));
        }
        if self.ended {
            return None;
        }
        match self.storage.embeddings_after(&self.space, self.last, PAGE) {
            Ok(page) => {
                self.ended = page.is_empty();
                self.page = page.into_iter();
                let embedding = self.page.next()?;
                self.last = embedding.row;
                Some(Ok(embedding))
            }
            Err(error) => {
                self.ended = true;
                Some(Err(error))
            }
        }
    }
}
