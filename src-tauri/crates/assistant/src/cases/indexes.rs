//! Vector indexes of the library in memory, never behind the library.
//!
//! **Fresh.** Before every search the state of the space (see [`SpaceState`]) is compared with the index's. If it
//! changed, rows that came are added and rows that went are removed first, which takes milliseconds: an index is brought
//! up to date rather than answered from or waited for. Rows are never changed or numbered again, so what came lies above
//! the last row, and what went is what the space does not have any more.
//!
//! **Lists.** An index without lists is searched exactly, some tens of milliseconds a million. Lists are made on a
//! thread of its own from vectors of its own, and the new index takes the place of the old one when it is ready.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, TryLockError};
use std::time::Duration;

use lucency_library::vectors::{
    Building, IndexKey, IndexShelf, PartitionedIndex, VectorIndex as _, Watch,
};
use lucency_library::{
    Embeddings, Filter, LibraryError, Space, SpaceState, SqliteStore, Storage, StoredEmbedding,
};
use lucency_nn::{Interrupt, Progress};

use crate::error::{AssistantError, Result};

/// How often the state is compared again because the library changed meanwhile.
const ATTEMPTS: usize = 4;
/// How long a waiting search sleeps between two looks at its switch.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Seed of the lists.
const SEED: u64 = 4;

/// An index with the state of the space that it was made of.
pub(super) struct Held {
    pub index: PartitionedIndex,
    state: SpaceState,
    /// The highest row that was ever added.
    last: i64,
}

/// The place of one space's index.
#[derive(Default)]
pub(super) struct Slot {
    /// Held while the index is opened, made or brought up to date.
    turn: Mutex<()>,
    pub held: RwLock<Option<Held>>,
}

/// The indexes of the spaces of one pack.
pub(super) struct Indexes {
    library: std::path::PathBuf,
    slots: Mutex<HashMap<Space, Arc<Slot>>>,
    listing: AtomicBool,
}

impl Indexes {
    /// Of the library in a folder; nothing is read yet.
    pub fn of(library: &Path) -> Self {
        Self {
            library: library.to_path_buf(),
            slots: Mutex::default(),
            listing: AtomicBool::new(false),
        }
    }

    /// The index of a space, as new as the library; none if nothing is embedded.
    ///
    /// Errors with [`AssistantError::Stopped`] when `stop` is pressed, or if the embeddings or the index's file cannot
    /// be read.
    pub fn fresh(
        self: &Arc<Self>,
        store: &SqliteStore,
        space: &Space,
        stop: &Interrupt,
        report: &mut dyn FnMut(Progress),
    ) -> Result<Option<Arc<Slot>>> {
        let slot = self.slot(space);
        for _ in 0..ATTEMPTS {
            let state = store.space_state(space)?;
            if state.count == 0 {
                *write(&slot) = None;
                return Ok(None);
            }
            if is_of(&slot, state) {
                break;
            }
            let Some(_turn) = turn(&slot, stop) else {
                return Err(AssistantError::Stopped);
            };
            if is_of(&slot, state) {
                break;
            }
            let known = read(&slot).is_some();
            match known {
                true => {
                    let mut held = write(&slot);
                    if let Some(held) = held.as_mut() {
                        held.catch_up(store, space, state)?;
                    }
                }
                false => {
                    let made = self.open_or_gather(store, space, state, stop, report)?;
                    *write(&slot) = Some(made);
                }
            }
        }
        self.list_in_background(space, &slot);
        Ok(Some(slot))
    }

    /// Brings the indexes in memory and on disk up to date after cases were deleted.
    pub fn forget_deleted(&self, store: &SqliteStore) -> Result<()> {
        let slots: Vec<(Space, Arc<Slot>)> = {
            let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            slots
                .iter()
                .map(|(s, slot)| (s.clone(), slot.clone()))
                .collect()
        };
        for (space, slot) in slots {
            let _turn = slot.turn.lock().unwrap_or_else(PoisonError::into_inner);
            let state = store.space_state(&space)?;
            if let Some(held) = write(&slot).as_mut() {
                held.catch_up(store, &space, state)?;
                if state.count > 0 {
                    self.save(held, &space)?;
                }
            }
        }
        Ok(())
    }

    /// Makes the lists of a large index and writes it, here and now: for the end of an embedding job.
    ///
    /// - returns false if stopped; searches are exact then
    pub fn settle(
        self: &Arc<Self>,
        store: &SqliteStore,
        space: &Space,
        stop: &Interrupt,
        report: &mut dyn FnMut(Progress),
    ) -> Result<bool> {
        let state = store.space_state(space)?;
        if state.count == 0 {
            return Ok(true);
        }
        let slot = self.slot(space);
        let key = model(space);
        let stopped = || stop.is_stopped();
        let mut progress = |at: Building| report(told(at));
        let mut watch = Watch {
            stop: &stopped,
            report: &mut progress,
        };
        let vectors = || Ok(vectors(store, space));
        let key = index_key(&key, state);
        let shelf = self.shelf();
        let Some(opened) = shelf.open_or_build(key, state.dim, vectors, &mut watch)? else {
            return Ok(false);
        };
        let _turn = slot.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut held = Held::of(opened.index, state);
        let now = store.space_state(space)?;
        if now != state {
            held.catch_up(store, space, now)?;
        }
        *write(&slot) = Some(held);
        Ok(true)
    }

