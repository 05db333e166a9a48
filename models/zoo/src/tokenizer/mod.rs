//! CLIP's byte-pair tokenizer, whole or restricted to a kept set of ids.
//!
//! Source: openai/CLIP, `clip/simple_tokenizer.py` and `clip.tokenize`.

mod bpe;
mod clean;
mod entities;
mod pieces;
pub mod prune;
mod words;

use crate::error::{Result, ZooError};
use bpe::{BYTE_IDS, CLIP, PLAIN_IDS, Scratch, parts, push_bytes};
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use words::Piece;

/// Positions of a text in the published CLIP models.
pub const CLIP_CONTEXT: usize = 77;

/// Turns text into ids and ids into text.
///
/// The ids are CLIP's 49408, or ranks in a kept set of them. A token outside the set is taken apart into the two tokens that it
/// was merged from, until all parts are in the set; bytes always are, so no text is ever unknown. The last two ids start and
/// end a text.
#[derive(Debug, Clone)]
pub struct ClipTokenizer {
    kept: Option<Arc<Kept>>,
}

/// A kept set of ids.
#[derive(Debug, PartialEq, Eq)]
struct Kept {
    /// CLIP's id of every kept rank: all bytes first, then merges, ascending.
    ids: Vec<u32>,
    /// Rank of every CLIP id, `ABSENT` for those taken apart.
    ranks: Vec<u16>,
}

const ABSENT: u16 = u16::MAX;

/// A kept set as it is stored in a model pack.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredKept {
    /// Which vocabulary the ids belong to; always `clip`.
    vocabulary: String,
    /// Kept merged ids, ascending.
    merged_ids: Vec<u32>,
}

const VOCABULARY: &str = "clip";

impl ClipTokenizer {
    /// CLIP's whole vocabulary of 49408 ids.
    pub fn clip() -> Self {
        Self { kept: None }
    }

    /// CLIP's vocabulary restricted to `keep` and all bytes, with ids renumbered as ranks.
    ///
    /// - `keep`: ids of CLIP's vocabulary, in any order; see [`prune::select`]
    ///
    /// Errors if an id is not one of CLIP's 49406 plain ones.
    pub fn pruned(keep: &[u32]) -> Result<Self> {
        if let Some(id) = keep.iter().find(|id| **id >= PLAIN_IDS as u32) {
            return Err(ZooError::Tokenizer(format!(
                "id {id} is not one of CLIP's {PLAIN_IDS} plain ids"
            )));
        }
        let mut ids: Vec<u32> = (0..BYTE_IDS as u32).chain(keep.iter().copied()).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut ranks = vec![ABSENT; PLAIN_IDS];
        for (rank, id) in ids.iter().enumerate() {
            ranks[*id as usize] = rank as u16;
        }
        Ok(Self {
            kept: Some(Arc::new(Kept { ids, ranks })),
        })
    }

