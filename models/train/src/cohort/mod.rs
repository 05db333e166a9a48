//! Who is trained on and who is judged: cases, splits by patient, and the check that nobody stands on both sides.

mod fingerprint;
mod leak;
mod parts;
mod record;

pub use fingerprint::Fingerprint;
pub use leak::{Leak, LeakKind, check_leaks, find_leaks};
pub use parts::{Member, join_duplicates, stratified_parts};
pub use record::{Part, RecordedCase, SplitRecord, SplitUnit};
