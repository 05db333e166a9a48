//! Synthetic radiology studies with known truth.
