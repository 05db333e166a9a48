//! How commands print: text for people or JSON for programs, and one form for every error.

use std::process::ExitCode;

use serde::Serialize;

/// What went wrong, in a form that programs can switch on.
#[derive(Debug)]
pub struct CommandError {
    /// Stable, snake_case word for the cause, such as `not_found` or `unsupported_transfer_syntax`.
    pub code: String,
    /// What, where, and what to do; never patient data.
    pub message: String,
}

impl CommandError {
    /// An error with a code of its own.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
        }
    }
}

impl From<anyhow::Error> for CommandError {
    fn from(error: anyhow::Error) -> Self {
        Self::new("failed", format!("{error:#}"))
    }
}

/// Where a command's result goes.
#[derive(Clone, Copy)]
pub struct Output {
    json: bool,
}

impl Output {
    /// Text, or JSON when `json` is set on the command line.
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    /// True when the reader is a program.
    pub fn is_json(self) -> bool {
        self.json
    }

    /// Prints `value` as JSON, or what `text` makes of it.
    ///
    /// Errors if the value cannot be written as JSON.
    pub fn print<T: Serialize>(
        self,
        value: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<(), CommandError> {
        if self.json {
            let line = serde_json::to_string_pretty(value)
                .map_err(|e| CommandError::new("json", e.to_string()))?;
            write_line(&line)
        } else {
            write_line(&text(value))
        }
    }

    /// Turns the command's result into the exit status; an error goes to standard error.
    pub fn finish(self, result: Result<(), CommandError>) -> ExitCode {
        let Err(error) = result else {
            return ExitCode::SUCCESS;
        };
        if self.json {
            let value = serde_json::json!({
                "error": { "code": error.code, "message": error.message }
            });
            eprintln!("{value}");
        } else {
            eprintln!("error: {} [{}]", error.message, error.code);
        }
        ExitCode::FAILURE
    }
}

/// A number of things: `1 pair`, `2 pairs`, for nouns with a regular plural.
pub fn counted(number: impl TryInto<u64>, noun: &str) -> String {
    match number.try_into().unwrap_or(u64::MAX) {
        1 => format!("1 {noun}"),
        number => format!("{number} {noun}s"),
    }
}

/// Writes to standard output; a closed pipe (`lucency … | head`) ends quietly.
fn write_line(line: &str) -> Result<(), CommandError> {
    use std::io::Write;
    match writeln!(std::io::stdout().lock(), "{line}") {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(CommandError::new("io", e.to_string()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::counted;

    #[test]
    fn one_thing_is_not_several() {
        let said = [0u64, 1, 2].map(|n| counted(n, "pair"));
        assert_eq!(said, ["0 pairs", "1 pair", "2 pairs"]);
    }
}
