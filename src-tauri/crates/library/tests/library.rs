//! Cases survive on disk, damage is noticed, and neighbours are exact.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use lucency_library::{Exclude, Library, LibraryError, NewCase};
use tempfile::TempDir;

/// The beginning of an 8-bit PNG; libraries do not decode images.
fn png(seed: u8) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x01\0\0\0\x01\x08".to_vec();
    bytes.extend([0, 0, 0, 0, seed]);
    bytes
}

fn case(id: &str, patient: &str, seed: u8) -> NewCase {
    NewCase {
        id: id.into(),
        patient: patient.into(),
        modality: "DX".into(),
        body_part: "CHEST".into(),
        synthetic: true,
        labels: vec!["nodule".into()],
        findings: "A nodule in the left lung.".into(),
        impression: "Nodule.".into(),
        png: png(seed),
        pixel_hashes: vec![format!("pixels-{id}")],
    }
}

fn cases() -> Vec<NewCase> {
    vec![
        case("c", "p2", 3),
        case("a", "p1", 1),
        case("b", "p1", 2),
        case("d", "p3", 4),
    ]
}

fn library() -> (TempDir, PathBuf, Library) {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("library");
    let library = Library::create(&dir, "Test library", "CC0-1.0", cases()).unwrap();
    (folder, dir, library)
}

/// Embeddings of cases a, b, c, d; b and c are equal.
fn rows() -> Vec<Vec<f32>> {
    vec![
        vec![1.0, 0.0],
        vec![3.0, 3.0],
        vec![1.0, 1.0],
        vec![0.0, -2.0],
    ]
}

fn ids(library: &Library, model: &str, exclude: &Exclude) -> Vec<String> {
    let hits = library.nearest(model, &[2.0, 0.1], 10, exclude).unwrap();
    hits.iter().map(|hit| hit.case.id.clone()).collect()
}

#[test]
fn a_library_comes_back_as_it_was_written() {
    let (_folder, dir, _) = library();
    let library = Library::open(&dir).unwrap();
    assert_eq!(library.name(), "Test library");
    let order: Vec<&str> = library
        .cases()
        .iter()
        .map(|case| case.id.as_str())
        .collect();
    assert_eq!(order, ["a", "b", "c", "d"]);
    assert_eq!(library.image_bytes("c").unwrap(), png(3));
    let case = library.case("a").unwrap();
    assert_eq!(
        case.report_text(),
        "Findings: A nodule in the left lung.\nImpression: Nodule."
    );
    assert!(matches!(
        library.case("x"),
        Err(LibraryError::NoCase { .. })
    ));
    assert!(matches!(
        library.image_bytes("x"),
        Err(LibraryError::NoCase { .. })
    ));
}

#[test]
fn the_same_cases_in_another_order_give_the_same_files() {
    let (folder, dir, _) = library();
    let other = folder.path().join("other");
    Library::create(&other, "Test library", "CC0-1.0", cases().into_iter().rev()).unwrap();
    let read = |dir: &Path| fs::read(dir.join("library.json")).unwrap();
    assert_eq!(read(&dir), read(&other));
}

