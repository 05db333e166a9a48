//! Indexes that keep up with the library, get lists behind the searches, and are made again when they are damaged.

use std::time::Duration;

use half::f16;
use lucency_library::vectors::fusion::Ranked;
use lucency_library::vectors::{APPROXIMATE_FROM, Effort};
use lucency_library::{Batch, EmbeddingKind, Filter, Label, NewEmbedding, NewRecord, Source};

use super::super::query::CaseQuery;
use super::super::ranking::{Found, Searching};
use super::*;

fn space() -> Space {
    Space {
        pack: "pack".into(),
        kind: EmbeddingKind::Report,
    }
}

/// Cases `range` with embeddings on a spiral.
fn put(store: &SqliteStore, range: std::ops::Range<usize>) {
    let vector = |i: usize| {
        let angle = i as f32 * 0.01;
        let numbers = [angle.sin(), angle.cos(), (0.37 * angle).sin(), 1.0];
        numbers.map(f16::from_f32).to_vec()
    };
    put_vectors(store, range, &vector);
}

fn put_vectors(
    store: &SqliteStore,
    range: std::ops::Range<usize>,
    vector: &dyn Fn(usize) -> Vec<f16>,
) {
    let source = Source {
        name: "test".into(),
        format: "table".into(),
        root: "/".into(),
    };
    let record = |i: usize| NewRecord {
        key: i.to_string(),
        labels: vec![Label::present("x")],
        ..NewRecord::default()
    };
    let batch = Batch {
        records: range.clone().map(record).collect(),
        ..Batch::default()
    };
    store.put(&source, &batch).expect("room");
    let page = lucency_library::Page {
        offset: range.start as u64,
        limit: range.len() as u64,
    };
    let cases = store.list(&Filter::default(), page).expect("cases");
    let embeddings: Vec<NewEmbedding> = cases
        .into_iter()
        .zip(range)
        .map(|(case, i)| NewEmbedding {
            case_id: case.id,
            image: None,
            pixels: None,
            vector: vector(i),
        })
        .collect();
    store.put_embeddings(&space(), &embeddings).expect("room");
}

fn count(slot: &Slot) -> (usize, bool) {
    read(slot).as_ref().map_or((0, false), |held| {
        (held.index.len(), held.index.has_lists())
    })
}

#[test]
fn a_large_index_gets_lists_behind_the_searches_and_a_file_is_brought_up_to_date() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = SqliteStore::open(folder.path()).expect("a library");
    put(&store, 0..APPROXIMATE_FROM);
    let indexes = Arc::new(Indexes::of(folder.path()));
    let stop = Interrupt::new();
    let fresh = |indexes: &Arc<Indexes>| {
        let slot = indexes.fresh(&store, &space(), &stop, &mut |_| {});
        slot.expect("it can be read").expect("it is embedded")
    };
    let slot = fresh(&indexes);
    assert_eq!(count(&slot).0, APPROXIMATE_FROM, "searched at once");
    for _ in 0..600 {
        if count(&slot).1 {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(
        count(&slot),
        (APPROXIMATE_FROM, true),
        "with lists after a while"
    );

    // What comes later is found at once, from memory and from the file of an earlier state.
    put(&store, APPROXIMATE_FROM..APPROXIMATE_FROM + 5);
    assert_eq!(count(&fresh(&indexes)), (APPROXIMATE_FROM + 5, true));
    let other = Arc::new(Indexes::of(folder.path()));
    let mut stages = Vec::new();
    let slot = other.fresh(&store, &space(), &stop, &mut |p| stages.push(p.stage));
    let slot = slot.expect("it can be read").expect("it is embedded");
    assert_eq!(
        count(&slot),
        (APPROXIMATE_FROM + 5, true),
        "the lists are kept"
    );
    assert!(stages.is_empty(), "nothing was made anew: {stages:?}");
    let last = store
        .embedding_rows(&space(), &Filter::default())
        .expect("rows");
    let last = *last.last().expect("a row") as u64;
    let vector = store
        .embeddings_after(&space(), last as i64 - 1, 1)
        .expect("a row");
    let vector: Vec<f32> = vector[0].vector.iter().map(|x| x.to_f32()).collect();
    let held = read(&slot);
    let index = &held.as_ref().expect("an index").index;
    let best = index.search(&vector, 1, Effort::Exact, &|id| id == last);
    assert_eq!(best.expect("it fits")[0].id, last);
}

#[test]
fn a_stopped_search_waits_for_no_index() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = SqliteStore::open(folder.path()).expect("a library");
    put(&store, 0..3);
    let indexes = Arc::new(Indexes::of(folder.path()));
    let stop = Interrupt::new();
    stop.stop();
    let found = indexes.fresh(&store, &space(), &stop, &mut |_| {});
    assert_eq!(found.err().map(|e| e.code()), Some("cancelled"));
}

#[test]
fn a_file_that_is_damaged_while_it_is_searched_is_made_again() {
    const DIM: usize = 512;
    const CASES: usize = 3000;
    let folder = tempfile::tempdir().expect("a folder");
    let store = SqliteStore::open(folder.path()).expect("a library");
    let number = |case: usize, i: usize| {
        let mixed = (case * DIM + i).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    let vector = |case: usize| -> Vec<f32> { (0..DIM).map(|i| number(case, i)).collect() };
    let halves = |case: usize| vector(case).into_iter().map(f16::from_f32).collect();
    put_vectors(&store, 0..CASES, &halves);
    let indexes = Arc::new(Indexes::of(folder.path()));
    let (query, stop) = (CaseQuery::default(), Interrupt::new());
    let search = || {
        let searching = Searching {
            store: &store,
            indexes: &indexes,
            query: &query,
            never: &|_| false,
            never_count: 0,
            stop: &stop,
        };
        let mut found = Found::default();
        let effort = Effort::Exact;
        let near = searching.vectors(&space(), &vector(77), effort, &mut found, &mut |_| {});
        let near = near.expect("it answers");
        let name = |hit: &Ranked| (found.id(hit.id).to_owned(), hit.score);
        near.iter().map(name).collect::<Vec<_>>()
    };
    let whole = search();
    assert!(whole[0].1 > 0.999, "itself: {:?}", whole[0]);
    let mut files = std::fs::read_dir(folder.path().join("index")).expect("an index");
    let file = files.next().expect("a file").expect("a name").path();
    let sound = std::fs::read(&file).expect("its bytes");
    let mut damaged = sound.clone();
    let low = damaged.len() - CASES * DIM;
    damaged[low..].iter_mut().for_each(|byte| *byte ^= 1);
    std::fs::write(&file, &damaged).expect("the same file, changed");
    assert_eq!(search(), whole);
    assert!(std::fs::read(&file).expect("a new file") == sound);
}
