//! Vector indexes on disk: what is damaged or stale is never answered from.
#![allow(clippy::unwrap_used)]

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};

use lucency_library::LibraryError;
use lucency_library::vectors::{
    APPROXIMATE_FROM, Effort, IndexKey, IndexShelf, PartitionedIndex, Rebuilt, VectorIndex as _,
    Watch,
};

const KEY: IndexKey<'static> = IndexKey {
    model: "pack",
    generation: 3,
};

fn vector(i: u64, dim: usize) -> Vec<f32> {
    (0..dim as u64)
        .map(|d| (((i * 31 + d * 17) as f32 * 12.9898).sin() * 43_758.547).fract() + 0.1)
        .collect()
}

fn small(n: u64) -> PartitionedIndex {
    let mut index = PartitionedIndex::new(6).unwrap();
    for id in 0..n {
        index.add(id * 3, &vector(id, 6)).unwrap();
    }
    index
}

fn saved(index: &mut PartitionedIndex) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/er").join(KEY.file_name());
    index.save(&path, KEY).unwrap();
    (folder, path)
}

fn with_lists() -> PartitionedIndex {
    let mut watch = Watch {
        stop: &|| false,
        report: &mut |_| {},
    };
    let vectors = (0..APPROXIMATE_FROM as u64).map(|id| Ok((id, vector(id, 6))));
    PartitionedIndex::build(6, vectors, 1, &mut watch)
        .unwrap()
        .unwrap()
}

#[test]
fn what_was_written_is_read_back() {
    for n in [0, 1, 100] {
        let mut index = small(n);
        let (_folder, path) = saved(&mut index);
        assert_eq!(PartitionedIndex::open(&path, KEY).unwrap(), index, "{n}");
    }
    let mut index = with_lists();
    index.add(9_999_999, &vector(5, 6)).unwrap();
    index.remove(17);
    let (_folder, path) = saved(&mut index);
    let read = PartitionedIndex::open(&path, KEY).unwrap();
    assert_eq!(
        read, index,
        "with lists, one vector outside them and one gone"
    );
    assert_eq!(read.list_counts(), index.list_counts());
    let query = vector(17, 6);
    for effort in [Effort::Exact, Effort::Approximate] {
        let search = |i: &PartitionedIndex| i.search(&query, 10, effort, &|_| true).unwrap();
        assert_eq!(search(&read), search(&index));
    }
}

/// So many that a plane of the vectors stays in the file.
fn large() -> PartitionedIndex {
    let mut watch = Watch {
        stop: &|| false,
        report: &mut |_| {},
    };
    let vectors = (0..180_000).map(|id| Ok((id, vector(id, 6))));
    let index = PartitionedIndex::gather(6, vectors, &mut watch);
    index.unwrap().unwrap()
}

fn make_lists(index: &mut PartitionedIndex) {
    let mut watch = Watch {
        stop: &|| false,
        report: &mut |_| {},
    };
    assert!(index.make_lists(1, &mut watch).unwrap());
}

#[test]
fn a_plane_that_stays_in_the_file_changes_no_answer() {
    let mut twin = large();
    let mut stored = twin.clone();
    let before = stored.memory_bytes();
    let (_folder, path) = saved(&mut stored);
    assert!(before - stored.memory_bytes() > 180_000 * 6 - 1000 * 6);
    let mut opened = PartitionedIndex::open(&path, KEY).unwrap();
    fs::remove_file(&path).unwrap(); // it is open
    let query = vector(77_777, 6);
    let alike = |twin: &PartitionedIndex, other: &PartitionedIndex, when: &str| {
        let search = |i: &PartitionedIndex| i.search(&query, 20, Effort::Exact, &|_| true).unwrap();
        assert_eq!(search(twin), search(other), "{when}");
    };
    let same = |twin: &PartitionedIndex, other: &PartitionedIndex, when: &str| {
        assert!(twin == other, "{when}");
        alike(twin, other, when);
    };
    same(&twin, &stored, "as it was written");
    same(&twin, &opened, "as it was read");
    for index in [&mut twin, &mut stored, &mut opened] {
        index.add(500_000, &vector(77_777, 6)).unwrap();
        index.add(500_001, &vector(3, 6)).unwrap();
        assert!(index.remove(500_001) && index.remove(0) && index.remove(99_999));
    }
    alike(&twin, &opened, "after changes");
    for index in [&mut twin, &mut stored, &mut opened] {
        index.compact();
    }
    same(&twin, &opened, "without gaps");
    make_lists(&mut twin);
    make_lists(&mut opened);
    same(&twin, &opened, "in lists");
    // Written anew from the file it lies in, in another order.
    let (_other, path) = saved(&mut opened);
    same(&twin, &opened, "written again");
    let read = PartitionedIndex::open(&path, KEY).unwrap();
    same(&twin, &read, "read again");
    assert_eq!(read.list_counts(), twin.list_counts());
}

