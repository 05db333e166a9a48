//! What a column of an unknown table probably says, by its name and its first values.

use super::columns::Role;
use super::rows::is_image_name;
use super::words;

/// Words in columns' names; a role's first words count most. Names are compared in lower case without `_`, `-` and blanks.
const NAMES: &[(Role, &[&str])] = &[
    (
        Role::Image,
        &[
            "image",
            "filename",
            "imagepath",
            "imagefile",
            "file",
            "path",
            "dicom",
            "png",
        ],
    ),
    (
        Role::Patient,
        &[
            "patient",
            "patientid",
            "subject",
            "subjectid",
            "mrn",
            "empi",
            "person",
            "pid",
        ],
    ),
    (
        Role::Report,
        &[
            "report",
            "notes",
            "clinicalnotes",
            "findings",
            "impression",
            "reporttext",
            "narrative",
            "text",
        ],
    ),
    (Role::Caption, &["caption", "description", "title"]),
    (Role::AnswerType, &["answertype"]),
    (Role::QuestionType, &["questiontype"]),
    (Role::Question, &["question"]),
    (Role::Answer, &["answer"]),
    (
        Role::Label,
        &[
            "label",
            "labels",
            "finding",
            "findings",
            "diagnosis",
            "class",
            "pathology",
            "target",
        ],
    ),
    (Role::View, &["view", "viewposition", "projection"]),
    (Role::Sex, &["sex", "gender"]),
    (Role::Age, &["age", "patientage", "ageyears"]),
    (Role::Date, &["date", "studydate", "examdate"]),
    (Role::Split, &["split", "fold", "subset", "partition"]),
    (Role::Modality, &["modality"]),
    (
        Role::BodyPart,
        &["bodypart", "bodypartexamined", "anatomy", "organ", "region"],
    ),
    (Role::Language, &["language", "lang", "qlang"]),
    (
        Role::Id,
        &[
            "id",
            "caseid",
            "studyid",
            "accession",
            "accessionnumber",
            "case",
            "study",
            "uid",
            "key",
        ],
    ),
];

/// Letters of a text from which on it is prose.
const PROSE: usize = 40;

/// The role of each column; none where nothing fits. A role that only one column may have goes to the best name.
///
/// - `columns`: names, and the first values that are not empty
pub(super) fn suggest(columns: &[(String, Vec<String>)]) -> Vec<Option<Role>> {
    let mut found: Vec<(usize, usize, Role)> = Vec::new();
    for (at, (name, values)) in columns.iter().enumerate() {
        let name = plain(name);
        for (role, names) in NAMES {
            let place = names.iter().position(|known| *known == name);
            let ending = || ends_with_word(&name, names[0]).then_some(names.len());
            if let Some(rank) = place.or_else(ending)
                && fits(*role, values)
            {
                found.push((rank, at, *role));
            }
        }
    }
    found.sort_by_key(|(rank, at, _)| (*rank, *at));
    let mut roles: Vec<Option<Role>> = vec![None; columns.len()];
    for (_, at, role) in found {
        let free = role.repeats() || !roles.contains(&Some(role));
        if roles[at].is_none() && free {
            roles[at] = Some(role);
        }
    }
    unnamed(columns, &mut roles);
    roles
}

/// Columns whose names say nothing: images by their values, and labels by columns of 1, 0 and -1.
fn unnamed(columns: &[(String, Vec<String>)], roles: &mut [Option<Role>]) {
    for (at, (_, values)) in columns.iter().enumerate() {
        if roles[at].is_some() || values.is_empty() {
            continue;
        }
        if !roles.contains(&Some(Role::Image)) && values.iter().all(|v| is_image(v)) {
            roles[at] = Some(Role::Image);
        } else if values.len() > 1 && values.iter().all(|v| words::label_value(v).is_some()) {
            roles[at] = Some(Role::Label);
        }
    }
}

/// The name without what divides its words.
fn plain(name: &str) -> String {
    let letters = name.chars().filter(|c| c.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

fn ends_with_word(name: &str, word: &str) -> bool {
    name.len() > word.len() && name.ends_with(word) && word.len() > 3
}

fn is_image(value: &str) -> bool {
    is_image_name(std::path::Path::new(value))
}

/// True unless the values speak against a role.
fn fits(role: Role, values: &[String]) -> bool {
    if values.is_empty() {
        return true;
    }
    let some = |test: &dyn Fn(&str) -> bool| values.iter().any(|value| test(value));
    match role {
        Role::Age => some(&|v| words::age(v).is_some()),
        Role::Sex => some(&|v| words::sex(v).is_some()),
        Role::Date => some(&|v| words::date(v).is_some()),
        // A finding is a word; findings in sentences are a report.
        Role::Label => !some(&|v| v.chars().count() > PROSE && !v.contains(['|', ';'])),
        Role::Report => some(&|v| v.contains(' ')),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles(columns: &[(&str, &[&str])]) -> Vec<Option<Role>> {
        let owned = |(name, values): &(&str, &[&str])| {
            let values = values.iter().map(|value| (*value).to_owned()).collect();
            ((*name).to_owned(), values)
        };
        suggest(&columns.iter().map(owned).collect::<Vec<_>>())
    }

    #[test]
    fn columns_are_known_by_name_and_value() {
        let found = roles(&[
            ("Patient_ID", &["7", "8"]),
            ("sex", &["F"]),
            ("age", &["61"]),
            ("finding", &["Pneumonia"]),
            ("clinical_notes", &["Opacity in the left lower lobe."]),
            ("filename", &["a.png"]),
            ("url", &["https://example.org"]),
            ("findings", &["Effusion", "Normal"]),
            ("Edema", &["1.0", "0", "-1"]),
        ]);
        let wanted = [
            Some(Role::Patient),
            Some(Role::Sex),
            Some(Role::Age),
            Some(Role::Label),
            Some(Role::Report),
            Some(Role::Image),
            None,
            Some(Role::Label),
            Some(Role::Label),
        ];
        assert_eq!(found, wanted);
    }

    #[test]
    fn a_role_of_one_column_goes_to_the_better_name() {
        let found = roles(&[
            ("file", &["b.txt"]),
            ("image", &["a.png"]),
            ("x", &["c.png"]),
        ]);
        assert_eq!(found, [None, Some(Role::Image), None]);
        assert_eq!(roles(&[("picture", &["a.dcm"])]), [Some(Role::Image)]);
        assert_eq!(
            roles(&[("age", &["chest"])]),
            [None],
            "values speak against the name"
        );
    }
}
