//! Use cases: ask, findings, similar cases, evaluation. One file each; none of them knows a window.

pub mod bindings;
pub mod dto;