#[test]
fn a_file_that_is_damaged_while_it_is_open_gives_an_error_and_no_answer() {
    let mut index = large();
    let (_folder, path) = saved(&mut index);
    let bytes = fs::read(&path).unwrap();
    let low = bytes.len() - 180_000 * 6;
    let search = |i: &PartitionedIndex| i.search(&vector(5, 6), 10, Effort::Exact, &|_| true);
    let opened = PartitionedIndex::open(&path, KEY).unwrap();
    let whole = search(&opened).unwrap();

    let changed: Vec<u8> = bytes[low..].iter().map(|byte| byte ^ 0x04).collect();
    fs::write(&path, [&bytes[..low], &changed].concat()).unwrap();
    for index in [&opened, &PartitionedIndex::open(&path, KEY).unwrap()] {
        let error = search(index).unwrap_err();
        assert!(
            matches!(error, LibraryError::DamagedIndex { .. }),
            "{error:?}"
        );
    }
    fs::write(&path, &bytes[..low + 100]).unwrap();
    let error = search(&opened).unwrap_err();
    assert!(
        matches!(error, LibraryError::DamagedIndex { .. }),
        "{error:?}"
    );
    fs::write(&path, &bytes).unwrap();
    assert_eq!(search(&opened).unwrap(), whole, "as it was");
    assert_damaged_head(&path, &bytes, low);
}

/// Everything before the low plane is verified when the file is opened.
fn assert_damaged_head(path: &Path, bytes: &[u8], low: usize) {
    for at in (0..low).step_by(low / 40) {
        let mut changed = bytes.to_vec();
        changed[at] ^= 0x10;
        fs::write(path, &changed).unwrap();
        assert!(PartitionedIndex::open(path, KEY).is_err(), "byte {at}");
    }
}

#[test]
fn nothing_of_a_removed_vector_is_written() {
    let mut index = small(50);
    let (_folder, path) = saved(&mut index);
    let before = fs::read(&path).unwrap();
    index.remove(30);
    index.save(&path, KEY).unwrap();
    let after = fs::read(&path).unwrap();
    assert_eq!(
        before.len() - after.len(),
        8 + 4 + 4 + 6 + 6,
        "a row and its numbers less"
    );
}

#[test]
fn a_file_cut_short_anywhere_is_damaged() {
    let mut index = small(40);
    let (_folder, path) = saved(&mut index);
    let bytes = fs::read(&path).unwrap();
    for cut in 0..bytes.len() {
        fs::write(&path, &bytes[..cut]).unwrap();
        assert_damaged(&path, &format!("cut at {cut}"));
    }
    let longer = [&bytes[..], &[0]].concat();
    fs::write(&path, longer).unwrap();
    assert_damaged(&path, "a byte more");
}

#[test]
fn a_file_cut_at_a_block_is_damaged() {
    let mut index = with_lists(); // planes of 600 000 bytes: make them several blocks
    let (_folder, path) = saved(&mut index);
    let bytes = fs::read(&path).unwrap();
    let mut cut = bytes.len();
    while cut > 0 {
        cut = cut.saturating_sub(1 << 18);
        fs::write(&path, &bytes[..cut]).unwrap();
        assert_damaged(&path, &format!("cut at {cut}"));
    }
}

