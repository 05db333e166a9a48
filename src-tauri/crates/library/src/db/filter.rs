//! A filter as a condition on the table `cases`.

use rusqlite::types::Value;

use crate::records::Filter;

/// The condition, beginning with `WHERE` or empty, and its parameters in order.
///
/// - `cases`: what the query calls the table `cases`
pub(super) fn condition(filter: &Filter, cases: &str) -> (String, Vec<Value>) {
    let mut parts: Vec<String> = Vec::new();
    let mut values: Vec<Value> = Vec::new();
    let upper = |text: &str| Value::Text(text.trim().to_uppercase());
    let text = |text: &str| Value::Text(text.trim().to_owned());
    let mut add = |part: String, value: Option<Value>| {
        if let Some(value) = value {
            parts.push(part);
            values.push(value);
        }
    };
    let known = |field: &Option<String>, make: &dyn Fn(&str) -> Value| field.as_deref().map(make);
    add(
        format!("{cases}.source = (SELECT row FROM sources WHERE name = ?)"),
        known(&filter.source, &text),
    );
    add(
        format!("{cases}.modality = ?"),
        known(&filter.modality, &upper),
    );
    add(
        format!("{cases}.body_part = ?"),
        known(&filter.body_part, &upper),
    );
    add(
        format!(
            "? IN (SELECT {cases}.view UNION ALL SELECT view FROM images WHERE case_row = {cases}.row)"
        ),
        known(&filter.view, &upper),
    );
    add(format!("{cases}.sex = ?"), known(&filter.sex, &upper));
    let age = |age: Option<u16>| age.map(|age| Value::Integer(age.into()));
    add(format!("{cases}.age >= ?"), age(filter.age_from));
    add(format!("{cases}.age <= ?"), age(filter.age_to));
    add(
        format!("{cases}.date >= ?"),
        known(&filter.date_from, &text),
    );
    // '2020' takes in '2020-12-31': every date that begins so is smaller than it with the last character after it.
    let end = |date: &str| Value::Text(format!("{}\u{10FFFF}", date.trim()));
    add(format!("{cases}.date <= ?"), known(&filter.date_to, &end));
    add(
        format!(
            "EXISTS (SELECT 1 FROM labels WHERE case_row = {cases}.row AND name = ? AND value = 1)"
        ),
        known(&filter.label, &text),
    );
    add(
        format!("EXISTS (SELECT 1 FROM labels WHERE case_row = {cases}.row AND reader = ?)"),
        known(&filter.reader, &text),
    );
    // The questions of one image can be divided among splits.
    add(
        format!(
            "? IN (SELECT {cases}.split UNION ALL SELECT questions.split FROM texts JOIN questions
                   ON text_row = texts.row WHERE texts.case_row = {cases}.row)"
        ),
        known(&filter.split, &text),
    );
    add(
        format!("{cases}.patient = ?"),
        known(&filter.patient, &text),
    );
    add(
        format!("{cases}.patient IS NOT ?"),
        known(&filter.not_patient, &text),
    );
    match parts.is_empty() {
        true => (String::new(), values),
        false => (format!("WHERE {}", parts.join(" AND ")), values),
    }
}
