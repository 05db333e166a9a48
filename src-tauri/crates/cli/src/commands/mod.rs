//! One file a command family.

pub mod assist;
pub mod batch;
pub mod bench;
mod bench_decoding;
mod bench_library;
mod bench_models;
mod bench_serve;
mod bench_store;
mod bench_train;
mod bench_vqa;
pub mod demo;
pub mod demo_assets;
pub mod devices;
pub mod eval;
mod eval_retrieval;
mod eval_vqa;
pub mod finetune;
pub mod label;
pub mod library;
pub mod packs;
mod packs_compose;
pub mod phantom;
pub mod search;
pub mod study;
mod table;
pub mod train;