#[test]
fn unsuitable_cases_are_refused_and_leave_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("library");
    let refuse = |change: &dyn Fn(&mut Vec<NewCase>)| {
        let mut cases = cases();
        change(&mut cases);
        let error = Library::create(&dir, "n", "l", cases).unwrap_err();
        assert!(matches!(error, LibraryError::BadCase { .. }), "{error:?}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    };
    refuse(&|cases| cases[1].id = "../escape".into());
    refuse(&|cases| cases[1].id = cases[0].id.clone());
    refuse(&|cases| cases[1].png = b"GIF89a".to_vec());
    refuse(&|cases| cases[1].png[24] = 16);
    Library::create(&dir, "n", "l", cases()).unwrap();
    let again = Library::create(&dir, "n", "l", cases());
    assert!(matches!(again, Err(LibraryError::Exists { .. })));
}

#[test]
fn neighbours_are_ranked_by_cosine_and_ties_by_order() {
    let (_folder, _, library) = library();
    assert!(matches!(
        library.nearest("m", &[1.0, 0.0], 1, &Exclude::default()),
        Err(LibraryError::NotEmbedded { .. })
    ));
    library.store_embeddings("m", &rows()).unwrap();
    assert_eq!(
        ids(&library, "m", &Exclude::default()),
        ["a", "b", "c", "d"]
    );
    let hits = library
        .nearest("m", &[1.0, 0.0], 2, &Exclude::default())
        .unwrap();
    assert_eq!(hits.len(), 2);
    assert!((hits[0].score - 1.0).abs() < 1e-6, "length does not matter");
    assert!(
        (hits[1].score - 0.5f32.sqrt()).abs() < 1e-3,
        "16-bit floats are near enough"
    );
}

#[test]
fn a_search_leaves_out_the_same_patient_image_or_case() {
    let (_folder, _, library) = library();
    library.store_embeddings("m", &rows()).unwrap();
    let patient = Exclude {
        patient: Some("p1".into()),
        ..Exclude::default()
    };
    assert_eq!(ids(&library, "m", &patient), ["c", "d"]);
    let image = Exclude {
        pixel_hash: Some("pixels-a".into()),
        ..Exclude::default()
    };
    assert_eq!(ids(&library, "m", &image), ["b", "c", "d"]);
    let case = Exclude {
        case_id: Some("d".into()),
        ..Exclude::default()
    };
    assert_eq!(ids(&library, "m", &case), ["a", "b", "c"]);
}

#[test]
fn reloaded_embeddings_equal_live_ones() {
    let (_folder, dir, library) = library();
    let rows: Vec<Vec<f32>> = (0..4)
        .map(|i| (0..33).map(|j| ((i * 33 + j) as f32 * 0.7).sin()).collect())
        .collect();
    let live = library.store_embeddings("m", &rows).unwrap();
    let reloaded = Library::open(&dir)
        .unwrap()
        .embeddings("m")
        .unwrap()
        .unwrap();
    assert_eq!(*live, *reloaded);
}

#[test]
fn embeddings_of_another_model_or_another_state_are_not_used() {
    let (folder, dir, library) = library();
    library.store_embeddings("m", &rows()).unwrap();
    assert!(library.has_embeddings("m").unwrap());
    assert!(!library.has_embeddings("other").unwrap());
    let mut changed = cases();
    changed[0].impression = "Another.".into();
    let other = folder.path().join("other");
    Library::create(&other, "Test library", "CC0-1.0", changed).unwrap();
    copy_folder(&dir.join("embeddings"), &other.join("embeddings"));
    let other = Library::open(&other).unwrap();
    assert!(
        !other.has_embeddings("m").unwrap(),
        "stale embeddings never answer"
    );
    other.store_embeddings("m", &rows()).unwrap();
    assert!(other.has_embeddings("m").unwrap(), "they are made again");
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for item in fs::read_dir(from).unwrap() {
        let item = item.unwrap();
        fs::copy(item.path(), to.join(item.file_name())).unwrap();
    }
}

#[test]
fn damaged_embeddings_count_as_none() {
    let (_folder, dir, library) = library();
    library.store_embeddings("m", &rows()).unwrap();
    let path = fs::read_dir(dir.join("embeddings"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let bytes = fs::read(&path).unwrap();
    for cut in 0..bytes.len() {
        fs::write(&path, &bytes[..cut]).unwrap();
        assert!(
            !Library::open(&dir).unwrap().has_embeddings("m").unwrap(),
            "cut at {cut}"
        );
        let mut changed = bytes.clone();
        changed[cut] ^= 0x20;
        fs::write(&path, &changed).unwrap();
        assert!(
            !Library::open(&dir).unwrap().has_embeddings("m").unwrap(),
            "flip at {cut}"
        );
    }
    fs::write(&path, &bytes).unwrap();
    assert!(Library::open(&dir).unwrap().has_embeddings("m").unwrap());
}

#[test]
fn a_cache_folder_takes_embeddings_when_the_library_cannot_be_written() {
    let (folder, dir, _) = library();
    let cache = folder.path().join("cache");
    let open = || Library::open(&dir).unwrap().with_cache(&cache);
    open().store_embeddings("m", &rows()).unwrap();
    assert!(!dir.join("embeddings").exists());
    assert!(open().has_embeddings("m").unwrap());
}

#[test]
fn vectors_that_do_not_fit_are_refused() {
    let (_folder, _, library) = library();
    let refused = |rows: Vec<Vec<f32>>| {
        let error = library.store_embeddings("m", &rows).unwrap_err();
        assert!(matches!(error, LibraryError::Vectors(_)), "{error:?}");
    };
    refused(rows()[..3].to_vec());
    refused(vec![vec![1.0], vec![1.0, 2.0], vec![1.0], vec![1.0]]);
    refused(vec![vec![0.0; 2]; 4]);
    refused(vec![vec![f32::NAN; 2]; 4]);
    library.store_embeddings("m", &rows()).unwrap();
    for query in [vec![1.0], vec![f32::NAN, 0.0], vec![0.0, 0.0]] {
        assert!(
            library
                .nearest("m", &query, 1, &Exclude::default())
                .is_err()
        );
    }
}

#[test]
fn a_missing_cut_or_changed_image_is_named_by_its_case() {
    let (_folder, dir, library) = library();
    let path = dir.join("images/b.png");
    let bytes = fs::read(&path).unwrap();
    let check = |words: &str| match library.image_bytes("b").unwrap_err() {
        LibraryError::DamagedImage { id, reason } => {
            assert_eq!(id, "b");
            assert!(reason.contains(words), "{reason}");
        }
        other => panic!("{other:?}"),
    };
    fs::write(&path, &bytes[..10]).unwrap();
    check("10 bytes");
    let mut changed = bytes.clone();
    changed[26] ^= 1;
    fs::write(&path, &changed).unwrap();
    check("SHA-256");
    fs::remove_file(&path).unwrap();
    check("missing");
}

#[test]
fn a_damaged_manifest_is_an_error_that_quotes_no_report() {
    let (_folder, dir, _) = library();
    let path = dir.join("library.json");
    let text = fs::read_to_string(&path).unwrap();
    for cut in (0..text.len() - 2).step_by(7) {
        fs::write(&path, &text[..cut]).unwrap();
        let error = Library::open(&dir).unwrap_err();
        assert!(!error.to_string().contains("nodule"), "{error}");
    }
    let refused = |from: &str, to: &str| {
        assert!(text.contains(from), "the test must change something");
        fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let error = Library::open(&dir).unwrap_err();
        assert!(!error.to_string().contains("nodule"), "{error}");
        error
    };
    let version = refused("\"format\": 1", "\"format\": 9");
    assert!(matches!(
        version,
        LibraryError::FormatVersion { found: 9, .. }
    ));
    refused("\"name\"", "\"nodule\"");
    refused("\"a.png\"", "\"../a.png\"");
    refused("\"id\": \"b\"", "\"id\": \"a\"");
    refused("\"id\": \"b\"", "\"id\": \"../b\"");
    refused("\"bytes\": 30", "\"bytes\": \"nodule\"");
    fs::remove_file(&path).unwrap();
    assert!(matches!(
        Library::open(&dir),
        Err(LibraryError::NotALibrary { .. })
    ));
}

#[test]
fn a_library_without_cases_finds_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let library = Library::create(&folder.path().join("l"), "Empty", "CC0-1.0", []).unwrap();
    library.store_embeddings("m", &[]).unwrap();
    assert!(
        library
            .nearest("m", &[1.0], 3, &Exclude::default())
            .unwrap()
            .is_empty()
    );
}
