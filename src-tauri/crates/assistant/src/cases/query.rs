//! What a search asks for.

use lucency_library::{Filter, TextKind};

use crate::dto::{LibraryFilter, LibraryQuery, SearchBy};

/// Most cases that one search returns.
const MOST: usize = 50;

/// A search of the case library.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CaseQuery {
    /// Words to look for; may be empty where an image is searched with.
    pub text: String,
    /// How the words are understood.
    pub by: SearchBy,
    /// Most cases to return.
    pub k: usize,
    /// Which cases are wanted.
    pub filter: Filter,
    /// Texts that are searched by words; empty for all.
    pub kinds: Vec<TextKind>,
    /// True to show cases of the patient on the screen too, marked.
    pub same_patient: bool,
}

impl From<&LibraryQuery> for CaseQuery {
    fn from(query: &LibraryQuery) -> Self {
        Self {
            text: query.text.clone(),
            by: query.by,
            k: query.k.clamp(1, MOST),
            filter: filter(&query.filter),
            kinds: Vec::new(),
            same_patient: query.same_patient,
        }
    }
}

/// A field of a form that was left empty is no condition.
fn filter(filter: &LibraryFilter) -> Filter {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
    Filter {
        source: given(&filter.source),
        modality: given(&filter.modality),
        body_part: given(&filter.body_part),
        view: given(&filter.view),
        sex: given(&filter.sex),
        age_from: filter.age_from,
        age_to: filter.age_to,
        date_from: given(&filter.date_from),
        date_to: given(&filter.date_to),
        label: given(&filter.label),
        reader: None,
        split: given(&filter.split),
        patient: None,
        not_patient: None,
    }
}
