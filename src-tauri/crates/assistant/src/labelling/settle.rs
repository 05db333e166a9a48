//! What a case is labelled with, when several say something of it: what training learns from.

use std::collections::{BTreeMap, BTreeSet};

use lucency_library::{Label, LabelScheme, LabelValue};

/// The labels of a case, one value a name, and what readers do not agree on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Settled {
    /// By name.
    pub labels: BTreeMap<String, LabelValue>,
    /// Names on which readers differ, in lower case; of classes that exclude each other all of them.
    pub disputed: BTreeSet<String>,
}

/// Settles what a case is labelled with.
///
/// A reader's word goes before what came with the case: on that label, and on every class that excludes it. Where readers differ,
/// nobody is right; with `reader` only that one counts.
pub(crate) fn settle(labels: &[Label], sets: &[LabelScheme], reader: Option<&str>) -> Settled {
    let lower = |text: &str| text.trim().to_lowercase();
    let counts = |label: &&Label| match (&label.reader, reader) {
        (Some(_), None) => true,
        (Some(by), Some(wanted)) => lower(by) == lower(wanted),
        (None, _) => false,
    };
    let read: Vec<&Label> = labels.iter().filter(counts).collect();
    let mut settled = Settled::default();
    let mut spoken: BTreeSet<String> = BTreeSet::new();
    for label in &read {
        spoken.insert(lower(&label.name));
        // Names are one whatever their case; the first spelling stays.
        let known = settled
            .labels
            .keys()
            .find(|n| lower(n) == lower(&label.name));
        let name = known.cloned().unwrap_or_else(|| label.name.clone());
        let before = settled.labels.insert(name, label.value);
        if before.is_some_and(|value| value != label.value) {
            settled.disputed.insert(lower(&label.name));
        }
    }
    for set in sets.iter().filter(|set| set.exclusive) {
        let classes: BTreeSet<String> = set.classes.iter().map(|c| lower(c)).collect();
        let chosen: BTreeSet<String> = read
            .iter()
            .filter(|l| l.value == LabelValue::Positive)
            .map(|l| lower(&l.name))
            .filter(|name| classes.contains(name))
            .collect();
        if chosen.len() > 1 {
            settled.disputed.extend(classes.iter().cloned());
        }
        if classes.iter().any(|class| spoken.contains(class)) {
            spoken.extend(classes);
        }
    }
    for label in labels.iter().filter(|label| label.reader.is_none()) {
        if !spoken.contains(&lower(&label.name)) {
            settled.labels.insert(label.name.clone(), label.value);
        }
    }
    settled
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(name: &str, value: LabelValue, reader: Option<&str>) -> Label {
        Label {
            reader: reader.map(Into::into),
            ..Label::imported(name, value)
        }
    }

    const YES: LabelValue = LabelValue::Positive;
    const NO: LabelValue = LabelValue::Negative;

    fn covid() -> LabelScheme {
        LabelScheme {
            name: "covid".into(),
            exclusive: true,
            classes: ["COVID-19", "other", "none"].map(String::from).to_vec(),
        }
    }

    fn found(labels: &[Label], reader: Option<&str>) -> (Vec<String>, usize) {
        let settled = settle(labels, &[covid()], reader);
        let present = settled.labels.into_iter().filter(|(_, v)| *v == YES);
        (
            present.map(|(name, _)| name).collect(),
            settled.disputed.len(),
        )
    }

    #[test]
    fn readers_who_chose_different_classes_differ_unless_one_is_chosen() {
        let labels = [
            label("COVID-19", YES, Some("Anna")),
            label("none", YES, Some("Ben")),
        ];
        assert_eq!(found(&labels, None).1, 3, "the question is open");
        assert_eq!(found(&labels, Some("ben")), (vec!["none".to_owned()], 0));
        let same = [
            label("COVID-19", YES, Some("Anna")),
            label("COVID-19", YES, Some("Ben")),
        ];
        assert_eq!(found(&same, None), (vec!["COVID-19".to_owned()], 0));
        let other_question = [
            label("COVID-19", YES, Some("Anna")),
            label("PA", YES, Some("Ben")),
        ];
        assert_eq!(found(&other_question, None).1, 0);
    }

    #[test]
    fn a_reader_goes_before_what_came_with_the_case_on_that_question_alone() {
        let labels = [
            label("none", YES, None),
            label("Pacemaker", YES, None),
            label("other", YES, Some("Anna")),
        ];
        let wanted = vec!["Pacemaker".to_owned(), "other".to_owned()];
        assert_eq!(found(&labels, None), (wanted, 0));
        let nobody = vec!["Pacemaker".to_owned(), "none".to_owned()];
        assert_eq!(found(&labels, Some("Carl")).0, nobody, "Carl said nothing");
    }

    #[test]
    fn findings_differ_by_their_values() {
        let labels = [
            label("effusion", YES, Some("Anna")),
            label("Effusion", NO, Some("Ben")),
            label("nodule", YES, Some("Ben")),
        ];
        let settled = settle(&labels, &[], None);
        assert_eq!(
            settled.disputed.into_iter().collect::<Vec<_>>(),
            ["effusion"]
        );
    }
}
