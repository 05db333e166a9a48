//! What a lesion is called in questions and answers.

use crate::spec::{Finding, Lesion, Place};
use crate::words::sentences::MASS_FROM_MM;

/// The answer to "what is it": "pleural effusion", "nasogastric tube".
pub fn short_name(lesion: &Lesion) -> &'static str {
    match (lesion.finding, lesion.place) {
        (Finding::Nodule, _) if lesion.size_mm >= MASS_FROM_MM => "lung mass",
        (Finding::Nodule, _) => "lung nodule",
        (Finding::Line, Place::Stomach) => "nasogastric tube",
        (Finding::Line, _) => "central venous catheter",
        (Finding::Haemorrhage, Place::Subdural) => "subdural hemorrhage",
        (Finding::Haemorrhage, _) => "intracerebral hemorrhage",
        (Finding::Mass, _) => "brain mass",
        (finding, _) => finding.name(),
    }
}

/// The noun of a position question; never tells the answer.
pub(super) fn noun(lesion: &Lesion) -> &'static str {
    match lesion.finding {
        Finding::PleuralEffusion => "pleural effusion",
        Finding::Nodule if lesion.size_mm >= MASS_FROM_MM => "mass",
        Finding::Line => "central line",
        Finding::Haemorrhage => "hemorrhage",
        finding => finding.name(),
    }
}
