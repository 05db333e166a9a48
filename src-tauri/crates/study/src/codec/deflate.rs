//! Deflated Image Frame Compression: each frame one raw deflate stream. Source: PS3.5 A.4.13.

use std::io::Read;

use crate::error::{Result, StudyError};

/// Inflates up to `wanted` bytes.
///
/// Errors if the stream is damaged or has fewer bytes.
pub(crate) fn decode(bytes: &[u8], wanted: u64) -> Result<Vec<u8>> {
    let mut inflated = Vec::new();
    let outcome = flate2::read::DeflateDecoder::new(bytes)
        .take(wanted)
        .read_to_end(&mut inflated);
    if inflated.len() as u64 == wanted {
        return Ok(inflated);
    }
    Err(match outcome {
        Ok(_) => StudyError::truncated("a deflated frame"),
        Err(_) => StudyError::corrupt("a deflated frame"),
    })
}