    /// Reads a restricted vocabulary that [`save`](Self::save) wrote.
    ///
    /// Errors if the file cannot be read, is not such a file, or names an id that CLIP does not have.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|source| file_error(path, source))?;
        Self::from_json(&text)
    }

    /// Reads a restricted vocabulary from the text of such a file.
    pub fn from_json(text: &str) -> Result<Self> {
        let stored: StoredKept =
            serde_json::from_str(text).map_err(|e| ZooError::Tokenizer(e.to_string()))?;
        if stored.vocabulary != VOCABULARY {
            return Err(ZooError::Tokenizer("its vocabulary is not CLIP's".into()));
        }
        Self::pruned(&stored.merged_ids)
    }

    /// The text of a file that restores this vocabulary.
    pub fn to_json(&self) -> Result<String> {
        let stored = StoredKept {
            vocabulary: VOCABULARY.into(),
            merged_ids: match &self.kept {
                Some(kept) => kept.ids[BYTE_IDS..].to_vec(),
                None => (BYTE_IDS as u32..PLAIN_IDS as u32).collect(),
            },
        };
        serde_json::to_string(&stored).map_err(|e| ZooError::Tokenizer(e.to_string()))
    }

    /// Writes the vocabulary as a small JSON file, at once or not at all.
    pub fn save(&self, path: &Path) -> Result<()> {
        let text = self.to_json()?;
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let write = || -> std::io::Result<()> {
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(text.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(path)?;
            Ok(())
        };
        write().map_err(|source| file_error(path, source))
    }

    /// How many ids there are, start and end included.
    pub fn vocab_size(&self) -> usize {
        self.plain_ids() + 2
    }

    /// The id that starts a text.
    pub fn start(&self) -> u32 {
        self.plain_ids() as u32
    }

    /// The id that ends a text: the largest.
    pub fn end(&self) -> u32 {
        self.plain_ids() as u32 + 1
    }

    /// CLIP's ids of a restricted vocabulary in order of rank, without start and end; `None` for the whole vocabulary.
    ///
    /// Row `rank` of a restricted token embedding is row `kept_ids()[rank]` of CLIP's; start and end are rows 49406 and 49407.
    pub fn kept_ids(&self) -> Option<&[u32]> {
        self.kept.as_deref().map(|kept| kept.ids.as_slice())
    }

    fn plain_ids(&self) -> usize {
        self.kept.as_ref().map_or(PLAIN_IDS, |kept| kept.ids.len())
    }

    /// The ids of a text, without start and end.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let text = clean::clean(text);
        let mut scratch = Scratch::default();
        let (mut out, mut word_ids) = (Vec::with_capacity(text.len() / 3 + 1), Vec::new());
        for piece in words::pieces(&text) {
            match piece {
                Piece::Start => out.push(self.start()),
                Piece::End => out.push(self.end()),
                Piece::Word(word) => match &self.kept {
                    None => CLIP.encode_word(word, &mut scratch, &mut out),
                    Some(kept) => {
                        word_ids.clear();
                        CLIP.encode_word(word, &mut scratch, &mut word_ids);
                        for id in &word_ids {
                            kept.push_ranks(*id, &mut out);
                        }
                    }
                },
            }
        }
        out
    }

    /// The ids of a text as a text tower takes them: start, ids, end, zeros up to `context`.
    ///
    /// A text that is too long is cut, and its last id is the end. The result has `context` ids.
    pub fn tokenize(&self, text: &str, context: usize) -> Vec<u32> {
        let mut ids = vec![self.start()];
        ids.extend(self.encode(text));
        ids.push(self.end());
        ids.resize(ids.len().max(context), 0);
        if ids.len() > context {
            ids.truncate(context);
            if let Some(last) = ids.last_mut() {
                *last = self.end();
            }
        }
        ids
    }

    /// Several texts as a tensor `[texts, context]` of u32 ids.
    pub fn batch<T: AsRef<str>>(
        &self,
        texts: &[T],
        context: usize,
        device: &Device,
    ) -> Result<Tensor> {
        let ids: Vec<u32> = texts
            .iter()
            .flat_map(|text| self.tokenize(text.as_ref(), context))
            .collect();
        Ok(Tensor::from_vec(ids, (texts.len(), context), device)?)
    }

    /// The text of ids: words in lower case, a space after each.
    ///
    /// Bytes that are not UTF-8 become the replacement character; ids outside the vocabulary are left out.
    pub fn decode(&self, ids: &[u32]) -> String {
        let mut bytes = Vec::new();
        for id in ids {
            if *id == self.start() {
                bytes.extend_from_slice(words::START.as_bytes());
            } else if *id == self.end() {
                bytes.extend_from_slice(words::END.as_bytes());
            } else if let Some(id) = self.clip_id(*id) {
                push_bytes(id, &mut bytes);
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn clip_id(&self, id: u32) -> Option<u32> {
        match &self.kept {
            Some(kept) => kept.ids.get(id as usize).copied(),
            None => ((id as usize) < PLAIN_IDS).then_some(id),
        }
    }
}

impl Kept {
    fn push_ranks(&self, id: u32, out: &mut Vec<u32>) {
        let rank = self.ranks[id as usize];
        if rank != ABSENT {
            out.push(u32::from(rank));
        } else if let Some((left, right)) = parts(id) {
            self.push_ranks(left, out);
            self.push_ranks(right, out);
        }
    }
}

fn file_error(path: &Path, source: std::io::Error) -> ZooError {
    ZooError::File {
        path: path.display().to_string(),
        source,
    }
}
