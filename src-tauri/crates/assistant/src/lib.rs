//! Use cases: ask, findings, similar cases, evaluation. One file each; none of them knows a window.

mod ask;
pub mod assets;
mod assistant;
pub mod bindings;
mod cache;
pub mod cases;
pub mod csv;
pub mod dto;
mod embedding;
mod error;
pub mod evaluate;
mod explain;
mod findings;
pub mod finetune;
mod guard;
mod kind;
mod labelling;
mod ledger;
mod network;
pub mod picture;
mod provenance;
mod quiet;
mod region;
mod similar;
mod suggest;
mod words;

pub use ask::Decision;
pub use assistant::{Assistant, DEFAULT_PACK, Options, pack_summaries};
pub use error::{AssistantError, Result};
pub use findings::{label_set_of_words, read_labels};
pub use kind::{QuestionKind, is_closed};
pub use lucency_nn::job::{Interrupt, Progress};
pub use lucency_nn::keep_freed_memory;
pub use picture::Picture;
pub use provenance::APP_VERSION;
pub use quiet::quietly;
