//! What is remembered between questions: features of frames in memory, embeddings on disk.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use candle_core::{Device, Tensor};
use sha2::{Digest, Sha256};

use crate::error::{AssistantError, Result};

/// What the image tower makes of one frame.
#[derive(Clone)]
pub(crate) struct FrameFeatures {
    /// The trunk's last spatial representation, batch 1: where the heat map's gradient starts.
    pub(crate) hidden: Tensor,
    /// Rows and columns of its positions.
    pub(crate) grid: (usize, usize),
    /// Input of the question-answering head, batch 1; none without a head.
    pub(crate) answer_features: Option<Tensor>,
    /// Input of the question-answering network, batch 1; none without one.
    pub(crate) network_features: Option<Tensor>,
    /// Image embedding, `[dim]`, unit length.
    pub(crate) embedding: Tensor,
}

/// The most recently used frames of one pack.
pub(crate) struct Memory {
    frames: Mutex<VecDeque<(String, FrameFeatures)>>,
    capacity: usize,
}

impl Memory {
    /// Remembers up to `capacity` frames.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            frames: Mutex::new(VecDeque::with_capacity(capacity + 1)),
            capacity,
        }
    }

    /// The features of a frame by its key, or what `make` makes of it.
    pub(crate) fn get_or<E>(
        &self,
        key: &str,
        make: impl FnOnce() -> Result<FrameFeatures, E>,
    ) -> Result<FrameFeatures, E> {
        {
            let mut frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(at) = frames.iter().position(|(k, _)| k == key)
                && let Some(entry) = frames.remove(at)
            {
                frames.push_front(entry);
                return Ok(frames[0].1.clone());
            }
        }
        let features = make()?; // without the lock: other frames go on
        let mut frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        frames.push_front((key.to_owned(), features.clone()));
        frames.truncate(self.capacity);
        Ok(features)
    }
}

/// Image embeddings of one pack on disk, by pixel hash. A file that is damaged counts as absent.
pub(crate) struct EmbeddingStore {
    folder: PathBuf,
}

impl EmbeddingStore {
    /// Below the application's home, a folder for each pack.
    pub(crate) fn new(home: &Path, pack_hash: &str) -> Self {
        Self {
            folder: home.join("cache").join("embeddings").join(pack_hash),
        }
    }

    /// The embedding of a frame, `[dim]`; none if it is not there, damaged or of another length.
    pub(crate) fn read(&self, key: &str, dim: usize) -> Option<Tensor> {
        let bytes = std::fs::read(self.folder.join(key)).ok()?;
        let (body, digest) = bytes.split_at_checked(dim * 4)?;
        if Sha256::digest(body).as_slice() != digest {
            return None;
        }
        let values: Vec<f32> = body
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect();
        Tensor::from_vec(values, dim, &Device::Cpu).ok()
    }

    /// Keeps an embedding. A cache that cannot be written is not an error: the embedding is made again next time.
    pub(crate) fn write(&self, key: &str, embedding: &[f32]) {
        let mut bytes: Vec<u8> = embedding.iter().flat_map(|v| v.to_le_bytes()).collect();
        let digest = Sha256::digest(&bytes);
        bytes.extend_from_slice(digest.as_slice());
        let written = std::fs::create_dir_all(&self.folder).is_ok();
        if written && let Ok(mut file) = tempfile::NamedTempFile::new_in(&self.folder) {
            use std::io::Write;
            if file.write_all(&bytes).is_ok() && file.as_file().sync_data().is_ok() {
                // Losing the race to another process leaves the same bytes.
                let _ = file.persist(self.folder.join(key));
            }
        }
    }
}

/// Removes every image embedding that is kept on disk, of all packs: they are named by pixels, not by cases, and are made again
/// when they are needed.
///
/// Errors if the folder cannot be removed.
pub(crate) fn forget_embeddings(home: &Path) -> Result<()> {
    match std::fs::remove_dir_all(home.join("cache").join("embeddings")) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(AssistantError::Io {
            what: "the cache of embeddings".into(),
            source,
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_embedding_counts_as_absent() {
        let home = tempfile::tempdir().unwrap();
        let store = EmbeddingStore::new(home.path(), "pack");
        store.write("frame", &[1.0, 2.0]);
        let read = store.read("frame", 2).unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(read, [1.0, 2.0], "what was written is read");
        let file = home.path().join("cache/embeddings/pack/frame");
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[0] ^= 1;
        std::fs::write(&file, &bytes).unwrap();
        assert!(
            store.read("frame", 2).is_none(),
            "the checksum finds the flipped bit"
        );
        std::fs::write(&file, &bytes[..3]).unwrap();
        assert!(
            store.read("frame", 2).is_none(),
            "a truncated file is not read"
        );
    }

    #[test]
    fn the_least_recently_used_frame_is_forgotten() {
        let memory = Memory::new(2);
        let made = std::cell::Cell::new(0);
        let features = || -> Result<FrameFeatures, ()> {
            made.set(made.get() + 1);
            let t = Tensor::new(&[0f32], &Device::Cpu).unwrap();
            Ok(FrameFeatures {
                hidden: t.clone(),
                grid: (1, 1),
                answer_features: None,
                network_features: None,
                embedding: t,
            })
        };
        for key in ["a", "b", "a", "c", "a", "b"] {
            let _ = memory.get_or(key, features);
        }
        assert_eq!(
            made.get(),
            4,
            "a and b are made, c pushes out b, b is made again"
        );
    }
}
