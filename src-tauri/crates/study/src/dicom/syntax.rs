//! Transfer syntaxes: how a data set and its pixel data are encoded. Source: PS3.5 annex A, PS3.6 annex A.

use super::dataset::Order;
use super::reader::Encoding;

/// How pixel data are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PixelCoding {
    /// Not at all.
    Native,
    /// Not at all, but in fragments.
    EncapsulatedNative,
    RunLength,
    /// Baseline, extended, progressive or lossless: the codestream tells.
    Jpeg,
    JpegLs,
    /// Part 1, and part 15 (high throughput).
    Jpeg2000,
    JpegXl,
    /// Each frame a raw deflate stream.
    DeflatedFrame,
    /// A video or a remote reference: no decoder here.
    None,
}

struct Known {
    uid: &'static str,
    name: &'static str,
    coding: PixelCoding,
}

const fn known(uid: &'static str, name: &'static str, coding: PixelCoding) -> Known {
    Known { uid, name, coding }
}

const IMPLICIT_LITTLE: &str = "1.2.840.10008.1.2";
const EXPLICIT_BIG: &str = "1.2.840.10008.1.2.2";
const DEFLATED: &str = "1.2.840.10008.1.2.1.99";
/// GE's private implicit little endian with big endian pixel data.
pub(crate) const GE_BIG_PIXELS: &str = "1.2.840.113619.5.2";

#[rustfmt::skip]
const KNOWN: &[Known] = &[
    known(IMPLICIT_LITTLE, "Implicit VR Little Endian", PixelCoding::Native),
    known("1.2.840.10008.1.2.1", "Explicit VR Little Endian", PixelCoding::Native),
    known("1.2.840.10008.1.2.1.98", "Encapsulated Uncompressed Explicit VR Little Endian", PixelCoding::EncapsulatedNative),
    known(DEFLATED, "Deflated Explicit VR Little Endian", PixelCoding::Native),
    known(EXPLICIT_BIG, "Explicit VR Big Endian", PixelCoding::Native),
    known(GE_BIG_PIXELS, "GE Private Implicit VR Big Endian", PixelCoding::Native),
    known("1.2.840.10008.1.2.5", "RLE Lossless", PixelCoding::RunLength),
    known("1.2.840.10008.1.2.8.1", "Deflated Image Frame Compression", PixelCoding::DeflatedFrame),
    known("1.2.840.10008.1.2.4.50", "JPEG Baseline (Process 1)", PixelCoding::Jpeg),
    known("1.2.840.10008.1.2.4.51", "JPEG Extended (Process 2 & 4)", PixelCoding::Jpeg),
    known("1.2.840.10008.1.2.4.53", "JPEG Spectral Selection, Non-Hierarchical (Process 6 & 8)", PixelCoding::Jpeg),
    known("1.2.840.10008.1.2.4.55", "JPEG Full Progression, Non-Hierarchical (Process 10 & 12)", PixelCoding::Jpeg),
    known("1.2.840.10008.1.2.4.57", "JPEG Lossless, Non-Hierarchical (Process 14)", PixelCoding::Jpeg),
    known("1.2.840.10008.1.2.4.70", "JPEG Lossless, First-Order Prediction (Process 14, Selection Value 1)", PixelCoding::Jpeg),
    known("1.2.840.10008.1.2.4.80", "JPEG-LS Lossless", PixelCoding::JpegLs),
    known("1.2.840.10008.1.2.4.81", "JPEG-LS Lossy (Near-Lossless)", PixelCoding::JpegLs),
    known("1.2.840.10008.1.2.4.90", "JPEG 2000 (Lossless Only)", PixelCoding::Jpeg2000),
    known("1.2.840.10008.1.2.4.91", "JPEG 2000", PixelCoding::Jpeg2000),
    known("1.2.840.10008.1.2.4.92", "JPEG 2000 Part 2 Multi-component (Lossless Only)", PixelCoding::Jpeg2000),
    known("1.2.840.10008.1.2.4.93", "JPEG 2000 Part 2 Multi-component", PixelCoding::Jpeg2000),
    known("1.2.840.10008.1.2.4.201", "High-Throughput JPEG 2000 (Lossless Only)", PixelCoding::Jpeg2000),
    known("1.2.840.10008.1.2.4.202", "High-Throughput JPEG 2000 with RPCL Options (Lossless Only)", PixelCoding::Jpeg2000),
    known("1.2.840.10008.1.2.4.203", "High-Throughput JPEG 2000", PixelCoding::Jpeg2000),
    known("1.2.840.10008.1.2.4.110", "JPEG XL Lossless", PixelCoding::JpegXl),
    known("1.2.840.10008.1.2.4.111", "JPEG XL JPEG Recompression", PixelCoding::JpegXl),
    known("1.2.840.10008.1.2.4.112", "JPEG XL", PixelCoding::JpegXl),
    known("1.2.840.10008.1.2.4.94", "JPIP Referenced", PixelCoding::None),
    known("1.2.840.10008.1.2.4.95", "JPIP Referenced Deflate", PixelCoding::None),
    known("1.2.840.10008.1.2.4.204", "JPIP HTJ2K Referenced", PixelCoding::None),
    known("1.2.840.10008.1.2.4.205", "JPIP HTJ2K Referenced Deflate", PixelCoding::None),
    known("1.2.840.10008.1.2.4.100", "MPEG2 Main Profile / Main Level", PixelCoding::None),
    known("1.2.840.10008.1.2.4.101", "MPEG2 Main Profile / High Level", PixelCoding::None),
    known("1.2.840.10008.1.2.4.102", "MPEG-4 AVC/H.264 High Profile / Level 4.1", PixelCoding::None),
    known("1.2.840.10008.1.2.4.103", "MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1", PixelCoding::None),
    known("1.2.840.10008.1.2.4.104", "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video", PixelCoding::None),
    known("1.2.840.10008.1.2.4.105", "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video", PixelCoding::None),
    known("1.2.840.10008.1.2.4.106", "MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2", PixelCoding::None),
    known("1.2.840.10008.1.2.4.107", "HEVC/H.265 Main Profile / Level 5.1", PixelCoding::None),
    known("1.2.840.10008.1.2.4.108", "HEVC/H.265 Main 10 Profile / Level 5.1", PixelCoding::None),
];

fn find(uid: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|k| k.uid == uid)
}

/// The transfer syntax's name in PS3.6, or "unknown".
pub fn transfer_syntax_name(uid: &str) -> &'static str {
    find(uid).map_or("unknown", |k| k.name)
}

/// How pixel data are compressed under `uid`; `None` for a syntax that is not listed.
pub(crate) fn pixel_coding(uid: &str) -> Option<PixelCoding> {
    find(uid).map(|k| k.coding)
}

/// True when the whole data set is a deflate stream.
pub(crate) fn is_deflated(uid: &str) -> bool {
    matches!(
        uid,
        DEFLATED | "1.2.840.10008.1.2.4.95" | "1.2.840.10008.1.2.4.205"
    )
}

/// The encoding of the data set; `None` when the syntax is not named.
pub(crate) fn encoding(uid: &str) -> Option<Encoding> {
    match uid {
        "" => None,
        IMPLICIT_LITTLE | GE_BIG_PIXELS => Some(Encoding::IMPLICIT_LITTLE),
        EXPLICIT_BIG => Some(Encoding {
            order: Order::Big,
            explicit: true,
        }),
        _ => Some(Encoding::EXPLICIT_LITTLE),
    }
}
