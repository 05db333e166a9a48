//! Lines of reports that name a patient: taken out, and counted, or the report is refused.

use serde::{Deserialize, Serialize};

/// What happens to a report with a line such as `Patient Name: …`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Identifying {
    /// The line is taken out; the rest is kept.
    #[default]
    Redact,
    /// The row is refused.
    Refuse,
}

/// What a header line begins with, lower case, before a colon or equals sign.
const KEYS: &[&str] = &[
    "patient",
    "patient name",
    "patient's name",
    "name of patient",
    "name",
    "patient id",
    "patient no",
    "patient number",
    "mrn",
    "medical record number",
    "medical record no",
    "record number",
    "hospital number",
    "hospital no",
    "nhs number",
    "nhs no",
    "ssn",
    "social security number",
    "insurance number",
    "dob",
    "d.o.b",
    "d.o.b.",
    "date of birth",
    "birth date",
    "birthdate",
    "address",
    "patient address",
    "phone",
    "telephone",
    "e-mail",
    "email",
    "accession",
    "accession number",
    "accession no",
    "visit number",
    "account number",
    "referring physician",
    "ordering physician",
    "attending physician",
    "attending",
    "dictated by",
    "signed by",
    "electronically signed by",
    "radiologist",
    "reading radiologist",
    "family name",
    "first name",
    "last name",
    "surname",
    "given name",
    "病人姓名",
    "患者姓名",
    "姓名",
    "住院号",
    "身份证号",
];

/// A report without its identifying lines.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Cleaned {
    pub text: String,
    /// Lines taken out.
    pub lines: u64,
}

/// Takes out the lines that begin with one of the keys. Other words that a reporter wrote are left as they are: names in
/// running text are not found.
pub(crate) fn clean(report: &str) -> Cleaned {
    let mut lines = 0;
    let kept: Vec<&str> = report
        .lines()
        .filter(|line| {
            let identifying = is_identifying(line);
            lines += u64::from(identifying);
            !identifying
        })
        .collect();
    match lines {
        0 => Cleaned {
            text: report.trim().to_owned(),
            lines,
        },
        _ => Cleaned {
            text: kept.join("\n").trim().to_owned(),
            lines,
        },
    }
}

fn is_identifying(line: &str) -> bool {
    let Some((key, _)) = line.split_once([':', '=', '：']) else {
        return false;
    };
    let clean =
        key.trim_matches(|c: char| c.is_whitespace() || matches!(c, '*' | '#' | '-' | '_' | '|'));
    let key = clean.to_lowercase().replace('_', " ");
    let key = key.split_whitespace().collect::<Vec<_>>().join(" ");
    KEYS.contains(&key.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_lines_go_and_the_report_stays() {
        let report = "Patient Name: DOE, JANE\r\nMRN: 12345\n**Date of birth:** 1.1.1950\nFINDINGS: The patient: stable.\n\
                      Name of the vessel: aorta\n姓名：张三";
        let cleaned = clean(report);
        assert_eq!(cleaned.lines, 4, "name, number, birth date, Chinese name");
        assert_eq!(
            cleaned.text,
            "FINDINGS: The patient: stable.\nName of the vessel: aorta"
        );
    }

    #[test]
    fn a_report_without_header_is_left_alone() {
        let report = "Indication: cough\nImpression: no pneumonia";
        assert_eq!(
            clean(report),
            Cleaned {
                text: report.into(),
                lines: 0
            }
        );
    }
}