#[test]
fn a_flipped_bit_anywhere_is_damaged() {
    let mut index = small(40);
    let (_folder, path) = saved(&mut index);
    let bytes = fs::read(&path).unwrap();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        fs::write(&path, &changed).unwrap();
        match PartitionedIndex::open(&path, KEY) {
            Err(LibraryError::DamagedIndex { .. }) => {}
            Err(LibraryError::FormatVersion { .. }) if (8..12).contains(&at) => {}
            other => panic!("byte {at}: {other:?}"),
        }
    }
    let mut index = with_lists();
    let (_folder, path) = saved(&mut index);
    let bytes = fs::read(&path).unwrap();
    for at in (0..bytes.len()).step_by(bytes.len() / 50) {
        let mut changed = bytes.clone();
        changed[at] ^= 0x10;
        fs::write(&path, &changed).unwrap();
        assert!(PartitionedIndex::open(&path, KEY).is_err(), "byte {at}");
    }
}

#[test]
fn another_pack_or_generation_is_stale() {
    let (_folder, path) = saved(&mut small(5));
    for key in [
        IndexKey {
            model: "other",
            ..KEY
        },
        IndexKey {
            generation: 2,
            ..KEY
        },
        IndexKey {
            generation: 4,
            ..KEY
        },
    ] {
        let error = PartitionedIndex::open(&path, key).unwrap_err();
        assert!(
            matches!(error, LibraryError::StaleIndex { .. }),
            "{error:?}"
        );
        assert_eq!(error.code(), "index_stale");
    }
}

#[test]
fn a_newer_version_is_named() {
    let (_folder, path) = saved(&mut small(5));
    let mut bytes = fs::read(&path).unwrap();
    bytes[8] = 3;
    fs::write(&path, bytes).unwrap();
    let error = PartitionedIndex::open(&path, KEY).unwrap_err();
    assert!(
        matches!(error, LibraryError::FormatVersion { found: 3, .. }),
        "{error:?}"
    );
}

#[test]
fn a_shelf_opens_what_fits_and_builds_what_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let shelf = IndexShelf::at(folder.path().join("index"));
    let asked = Cell::new(0);
    let open = |key: IndexKey<'_>, stop: bool| {
        let mut watch = Watch {
            stop: &|| stop,
            report: &mut |_| {},
        };
        let vectors = || {
            asked.set(asked.get() + 1);
            Ok((0..20).map(|id| Ok((id, vector(id, 6)))))
        };
        shelf.open_or_build(key, 6, vectors, &mut watch).unwrap()
    };
    let files = || fs::read_dir(folder.path().join("index")).unwrap().count();
    assert!(open(KEY, true).is_none(), "stopped");
    assert_eq!(open(KEY, false).unwrap().rebuilt, Some(Rebuilt::Missing));
    assert_eq!(open(KEY, false).unwrap().rebuilt, None, "now it is there");
    assert_eq!(asked.get(), 2, "vectors are read only to build");

    let path = shelf.path(KEY);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    let damaged = open(KEY, false).unwrap();
    assert!(
        matches!(damaged.rebuilt, Some(Rebuilt::Unusable(_))),
        "{:?}",
        damaged.rebuilt
    );
    assert_eq!(
        fs::read(&path).unwrap(),
        bytes,
        "the same vectors give the same file"
    );

    // A file of an earlier generation under the name of a later one.
    let next = IndexKey {
        generation: 4,
        ..KEY
    };
    fs::copy(&path, shelf.path(next)).unwrap();
    let stale = open(next, false).unwrap();
    assert!(
        matches!(stale.rebuilt, Some(Rebuilt::Unusable(_))),
        "{:?}",
        stale.rebuilt
    );
    assert_eq!(files(), 1, "the earlier generation is gone");

    let other = IndexKey {
        model: "other",
        ..KEY
    };
    assert_eq!(open(other, false).unwrap().rebuilt, Some(Rebuilt::Missing));
    assert_eq!(files(), 2, "another pack's index stays");
}

fn assert_damaged(path: &Path, what: &str) {
    let error = PartitionedIndex::open(path, KEY).unwrap_err();
    assert!(
        matches!(error, LibraryError::DamagedIndex { .. }),
        "{what}: {error:?}"
    );
}
