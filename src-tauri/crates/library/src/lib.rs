//! Cases with their images, reports and labels, and the nearest-case index.
//!
//! **The library of a department** is [`SqliteStore`] behind the trait [`Storage`]: cases with image references, reports,
//! labels, questions and embeddings, filled by [`import`] and searched by words with [`search`].
//!
//! **The demo library** is a folder: [`CaseStore`] (a JSON manifest and PNG files) and a [`vectors::VectorIndex`], joined by [`Library`].

mod case;
mod db;
mod embeddings;
mod error;
mod files;
pub mod import;
mod library;
mod records;
pub mod search;
mod storage;
mod store;
pub mod vectors;

pub use case::{Case, ImageFile, NewCase};
pub use db::{AuditEntry, Restored, SqliteStore, StoreOptions, Verified};
pub use error::{LibraryError, Result};
pub use files::{file_digest, unhex};
pub use library::{Exclude, Hit, Library};
pub use records::{
    AdapterRecord, CasePart, CaseRecord, CaseSummary, Count, Coverage, Embedded, EmbeddingKind,
    Facts, Filter, ImageReference, Label, LabelAction, LabelScheme, LabelValue, NewEmbedding,
    NewRecord, Page, Question, Reading, Region, Run, RunKind, RunRecord, SeenBy, Source, Space,
    SpaceState, Stats, StoredEmbedding, Text, TextKind, Unembedded, UnembeddedImage, Unreadable,
    Wanted, reader_name,
};
pub use storage::{Batch, Embeddings, Labelling, Ledger, Storage, Written};
pub use store::{CaseStore, FolderStore};
