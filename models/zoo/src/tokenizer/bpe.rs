//! CLIP's byte-pair merges.
//!
//! Ids 0..256 are bytes, 256..512 the same bytes at the end of a word, and every merge makes the next id.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::LazyLock;

/// How many ids stand for bytes, inside a word and at its end.
pub(super) const BYTE_IDS: usize = 512;
/// How many ids there are without the two special ones.
pub(super) const PLAIN_IDS: usize = BYTE_IDS + MERGES;
const MERGES: usize = 48_894;

/// Left and right id of every merge in order of rank, two little-endian 16-bit numbers each. See `data/README.md`.
static MERGE_TABLE: &[u8; MERGES * 4] = include_bytes!("../../data/clip-merges.bin");

/// The merge rules, built once a process when first needed.
pub(super) static CLIP: LazyLock<Bpe> = LazyLock::new(Bpe::new);

/// The parts of a merged id; `None` for a byte.
pub(super) fn parts(id: u32) -> Option<(u32, u32)> {
    let at = (id as usize).checked_sub(BYTE_IDS)? * 4;
    let table = MERGE_TABLE.get(at..at + 4)?;
    let part = |i: usize| u32::from(u16::from_le_bytes([table[i], table[i + 1]]));
    Some((part(0), part(2)))
}

/// Appends the text of an id: its bytes, and a space where a word ends.
pub(super) fn push_bytes(id: u32, out: &mut Vec<u8>) {
    match parts(id) {
        Some((left, right)) => {
            push_bytes(left, out);
            push_bytes(right, out);
        }
        None => {
            out.push(ID_TO_BYTE[id as usize % 256]);
            if id >= 256 {
                out.push(b' ');
            }
        }
    }
}

/// Bytes in the order of their ids: printable ones first. Source: openai/CLIP, `simple_tokenizer.py`, `bytes_to_unicode`.
const ID_TO_BYTE: [u8; 256] = {
    let mut out = [0u8; 256];
    let (mut at, mut pass) = (0, 0);
    while pass < 2 {
        let mut byte = 0usize;
        while byte < 256 {
            let printable = matches!(byte, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF);
            if printable == (pass == 0) {
                out[at] = byte as u8;
                at += 1;
            }
            byte += 1;
        }
        pass += 1;
    }
    out
};

const BYTE_TO_ID: [u8; 256] = {
    let mut out = [0u8; 256];
    let mut id = 0;
    while id < 256 {
        out[ID_TO_BYTE[id] as usize] = id as u8;
        id += 1;
    }
    out
};

/// Merge rules in an open-addressed table from a pair of ids to the id it becomes.
pub(super) struct Bpe {
    slots: Vec<(u32, u32)>,
}

const SLOT_BITS: u32 = 17;
const FREE: u32 = u32::MAX;

fn slot_of(pair: u32) -> usize {
    // Fibonacci hashing: the golden ratio's fraction spreads neighbouring pairs.
    (pair.wrapping_mul(0x9E37_79B9) >> (32 - SLOT_BITS)) as usize
}

impl Bpe {
    fn new() -> Self {
        let mut slots = vec![(FREE, 0); 1 << SLOT_BITS];
        for id in BYTE_IDS as u32..PLAIN_IDS as u32 {
            let (left, right) = parts(id).expect("every id above the bytes is a merge");
            let pair = left << 16 | right;
            let mut slot = slot_of(pair);
            while slots[slot].0 != FREE {
                slot = (slot + 1) & (slots.len() - 1);
            }
            slots[slot] = (pair, id);
        }
        Self { slots }
    }

    fn merged(&self, left: u32, right: u32) -> Option<u32> {
        let pair = left << 16 | right;
        let mut slot = slot_of(pair);
        loop {
            match self.slots[slot] {
                (found, id) if found == pair => return Some(id),
                (FREE, _) => return None,
                _ => slot = (slot + 1) & (self.slots.len() - 1),
            }
        }
    }

    /// Appends the ids of one word.
    ///
    /// A merge's id is its rank, and an id made by a merge only takes part in later ones, so taking the lowest id first, and
    /// the leftmost of equals, gives the same result as merging all occurrences of the lowest pair in turn.
    pub(super) fn encode_word(&self, word: &str, scratch: &mut Scratch, out: &mut Vec<u32>) {
        let Scratch { links, heap } = scratch;
        let bytes = word.as_bytes();
        let Some(last) = bytes.len().checked_sub(1) else {
            return;
        };
        links.clear();
        links.extend(bytes.iter().enumerate().map(|(i, &byte)| Link {
            id: u32::from(BYTE_TO_ID[usize::from(byte)]) + if i == last { 256 } else { 0 },
            previous: i.wrapping_sub(1),
            next: i + 1,
        }));
        heap.clear();
        for i in 0..last {
            if let Some(id) = self.merged(links[i].id, links[i + 1].id) {
                heap.push(Reverse((id, i)));
            }
        }
        while let Some(Reverse((id, i))) = heap.pop() {
            let next = links[i].next;
            // An entry is stale when one of its two parts has been merged since.
            if links[i].id == GONE
                || next > last
                || parts(id) != Some((links[i].id, links[next].id))
            {
                continue;
            }
            let after = links[next].next;
            links[next].id = GONE;
            links[i] = Link {
                id,
                next: after,
                ..links[i]
            };
            if after <= last {
                links[after].previous = i;
                if let Some(id) = self.merged(id, links[after].id) {
                    heap.push(Reverse((id, i)));
                }
            }
            let before = links[i].previous;
            if before <= last
                && let Some(id) = self.merged(links[before].id, id)
            {
                heap.push(Reverse((id, before)));
            }
        }
        let mut at = 0;
        while at <= last {
            out.push(links[at].id);
            at = links[at].next;
        }
    }
}

const GONE: u32 = u32::MAX;

/// One part of a word that is being merged.
#[derive(Clone, Copy)]
struct Link {
    id: u32,
    previous: usize,
    next: usize,
}

/// Memory that is reused from word to word.
#[derive(Default)]
pub(super) struct Scratch {
    links: Vec<Link>,
    heap: BinaryHeap<Reverse<(u32, usize)>>,
}