    fn slot(&self, space: &Space) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        // Another pack's indexes would only take memory.
        slots.retain(|known, _| known.pack == space.pack);
        slots.entry(space.clone()).or_default().clone()
    }

    fn shelf(&self) -> IndexShelf {
        IndexShelf::at(self.library.join("index"))
    }

    fn open_or_gather(
        &self,
        store: &SqliteStore,
        space: &Space,
        state: SpaceState,
        stop: &Interrupt,
        report: &mut dyn FnMut(Progress),
    ) -> Result<Held> {
        let model = model(space);
        let opened = match self.shelf().open(index_key(&model, state)) {
            Ok(Some(index)) if index.dim() == state.dim && index.len() as u64 == state.count => {
                Some(index)
            }
            Ok(_) => None,
            // What is wrong with the file does not matter: everything in it is in the database.
            Err(
                LibraryError::DamagedIndex { .. }
                | LibraryError::StaleIndex { .. }
                | LibraryError::FormatVersion { .. },
            ) => None,
            Err(other) => return Err(other.into()),
        };
        if let Some(index) = opened {
            return Ok(Held::of(index, state));
        }
        let stopped = || stop.is_stopped();
        let mut progress = |at: Building| report(told(at));
        let mut watch = Watch {
            stop: &stopped,
            report: &mut progress,
        };
        let gathered = PartitionedIndex::gather(state.dim, vectors(store, space), &mut watch)?;
        let mut held = Held::of(gathered.ok_or(AssistantError::Stopped)?, state);
        // Vectors may have come while they were read; only an index of exactly this state is written.
        if held.index.len() as u64 == state.count && store.space_state(space)? == state {
            self.save(&mut held, space)?;
        }
        Ok(held)
    }

    fn save(&self, held: &mut Held, space: &Space) -> Result<()> {
        let model = model(space);
        let key = index_key(&model, held.state);
        self.shelf().save(&mut held.index, key)?;
        Ok(())
    }

    /// Begins to make lists for an index that would gain from them, unless that was begun already.
    fn list_in_background(self: &Arc<Self>, space: &Space, slot: &Arc<Slot>) {
        let needed = read(slot).as_ref().is_some_and(|h| h.index.needs_lists());
        if !needed || self.listing.swap(true, Ordering::AcqRel) {
            return;
        }
        let (indexes, space) = (self.clone(), space.clone());
        let begun = std::thread::Builder::new()
            .name("library lists".into())
            .spawn(move || {
                crate::quiet::lower_priority();
                // A failure leaves searches exact, and the next one tries again.
                let _ = indexes.list(&space);
                indexes.listing.store(false, Ordering::Release);
            });
        if begun.is_err() {
            self.listing.store(false, Ordering::Release);
        }
    }

    fn list(self: &Arc<Self>, space: &Space) -> Result<()> {
        let store = SqliteStore::open(&self.library)?;
        let state = store.space_state(space)?;
        let mut watch = Watch {
            stop: &|| false,
            report: &mut |_| {},
        };
        let vectors = vectors(&store, space);
        let Some(index) = PartitionedIndex::build(state.dim, vectors, SEED, &mut watch)? else {
            return Ok(());
        };
        let slot = self.slot(space);
        let _turn = slot.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut held = Held::of(index, state);
        let now = store.space_state(space)?;
        held.catch_up(&store, space, now)?;
        self.save(&mut held, space)?;
        *write(&slot) = Some(held);
        Ok(())
    }
}

impl Held {
    fn of(index: PartitionedIndex, state: SpaceState) -> Self {
        let last = index.ids().max().map_or(0, |id| id as i64);
        Self { index, state, last }
    }

    /// Adds what came and removes what went, up to a state of the library, or a later one.
    fn catch_up(&mut self, store: &SqliteStore, space: &Space, state: SpaceState) -> Result<()> {
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
            self.index.compact();
        }
        self.state = state;
        Ok(())
    }
}

/// Every vector of a space with its row's number.
fn vectors<'a>(
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
fn model(space: &Space) -> String {
    format!("{} {}", space.pack, space.kind.word())
}

fn index_key(model: &str, state: SpaceState) -> IndexKey<'_> {
    IndexKey {
        model,
        generation: state.changed,
    }
}

fn told(at: Building) -> Progress {
    Progress::new(format!("index: {}", at.stage), at.done, at.total)
}

pub(super) fn read(slot: &Slot) -> std::sync::RwLockReadGuard<'_, Option<Held>> {
    slot.held.read().unwrap_or_else(PoisonError::into_inner)
}

fn write(slot: &Slot) -> std::sync::RwLockWriteGuard<'_, Option<Held>> {
    slot.held.write().unwrap_or_else(PoisonError::into_inner)
}

fn is_of(slot: &Slot, state: SpaceState) -> bool {
    read(slot).as_ref().is_some_and(|held| held.state == state)
}

/// Waits for the turn; none if stopped meanwhile.
fn turn<'a>(slot: &'a Slot, stop: &Interrupt) -> Option<std::sync::MutexGuard<'a, ()>> {
    loop {
        match slot.turn.try_lock() {
            Ok(turn) => return Some(turn),
            Err(TryLockError::Poisoned(turn)) => return Some(turn.into_inner()),
            Err(TryLockError::WouldBlock) if stop.is_stopped() => return None,
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOOK_EVERY),
        }
    }
}
