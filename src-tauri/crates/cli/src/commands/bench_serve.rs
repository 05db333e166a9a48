//! The protocol by which a driver times several programs in turn (`tests/peers/`): `READY <ms since the process began>
//! <peak MiB>` after the first call, then for each line `N` on standard input N calls and their times in ms, for `0` the
//! peak memory in MiB.

use std::io::{BufRead, Write};
use std::time::Instant;

use super::bench::{ms, status_mib};
use crate::output::CommandError;

/// Calls once, says so, and times as many calls as each line of `requests` asks for, until there are no more lines.
///
/// Errors if the call fails, if a line is no number, or if nobody reads what is said any more.
pub(super) fn serve<T>(
    mut call: impl FnMut() -> Result<T, CommandError>,
    requests: impl BufRead,
    mut answers: impl Write,
) -> Result<(), CommandError> {
    call()?;
    say(&mut answers, &format!("READY {:.0} {}", age_ms(), peak()))?;
    for line in requests.lines() {
        let line = line.map_err(|e| CommandError::new("io", e.to_string()))?;
        let calls: usize = line.trim().parse().map_err(|_| {
            let message = "standard input: a number of calls in each line is wanted";
            CommandError::new("bad_request", message)
        })?;
        let answer = match calls {
            0 => peak().to_string(),
            _ => times(&mut call, calls)?.join(" "),
        };
        say(&mut answers, &answer)?;
    }
    Ok(())
}

/// Writes a line now: the driver waits for it.
fn say(answers: &mut impl Write, line: &str) -> Result<(), CommandError> {
    let written = writeln!(answers, "{line}").and_then(|()| answers.flush());
    written.map_err(|e| CommandError::new("io", format!("the driver reads no more: {e}")))
}

fn times<T>(
    call: &mut impl FnMut() -> Result<T, CommandError>,
    calls: usize,
) -> Result<Vec<String>, CommandError> {
    (0..calls)
        .map(|_| Ok(format!("{:.3}", time(call)?)))
        .collect()
}

/// Milliseconds of one call.
///
/// Errors as the call.
pub(super) fn time<T>(
    call: &mut impl FnMut() -> Result<T, CommandError>,
) -> Result<f64, CommandError> {
    let begun = Instant::now();
    let result = call()?;
    let time = ms(begun);
    std::hint::black_box(result);
    Ok(time)
}

fn peak() -> u64 {
    status_mib("VmHWM:").unwrap_or_default() as u64
}

/// Milliseconds since this process began, where the system tells.
fn age_ms() -> f64 {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let age = || {
        let stat = read("/proc/self/stat")?;
        // Behind the name in brackets: field 22 is the start, in ticks of 10 ms since boot.
        let start: f64 = stat
            .rsplit(')')
            .next()?
            .split_whitespace()
            .nth(19)?
            .parse()
            .ok()?;
        let up: f64 = read("/proc/uptime")?
            .split_whitespace()
            .next()?
            .parse()
            .ok()?;
        Some((up - start / 100.0) * 1000.0)
    };
    age().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use super::*;

    /// Takes some lines and then is gone.
    struct Leaves {
        lines: usize,
    }

    impl Write for Leaves {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            match self.lines {
                0 => Err(Error::from(ErrorKind::BrokenPipe)),
                _ => Ok(bytes.len()),
            }
        }

        fn flush(&mut self) -> std::io::Result<()> {
            self.lines = self.lines.saturating_sub(1);
            Ok(())
        }
    }

    #[test]
    fn each_line_is_answered_with_as_many_times() {
        let (mut calls, mut said) = (0, Vec::new());
        let call = || {
            calls += 1;
            Ok(calls)
        };
        serve(call, &b"3\n0\n1\n"[..], &mut said).unwrap();
        assert_eq!(calls, 5, "one call to get ready, and four as asked for");
        let said = String::from_utf8(said).unwrap();
        let words: Vec<usize> = said.lines().map(|l| l.split(' ').count()).collect();
        assert!(said.starts_with("READY "));
        assert_eq!(words, [3, 3, 1, 1]);
    }

    #[test]
    fn a_driver_that_has_gone_ends_it_with_an_error() {
        for lines in 0..3 {
            let error = serve(|| Ok(()), &b"1\n1\n1\n"[..], Leaves { lines }).unwrap_err();
            assert_eq!(error.code, "io", "after {lines} lines");
        }
    }

    #[test]
    fn a_line_that_is_no_number_is_refused() {
        let error = serve(|| Ok(()), &b"many\n"[..], Vec::new()).unwrap_err();
        assert_eq!(error.code, "bad_request");
    }
}
