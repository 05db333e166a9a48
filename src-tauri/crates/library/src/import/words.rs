//! Words of data sets in the library's terms. What is not understood is left out, never guessed.

use crate::records::LabelValue;

/// `F`, `M` or `O`.
pub(crate) fn sex(text: &str) -> Option<String> {
    let word = match text.trim().to_lowercase().as_str() {
        "f" | "female" | "w" | "woman" => "F",
        "m" | "male" | "man" => "M",
        "o" | "other" => "O",
        _ => return None,
    };
    Some(word.into())
}

/// Whole years of `52`, `52.0`, `052Y` (PS3.5 6.2, AS), `18M` (months) or `52 years`.
pub(crate) fn age(text: &str) -> Option<u16> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    let years = match text[end..].trim().to_lowercase().as_str() {
        "" | "y" | "years" | "year" | "yr" | "yrs" => number,
        "m" => number / 12.0,
        "w" => number / 52.18,
        "d" => number / 365.25,
        _ => return None,
    };
    (0.0..=150.0).contains(&years).then_some(years as u16)
}

/// DICOM's word for a modality.
pub(crate) fn modality(text: &str) -> Option<String> {
    let word = text.trim().to_uppercase();
    let word = match word.as_str() {
        "" | "NAN" => return None,
        "X-RAY" | "XRAY" | "XR" | "RADIOGRAPH" | "PLAIN FILM" => "DX",
        "MRI" => "MR",
        "ULTRASOUND" => "US",
        "MAMMOGRAPHY" | "MAMMOGRAM" | "MA" => "MG",
        "PET" => "PT",
        word => word,
    };
    Some(word.into())
}

/// DICOM's word for a body part (PS3.16 annex L), where the source uses another.
pub(crate) fn body_part(text: &str) -> Option<String> {
    let word = text.trim().to_uppercase().replace('_', " ");
    let word = match word.as_str() {
        "" | "NAN" => return None,
        "ABD" => "ABDOMEN",
        "LUNG" => "CHEST",
        word => word,
    };
    Some(word.into())
}

/// Upper case, blanks at the ends taken off; none for nothing.
pub(crate) fn upper(text: &str) -> Option<String> {
    let word = text.trim().to_uppercase();
    (!word.is_empty()).then_some(word)
}

/// 1, 0 or -1 as CheXpert writes them; none for an empty field.
pub(crate) fn label_value(text: &str) -> Option<LabelValue> {
    match text.trim() {
        "1" | "1.0" => Some(LabelValue::Positive),
        "0" | "0.0" => Some(LabelValue::Negative),
        "-1" | "-1.0" => Some(LabelValue::Uncertain),
        _ => None,
    }
}

/// `YYYY-MM-DD`, `YYYY-MM` or `YYYY`; none for what is ambiguous, such as `3/4/2020`.
pub(crate) fn date(text: &str) -> Option<String> {
    let text = text.trim();
    let words: Vec<&str> = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let number = |word: &str| word.parse::<u32>().ok();
    let year = |word: &str| number(word).filter(|y| word.len() == 4 && (1880..2200).contains(y));
    let (y, m, d) = match *words.as_slice() {
        [whole] if whole.len() == 8 && number(whole).is_some() => {
            let part = |range| whole.get(range).and_then(number);
            (year(&whole[..4])?, part(4..6), part(6..8))
        }
        [y] => (year(y)?, None, None),
        [y, m] if year(y).is_some() => (year(y)?, number(m), None),
        [m, y] => (year(y)?, month(m).or(number(m)), None),
        // The time of day may follow: 2020-01-25 00:00:00.
        [y, m, d, ..] if year(y).is_some() => (year(y)?, number(m), number(d)),
        [m, d, y] if month(m).is_some() => (year(y)?, month(m), number(d)),
        [d, m, y] if month(m).is_some() => (year(y)?, month(m), number(d)),
        [d, m, y] if text.contains('.') => (year(y)?, number(m), number(d)),
        _ => return None,
    };
    match (m, d) {
        (Some(m), Some(d)) => {
            let (m, d) = (i8::try_from(m).ok()?, i8::try_from(d).ok()?);
            let date = jiff::civil::Date::new(i16::try_from(y).ok()?, m, d).ok()?;
            Some(date.to_string())
        }
        (Some(m @ 1..=12), None) => Some(format!("{y:04}-{m:02}")),
        (None, None) => Some(format!("{y:04}")),
        _ => None,
    }
}

fn month(word: &str) -> Option<u32> {
    const MONTHS: [&str; 12] = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ];
    let word = word.to_lowercase();
    let at = MONTHS
        .iter()
        .position(|month| word.len() >= 3 && word.starts_with(month))?;
    Some(at as u32 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_where_they_are_clear() {
        let clear = [
            ("January 25, 2020", "2020-01-25"),
            ("25 Sept 2019", "2019-09-25"),
            ("2017", "2017"),
            ("20200131", "2020-01-31"),
            ("2020/02/29", "2020-02-29"),
            ("2020-01-25 00:00:00", "2020-01-25"),
            ("31.12.1999", "1999-12-31"),
            ("Mar 2020", "2020-03"),
        ];
        for (text, wanted) in clear {
            assert_eq!(date(text).as_deref(), Some(wanted), "{text}");
        }
        for text in ["", "3/4/2020", "2020-13-01", "2021-02-29", "soon", "12"] {
            assert_eq!(date(text), None, "{text}");
        }
    }

    #[test]
    fn ages_are_whole_years() {
        let ages = [
            ("52", 52),
            ("52.0", 52),
            ("052Y", 52),
            ("18M", 1),
            ("7 years", 7),
            ("010D", 0),
        ];
        for (text, wanted) in ages {
            assert_eq!(age(text), Some(wanted), "{text}");
        }
        for text in ["", "adult", "200", "-3"] {
            assert_eq!(age(text), None, "{text}");
        }
    }
}
