//! Vector indexes of the library in memory, never behind the library.
//!
//! **Fresh.** Before every search the state of the space (see [`SpaceState`]) is compared with the index's. If it
//! changed, rows that came are added and rows that went are removed first, which takes milliseconds: an index is brought
//! up to date rather than answered from or waited for. Rows are never changed or numbered again, so what came lies above
//! the last row, and what went is what the space does not have any more.
//!
//! **On disk.** A file of the space's present state is opened as it is, one of an earlier state is brought up to date too,
//! and without either the index is made of the embeddings in the database. Restoring a backup removes the files, since
//! rows are numbered again from there.
//!
//! **Lists.** An index without lists is searched exactly, some tens of milliseconds a million. Lists are made on a
//! thread of its own for a copy of the index, which takes the place of the old one when it is ready.
//!
//! **Damage.** What is wrong with a file is found when it is opened or, in the part that is read later, by the search that
//! needs it. The file goes, the index is made of the database again, and the search is done again.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use lucency_library::vectors::{Building, IndexShelf, PartitionedIndex, VectorIndex as _, Watch};
use lucency_library::{LibraryError, Space, SpaceState, SqliteStore, Storage as _};
use lucency_nn::{Interrupt, Progress};

use super::held::{Held, Slot, index_key, model, read, turn, vectors, write};
use crate::error::{AssistantError, Result};

/// How often the state is compared again because the library changed meanwhile.
const ATTEMPTS: usize = 4;
/// Seed of the lists.
const SEED: u64 = 4;

/// The indexes of the spaces of one pack.
pub(super) struct Indexes {
    library: PathBuf,
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
            let generation = store.generation()?;
            if read(&slot)
                .as_ref()
                .is_some_and(|held| held.generation == generation)
            {
                break;
            }
            let state = store.space_state(space)?;
            if state.count == 0 {
                *write(&slot) = None;
                return Ok(None);
            }
            let Some(_turn) = turn(&slot, stop) else {
                return Err(AssistantError::Stopped);
            };
            self.renew(store, space, &slot, state, stop, report)?;
            if let Some(held) = write(&slot).as_mut() {
                held.generation = generation;
            }
        }
        self.list_in_background(space, &slot);
        Ok(Some(slot))
    }

    /// Brings the index in memory to a state, or makes it. The caller has the turn.
    fn renew(
        &self,
        store: &SqliteStore,
        space: &Space,
        slot: &Slot,
        state: SpaceState,
        stop: &Interrupt,
        report: &mut dyn FnMut(Progress),
    ) -> Result<()> {
        if let Some(held) = write(slot).as_mut() {
            return match held.state == state {
                true => Ok(()),
                false => held.catch_up(store, space, state),
            };
        }
        let made = self.open_or_gather(store, space, state, stop, report)?;
        *write(slot) = Some(made);
        Ok(())
    }

    /// Gives up the index of a space and its file, which cannot be read any more.
    ///
    /// Errors if the file cannot be removed.
    pub fn give_up(&self, space: &Space) -> Result<()> {
        let slot = self.slot(space);
        let _turn = slot.turn.lock().unwrap_or_else(PoisonError::into_inner);
        *write(&slot) = None;
        Ok(self
            .shelf()
            .clear(index_key(&model(space), SpaceState::default()))?)
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
            let mut place = write(&slot);
            let Some(held) = place.as_mut() else { continue };
            held.catch_up(store, &space, state)?;
            if state.count == 0 {
                continue;
            }
            match self.save(held, &space) {
                // It is made of the database again when it is needed.
                Err(AssistantError::Library(LibraryError::DamagedIndex { .. })) => *place = None,
                saved => saved?,
            }
        }
        Ok(())
    }

    /// Brings the index of a space up to date in memory and on disk, with lists if it is large, here and now: for the end
    /// of an embedding job.
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
        let needs_lists = {
            let Some(_turn) = turn(&slot, stop) else {
                return Ok(false);
            };
            self.renew(store, space, &slot, state, stop, report)?;
            let mut held = write(&slot);
            if let Some(held) = held.as_mut()
                && !self.shelf().path(index_key(&model(space), state)).is_file()
            {
                self.save(held, space)?;
            }
            held.as_ref().is_some_and(|held| held.index.needs_lists())
        };
        match needs_lists {
            true => self.list(space, &|| stop.is_stopped(), &mut |at| report(told(at))),
            false => Ok(true),
        }
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
        let key = index_key(&model, state);
        let opened = match self.shelf().open(key) {
            Ok(Some(index)) if index.len() as u64 == state.count => Some(index),
            Ok(_) => self.shelf().open_earlier(key)?,
            // What is wrong with the file does not matter: everything in it is in the database.
            Err(
                LibraryError::DamagedIndex { .. }
                | LibraryError::StaleIndex { .. }
                | LibraryError::FormatVersion { .. },
            ) => None,
            Err(other) => return Err(other.into()),
        };
        if let Some(index) = opened.filter(|index| index.dim() == state.dim) {
            let mut held = Held::of(index, state);
            held.catch_up(store, space, state)?;
            return Ok(held);
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
                // A failure leaves searches exact, and the next one tries again.
                let _ = crate::quiet::quietly(|| indexes.list(&space, &|| false, &mut |_| {}));
                indexes.listing.store(false, Ordering::Release);
            });
        if begun.is_err() {
            self.listing.store(false, Ordering::Release);
        }
    }

    /// Makes lists for a copy of the index and puts it in the place of the one that is searched.
    ///
    /// - returns false if stopped
    fn list(
        &self,
        space: &Space,
        stop: &(dyn Fn() -> bool + Sync),
        report: &mut dyn FnMut(Building),
    ) -> Result<bool> {
        let slot = self.slot(space);
        // The searched index goes on as it is. Of a large one the copy shares what lies in the file: half of it.
        let Some(mut held) = read(&slot).as_ref().map(Held::clone) else {
            return Ok(false);
        };
        let mut watch = Watch { stop, report };
        if !held.index.make_lists(SEED, &mut watch)? {
            return Ok(false);
        }
        let store = SqliteStore::open(&self.library)?;
        let _turn = slot.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let now = store.space_state(space)?;
        held.catch_up(&store, space, now)?;
        self.save(&mut held, space)?;
        *write(&slot) = Some(held);
        Ok(true)
    }
}

fn told(at: Building) -> Progress {
    Progress::new(format!("index: {}", at.stage), at.done, at.total)
}

#[cfg(test)]
mod tests;
