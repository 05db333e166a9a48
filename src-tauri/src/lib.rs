//! The Lucency window.
