//! Use cases: ask, findings, similar cases, evaluation.
