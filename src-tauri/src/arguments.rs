//! The command line of the window.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Printed by `--help`.
pub const USAGE: &str = "\
Lucency: offline assistant for radiology images. Research use only, not a medical device.

Usage: lucency-app [--demo] [PATH]...

  PATH        DICOM or image files, folders, DICOMDIR or zip archives to open
  --demo      open the synthetic demo study
  --version   print the version
  --help      print this text";

/// What the window was started for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arguments {
    /// Files and folders to open, absolute.
    pub paths: Vec<PathBuf>,
    /// True when the demo study was asked for.
    pub demo: bool,
}

/// What a command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Request {
    /// Open the window.
    Window(Arguments),
    /// Print [`USAGE`].
    Help,
    /// Print the version.
    Version,
    /// Not understood: the word that is not known.
    Unknown(String),
}

/// Reads the words after the program's name; relative paths start at `folder`.
pub fn parse(words: impl IntoIterator<Item = OsString>, folder: &Path) -> Request {
    let mut arguments = Arguments::default();
    let mut only_paths = false;
    for word in words {
        match word.to_str() {
            Some("--") if !only_paths => only_paths = true,
            Some("--demo") if !only_paths => arguments.demo = true,
            Some("--help" | "-h") if !only_paths => return Request::Help,
            Some("--version" | "-V") if !only_paths => return Request::Version,
            Some(option) if !only_paths && option.starts_with("--") => {
                return Request::Unknown(option.to_owned());
            }
            Some("") => {}
            _ => arguments.paths.push(folder.join(local_path(word))),
        }
    }
    Request::Window(arguments)
}

/// Desktops hand over `file://` addresses at times.
fn local_path(word: OsString) -> PathBuf {
    let Some(rest) = word.to_str().and_then(|w| w.strip_prefix("file://")) else {
        return PathBuf::from(word);
    };
    match percent_decode(rest) {
        Some(path) if path.starts_with('/') => PathBuf::from(path),
        _ => PathBuf::from(word),
    }
}

/// RFC 3986, 2.1; none if an escape is broken or the result is not UTF-8.
fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |b: Option<u8>| char::from(b?).to_digit(16);
        let (high, low) = (digit(rest.next())?, digit(rest.next())?);
        bytes.push((high * 16 + low) as u8);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(words: &[&str]) -> Request {
        parse(words.iter().map(OsString::from), Path::new("/here"))
    }

    #[test]
    fn relative_paths_start_at_the_callers_folder() {
        let wanted = Arguments {
            paths: vec!["/here/a.dcm".into(), "/b".into()],
            demo: false,
        };
        assert_eq!(window(&["a.dcm", "/b"]), Request::Window(wanted));
    }

    #[test]
    fn the_demo_is_asked_for_by_name() {
        let wanted = Arguments {
            paths: vec![],
            demo: true,
        };
        assert_eq!(window(&["--demo"]), Request::Window(wanted));
    }

    #[test]
    fn after_two_dashes_everything_is_a_path() {
        let wanted = Arguments {
            paths: vec!["/here/--demo".into()],
            demo: false,
        };
        assert_eq!(window(&["--", "--demo"]), Request::Window(wanted));
    }

    #[test]
    fn file_addresses_become_paths() {
        let wanted = Arguments {
            paths: vec!["/x/a b.dcm".into()],
            demo: false,
        };
        assert_eq!(window(&["file:///x/a%20b.dcm"]), Request::Window(wanted));
    }

    #[test]
    fn an_unknown_option_is_named() {
        assert_eq!(
            window(&["--colour"]),
            Request::Unknown("--colour".to_owned())
        );
    }
}
