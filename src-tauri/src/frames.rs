//! Frames as raw bytes, and the decoded frames that are kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lucency_study::Frame;

/// Bytes of stored values that are kept decoded: a scrolled series is asked about without decoding again.
const BUDGET: usize = 256 << 20;

/// Series and flat frame index.
pub type Key = (String, usize);

/// Decoded frames, least recently used dropped first.
pub struct FrameCache {
    budget: usize,
    kept: Mutex<Kept>,
}

impl Default for FrameCache {
    fn default() -> Self {
        Self::of_bytes(BUDGET)
    }
}

#[derive(Default)]
struct Kept {
    frames: HashMap<Key, (Arc<Frame>, u64)>,
    bytes: usize,
    clock: u64,
}

impl FrameCache {
    /// A cache that keeps at most `budget` bytes of stored values, or one frame if that is larger.
    pub fn of_bytes(budget: usize) -> Self {
        Self {
            budget,
            kept: Mutex::default(),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The frame under `key`, if it is kept.
    pub fn get(&self, key: &Key) -> Option<Arc<Frame>> {
        let mut kept = self.kept();
        kept.clock += 1;
        let now = kept.clock;
        let (frame, used) = kept.frames.get_mut(key)?;
        *used = now;
        Some(frame.clone())
    }

    /// Keeps a frame, and drops others to stay within the budget.
    pub fn put(&self, key: Key, frame: Arc<Frame>) {
        let mut kept = self.kept();
        kept.clock += 1;
        let now = kept.clock;
        kept.bytes += size(&frame);
        if let Some((old, _)) = kept.frames.insert(key, (frame, now)) {
            kept.bytes -= size(&old);
        }
        while kept.bytes > self.budget && kept.frames.len() > 1 {
            let oldest = kept.frames.iter().min_by_key(|(_, (_, used))| *used);
            let Some(key) = oldest.map(|(key, _)| key.clone()) else {
                break;
            };
            kept.remove(&key);
        }
    }

    /// Drops every frame of the series whose identifier `belongs` accepts.
    pub fn forget(&self, belongs: impl Fn(&str) -> bool) {
        let mut kept = self.kept();
        let keys: Vec<Key> = kept
            .frames
            .keys()
            .filter(|k| belongs(&k.0))
            .cloned()
            .collect();
        for key in keys {
            kept.remove(&key);
        }
    }
}

impl Kept {
    fn remove(&mut self, key: &Key) {
        if let Some((frame, _)) = self.frames.remove(key) {
            self.bytes -= size(&frame);
        }
    }
}

fn size(frame: &Frame) -> usize {
    let bytes = match frame.values.kind() {
        "u8" | "i8" => 1,
        "u16" | "i16" => 2,
        "f64" => 8,
        _ => 4,
    };
    frame.values.len() * bytes
}

/// What `frame_pixels` sends: stored values little endian, row by row, samples interleaved; colour frames as 8-bit RGB.
pub fn bytes(frame: &Frame) -> Vec<u8> {
    if frame.is_colour() {
        frame.render_default().data
    } else {
        frame.values.to_le_bytes()
    }
}

/// A PNG of the frame through its own window, at most `side` pixels wide and high, with square pixels.
///
/// - `aspect`: heights of the frame's pixels in widths
///
/// Errors if the PNG cannot be encoded.
pub fn thumbnail(frame: &Frame, aspect: f64, side: u32) -> image::ImageResult<Vec<u8>> {
    let rendered = frame.render_default();
    let (width, height) = (rendered.width, rendered.height);
    let grey = rendered.channels == 1;
    let picture = if grey {
        image::GrayImage::from_raw(width, height, rendered.data).map(Into::into)
    } else {
        image::RgbImage::from_raw(width, height, rendered.data).map(Into::into)
    };
    let picture: image::DynamicImage =
        picture.expect("a rendered frame has width * height * channels bytes");
    let mut png = std::io::Cursor::new(Vec::new());
    let (width, height) = fitted(width, height, aspect, side);
    picture
        .thumbnail_exact(width, height)
        .write_to(&mut png, image::ImageFormat::Png)?;
    Ok(png.into_inner())
}

/// The largest size within a square of `side` pixels that keeps an image's proportions, never larger than the image.
fn fitted(width: u32, height: u32, aspect: f64, side: u32) -> (u32, u32) {
    let (wide, high) = (f64::from(width), f64::from(height) * aspect);
    let scale = (f64::from(side) / wide.max(high)).min(1.0);
    let pixels = |length: f64| ((length * scale).round() as u32).clamp(1, side);
    (pixels(wide), pixels(high))
}

#[cfg(test)]
mod tests {
    use lucency_study::{ModalityTransform, Photometric, Polarity, StoredValues};

    use super::*;

    fn frame(values: Vec<u8>) -> Arc<Frame> {
        Arc::new(Frame {
            rows: 1,
            columns: values.len() as u32,
            samples: 1,
            values: StoredValues::U8(values),
            bits_stored: 8,
            photometric: Photometric::Monochrome2,
            modality: ModalityTransform::Identity,
            voi: vec![],
            polarity: Polarity::Normal,
            spacing: None,
            padding: None,
        })
    }

    fn key(index: usize) -> Key {
        ("1.0".to_owned(), index)
    }

    #[test]
    fn the_frame_that_was_used_least_lately_goes_first() {
        let cache = FrameCache::of_bytes(20);
        cache.put(key(0), frame(vec![0; 10]));
        cache.put(key(1), frame(vec![0; 10]));
        assert!(cache.get(&key(0)).is_some(), "within the budget");
        cache.put(key(2), frame(vec![0; 10]));
        assert!(cache.get(&key(1)).is_none(), "the oldest one went");
        assert!(cache.get(&key(0)).is_some() && cache.get(&key(2)).is_some());
    }

    #[test]
    fn a_frame_larger_than_the_budget_is_kept_alone() {
        let cache = FrameCache::of_bytes(5);
        cache.put(key(0), frame(vec![0; 3]));
        cache.put(key(1), frame(vec![0; 10]));
        assert!(cache.get(&key(0)).is_none());
        assert!(cache.get(&key(1)).is_some());
    }

    #[test]
    fn a_closed_study_is_forgotten() {
        let cache = FrameCache::of_bytes(100);
        cache.put(key(0), frame(vec![0; 10]));
        cache.forget(|series| series.starts_with("1."));
        assert!(cache.get(&key(0)).is_none());
        assert_eq!(cache.kept().bytes, 0);
    }

    #[test]
    fn a_thumbnail_is_a_png_within_its_size() {
        let wide = frame((0..=255).collect());
        let png = thumbnail(&wide, 1.0, 64).expect("a frame has a thumbnail");
        let picture = image::load_from_memory(&png).expect("it is a PNG");
        assert!(picture.width() <= 64 && picture.height() <= 64);
    }

    #[test]
    fn a_thumbnail_has_the_proportions_of_the_body_not_of_the_grid() {
        assert_eq!(
            fitted(400, 200, 2.0, 100),
            (100, 100),
            "pixels twice as high"
        );
        assert_eq!(fitted(400, 200, 0.5, 100), (100, 25), "pixels half as high");
        assert_eq!(
            fitted(40, 20, 1.0, 100),
            (40, 20),
            "small images stay small"
        );
        assert_eq!(fitted(3000, 1, 1.0, 100), (100, 1), "never without a row");
    }
}
