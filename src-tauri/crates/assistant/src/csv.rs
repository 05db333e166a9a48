//! Tables as comma-separated values, read whole and written. Source: RFC 4180.
//!
//! The library reads what others exported otherwise, row by row and in whatever encoding and with whatever separator (`import/table.rs`);
//! these are small tables of UTF-8 text, in which a mistake is named by its line.

/// Reads a table: records of fields, quotation marks taken off, empty lines left out.
///
/// A byte order mark at the beginning is ignored, lines may end in any way. Errors with the line, counted from 1, where a
/// quotation mark stands inside a field or is never closed.
pub fn parse(text: &str) -> Result<Vec<Vec<String>>, String> {
    let mut rest = text.trim_start_matches('\u{feff}').chars().peekable();
    let (mut records, mut record, mut line) = (Vec::new(), Vec::new(), 1);
    while rest.peek().is_some() {
        let field = if rest.next_if_eq(&'"').is_some() {
            quoted(&mut rest, &mut line)?
        } else {
            let mut field = String::new();
            while let Some(c) = rest.next_if(|c| !matches!(c, ',' | '\n' | '\r')) {
                if c == '"' {
                    return Err(format!("line {line}: a quotation mark inside a field"));
                }
                field.push(c);
            }
            field.trim().to_owned()
        };
        record.push(field);
        match rest.next() {
            Some(',') if rest.peek().is_some() => continue,
            Some(',') => record.push(String::new()),
            Some('\r') => {
                rest.next_if_eq(&'\n');
            }
            _ => {}
        }
        line += 1;
        let record = std::mem::take(&mut record);
        if record != [""] {
            records.push(record);
        }
    }
    Ok(records)
}

/// The rest of a field whose opening quotation mark has been read.
fn quoted(
    rest: &mut std::iter::Peekable<std::str::Chars<'_>>,
    line: &mut usize,
) -> Result<String, String> {
    let begun = *line;
    let mut field = String::new();
    loop {
        match rest.next() {
            None => return Err(format!("line {begun}: a quotation mark is not closed")),
            Some('"') if rest.next_if_eq(&'"').is_some() => field.push('"'),
            Some('"') => break,
            Some(c) => {
                *line += usize::from(c == '\n');
                field.push(c);
            }
        }
    }
    match rest.peek() {
        None | Some(',' | '\n' | '\r') => Ok(field),
        Some(_) => Err(format!("line {line}: text after a closing quotation mark")),
    }
}

/// Writes one record with its line end.
pub fn record<'a>(fields: impl IntoIterator<Item = &'a str>) -> String {
    let fields: Vec<String> = fields.into_iter().map(field).collect();
    fields.join(",") + "\r\n"
}

fn field(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) || text.trim() != text {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_may_be_quoted_and_lines_may_end_in_any_way() {
        let table = parse("\u{feff}a, b \r\n\"x, \"\"y\"\"\nz\",\n\n1,2\r3,4").unwrap();
        let wanted = [["a", "b"], ["x, \"y\"\nz", ""], ["1", "2"], ["3", "4"]];
        assert_eq!(table, wanted);
        assert_eq!(
            parse("a,").unwrap(),
            [["a", ""]],
            "an empty field at the end"
        );
        assert!(parse("").unwrap().is_empty());
    }

    #[test]
    fn broken_quotation_is_an_error_with_its_line() {
        for (text, line) in [
            ("a\n\"b", "line 2"),
            ("a\"b", "line 1"),
            ("a\n\"b\"c", "line 2"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(line), "{text:?}: {error}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let fields = ["plain", "a,b", "say \"no\"", "two\nlines", " blank ", ""];
        let written = record(fields);
        assert_eq!(parse(&written).unwrap(), [fields]);
    }
}
