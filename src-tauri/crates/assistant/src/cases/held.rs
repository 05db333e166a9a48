//! One space's index in memory.

use std::collections::HashSet;
use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError,
};
use std::time::Duration;

use lucency_library::vectors::{IndexKey, PartitionedIndex, VectorIndex as _};
use lucency_library::{
    Embeddings, Filter, Space, SpaceState, SqliteStore, Storage, StoredEmbedding,
};
use lucency_nn::Interrupt;

use crate::error::Result;

/// An index with the state of the space that it was made of.
#[derive(Clone)]
pub(super) struct Held {
    pub index: PartitionedIndex,
    pub state: SpaceState,
    /// A generation of the library at which the space was in this state.
    pub generation: u64,
    /// The highest row that was ever added.
    last: i64,
}

/// The place of one space's index.
#[derive(Default)]
pub(super) struct Slot {
    /// Held while the index is opened, made or brought up to date.
    pub turn: Mutex<()>,
    pub held: RwLock<Option<Held>>,
    filtered: Mutex<Option<Filtered>>,
}

/// The rows that a filter left at a generation of the library.
struct Filtered {
    generation: u64,
    filter: Filter,
    rows: Arc<Vec<i64>>,
}

impl Slot {
    /// Rows of the cases that a filter lets through, ascending; from memory if the last search had the same filter.
    pub fn filtered(
        &self,
        store: &SqliteStore,
        space: &Space,
        filter: &Filter,
    ) -> Result<Arc<Vec<i64>>> {
        let generation = store.generation()?;
        let mut last = self.filtered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*last
            && known.generation == generation
            && known.filter == *filter
        {
            return Ok(known.rows.clone());
        }
        let rows = Arc::new(store.embedding_rows(space, filter)?);
        *last = Some(Filtered {
            generation,
            filter: filter.clone(),
            rows: rows.clone(),
        });
        Ok(rows)
    }
}

/// How long a waiting search sleeps between two looks at its switch.
const LOOK_EVERY: Duration = Duration::from_millis(20);

impl Held {
    /// An index as it was opened or made.
    pub fn of(index: PartitionedIndex, state: SpaceState) -> Self {
        let last = index.ids().max().map_or(0, |id| id as i64);
        Self {
            index,
            state,
            generation: 0,
            last,
        }
    }

    /// Adds what came and removes what went, up to a state of the library, or a later one.
    pub fn catch_up(
        &mut self,
        store: &SqliteStore,
        space: &Space,
        state: SpaceState,
    ) -> Result<()> {
        for embedding in Embeddings::new(store, space.clone(), self.last) {
            let embedding = embedding?;
            self.last = embedding.row;
            let (id, vector) = numbered(embedding);
            self.index.add(id, &vector)?;
        }
        if self.index.len() as u64 != state.count {
            let there = store.embedding_rows(space, &Filter::default())?;
            let there: HashSet<u64> = there.into_iter().map(|row| row as u64).collect();
            let gone: Vec<u64> = self.index.ids().filter(|id| !there.contains(id)).collect();
            for id in gone {
                self.index.remove(id);
            }
        }
        self.state = state;
        Ok(())
    }
}

/// Every vector of a space with its row's number.
pub(super) fn vectors<'a>(
    store: &'a SqliteStore,
    space: &Space,
) -> impl Iterator<Item = lucency_library::Result<(u64, Vec<f32>)>> + 'a {
    Embeddings::new(store, space.clone(), 0).map(|embedding| embedding.map(numbered))
}

fn numbered(embedding: StoredEmbedding) -> (u64, Vec<f32>) {
    let vector = embedding.vector.iter().map(|x| x.to_f32()).collect();
    (embedding.row as u64, vector)
}

/// What the files of a space's index are named by.
pub(super) fn model(space: &Space) -> String {
    format!("{} {}", space.pack, space.kind.word())
}

pub(super) fn index_key(model: &str, state: SpaceState) -> IndexKey<'_> {
    IndexKey {
        model,
        generation: state.changed,
    }
}

pub(super) fn read(slot: &Slot) -> RwLockReadGuard<'_, Option<Held>> {
    slot.held.read().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn write(slot: &Slot) -> RwLockWriteGuard<'_, Option<Held>> {
    slot.held.write().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for the turn; none if stopped meanwhile.
pub(super) fn turn<'a>(slot: &'a Slot, stop: &Interrupt) -> Option<MutexGuard<'a, ()>> {
    loop {
        match slot.turn.try_lock() {
            Ok(turn) => return Some(turn),
            Err(TryLockError::Poisoned(turn)) => return Some(turn.into_inner()),
            Err(TryLockError::WouldBlock) if stop.is_stopped() => return None,
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOOK_EVERY),
        }
    }
}
