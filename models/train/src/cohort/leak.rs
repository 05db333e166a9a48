//! The check that what is judged was not seen in training.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::Member;
use crate::{Result, TrainError};

/// What two cases on different sides have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeakKind {
    /// The patient.
    SamePatient,
    /// Every pixel.
    SameImage,
    /// What the picture looks like: probably one film, re-encoded or scaled.
    NearDuplicate,
}

/// Two cases that must not stand on different sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leak {
    /// What they share.
    pub kind: LeakKind,
    /// Index among the cases trained on.
    pub trained: usize,
    /// Index among the cases judged.
    pub judged: usize,
}

/// All pairs of a trained and a judged case that share a patient or an image; a pair is named once, for its strongest reason.
pub fn find_leaks(trained: &[Member], judged: &[Member]) -> Vec<Leak> {
    let mut patients: HashMap<&str, usize> = HashMap::new();
    let mut images: HashMap<&str, usize> = HashMap::new();
    for (i, member) in trained.iter().enumerate() {
        if let Some(patient) = &member.patient {
            patients.entry(patient).or_insert(i);
        }
        images.entry(&member.fingerprint.exact).or_insert(i);
    }
    let mut leaks = Vec::new();
    for (j, member) in judged.iter().enumerate() {
        let same_image = images.get(member.fingerprint.exact.as_str()).copied();
        let same_patient = member
            .patient
            .as_ref()
            .and_then(|p| patients.get(p.as_str()).copied());
        let near = || {
            trained
                .iter()
                .position(|t| t.fingerprint.is_near(&member.fingerprint))
        };
        let found = match (same_image, same_patient) {
            (Some(i), _) => Some((LeakKind::SameImage, i)),
            (None, Some(i)) => Some((LeakKind::SamePatient, i)),
            (None, None) => near().map(|i| (LeakKind::NearDuplicate, i)),
        };
        leaks.extend(found.map(|(kind, trained)| Leak {
            kind,
            trained,
            judged: j,
        }));
    }
    leaks
}

/// Refuses two sides that share a patient or an image.
///
/// - `what`: how the sides are called, such as `training and test cases`
///
/// Errors with the counts and the rows of the first pair, never with a patient's key.
pub fn check_leaks(what: &str, trained: &[Member], judged: &[Member]) -> Result<()> {
    let leaks = find_leaks(trained, judged);
    let Some(first) = leaks.first() else {
        return Ok(());
    };
    let count = |kind| leaks.iter().filter(|l| l.kind == kind).count();
    Err(TrainError::Data(format!(
        "{what} share {} patients' cases, {} identical images and {} near-duplicates (first: case {} and case {}); \
         put all cases of a patient, and all copies of an image, on one side",
        count(LeakKind::SamePatient),
        count(LeakKind::SameImage),
        count(LeakKind::NearDuplicate),
        first.trained + 1,
        first.judged + 1,
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cohort::Fingerprint;

    fn member(patient: &str, exact: &str, gradient: [u64; 4]) -> Member {
        Member {
            patient: Some(patient.to_string()),
            fingerprint: Fingerprint {
                exact: exact.to_string(),
                gradient,
            },
        }
    }

    #[test]
    fn each_kind_of_leak_is_found_and_refused_without_naming_a_patient() {
        let (a, b) = ([0xff00_ff00; 4], [0x00ff_00ff << 20; 4]);
        let trained = [member("doe", "one", a)];
        let clean = [member("roe", "two", b)];
        assert!(check_leaks("sides", &trained, &clean).is_ok());
        let mut near = a;
        near[3] ^= 0b111;
        for (judged, kind) in [
            (member("doe", "two", b), LeakKind::SamePatient),
            (member("roe", "one", a), LeakKind::SameImage),
            (member("roe", "two", near), LeakKind::NearDuplicate),
        ] {
            let judged = [clean[0].clone(), judged];
            let leaks = find_leaks(&trained, &judged);
            assert_eq!(leaks.len(), 1);
            assert_eq!((leaks[0].kind, leaks[0].judged), (kind, 1));
            let message = check_leaks("sides", &trained, &judged)
                .unwrap_err()
                .to_string();
            assert!(
                message.contains("case 2") && !message.contains("doe"),
                "{message}"
            );
        }
    }
}
