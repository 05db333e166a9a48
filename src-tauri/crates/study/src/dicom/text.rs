//! Character sets of text values.

use dicom_encoding::text::{SpecificCharacterSet, TextCodec};

/// The character set of a data set's text, (0008,0005).
pub(crate) struct Charset(SpecificCharacterSet);

impl Charset {
    /// From the attribute's value. With several values the last decides: its code extension decodes the ASCII part too.
    /// An unknown value falls back to UTF-8, which is ASCII where the text is.
    pub fn from_attribute(value: &str) -> Self {
        let code = value
            .split('\\')
            .map(str::trim)
            .rfind(|code| !code.is_empty())
            .unwrap_or("ISO_IR 192");
        let utf8 = || SpecificCharacterSet::from_code("ISO_IR 192").unwrap_or_default();
        Self(SpecificCharacterSet::from_code(code).unwrap_or_else(utf8))
    }

    /// The text, with replacement characters where bytes do not fit the character set.
    pub fn decode(&self, bytes: &[u8]) -> String {
        self.0
            .decode(bytes)
            .unwrap_or_else(|_| String::from_utf8_lossy(bytes).into_owned())
    }
}
