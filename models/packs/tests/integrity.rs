//! A pack that is not what its manifest states is refused, and the store keeps its promises.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use lucency_packs::{
    Existing, MANIFEST_FILE, Origin, Pack, PackBuilder, PackError, PackStore, Platt, digest,
    write_pack,
};
use support::vectors;
use tempfile::TempDir;

/// A home folder with one installed pack named `tiny`.
struct Home {
    folder: TempDir,
    store: PackStore,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = PackStore::at(folder.path());
        store
            .import(
                &vectors("clip-vit-openai").join("best_model.pth"),
                Some("tiny"),
            )
            .unwrap();
        Self { folder, store }
    }

    fn dir(&self) -> PathBuf {
        self.folder.path().join("packs/tiny")
    }

    fn weights(&self) -> PathBuf {
        self.dir().join("weights.safetensors")
    }

    /// Rewrites the manifest's text and opens the pack.
    fn with_manifest(&self, change: impl Fn(&str) -> String) -> Result<Pack, PackError> {
        let path = self.dir().join(MANIFEST_FILE);
        let original = fs::read_to_string(&path).unwrap();
        let changed = change(&original);
        assert_ne!(original, changed, "the test must change something");
        fs::write(&path, changed).unwrap();
        let result = Pack::open(&self.dir());
        fs::write(&path, original).unwrap();
        result
    }
}

#[test]
fn an_intact_pack_opens_and_keeps_its_hash() {
    let home = Home::new();
    let pack = Pack::open(&home.dir()).unwrap();
    let manifest = fs::read(home.dir().join(MANIFEST_FILE)).unwrap();
    assert_eq!(pack.hash(), digest(&manifest));
    assert_eq!(pack.hash(), home.store.verify("tiny").unwrap().hash());
    assert_eq!(
        home.store
            .find(home.dir().to_str().unwrap())
            .unwrap()
            .name(),
        "tiny"
    );
}

#[test]
fn a_truncated_file_is_refused_with_its_name_and_lengths() {
    let home = Home::new();
    let bytes = fs::read(home.weights()).unwrap();
    for cut in [0, 1, 7, 8, 100, bytes.len() / 2, bytes.len() - 1] {
        fs::write(home.weights(), &bytes[..cut]).unwrap();
        let error = Pack::open(&home.dir()).unwrap_err();
        match &error {
            PackError::WrongSize {
                file,
                expected,
                found,
                ..
            } => {
                assert_eq!(file, "weights.safetensors");
                assert_eq!((*expected, *found), (bytes.len() as u64, cut as u64));
            }
            other => panic!("{other:?}"),
        }
        assert!(
            error.to_string().contains("install the pack again"),
            "{error}"
        );
    }
}

#[test]
fn a_flipped_bit_is_refused_with_the_files_name_and_digests() {
    let home = Home::new();
    for name in ["weights.safetensors", "CARD.md"] {
        let path = home.dir().join(name);
        let bytes = fs::read(&path).unwrap();
        for at in [0, bytes.len() / 2, bytes.len() - 1] {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            fs::write(&path, &changed).unwrap();
            match Pack::open(&home.dir()) {
                Err(PackError::WrongHash {
                    file,
                    expected,
                    found,
                    ..
                }) => {
                    assert_eq!(file, name);
                    assert_eq!((expected, found), (digest(&bytes), digest(&changed)));
                }
                other => panic!("{other:?}"),
            }
        }
        fs::write(&path, &bytes).unwrap();
    }
    assert!(Pack::open(&home.dir()).is_ok());
}

#[test]
fn a_missing_file_is_refused_by_name() {
    let home = Home::new();
    fs::remove_file(home.weights()).unwrap();
    match Pack::open(&home.dir()) {
        Err(PackError::MissingFile { file, .. }) => assert_eq!(file, "weights.safetensors"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_unknown_field_is_refused_by_name() {
    let home = Home::new();
    let error = home.with_manifest(|text| text.replacen("title =", "colour = 1\ntitle =", 1));
    let error = error.unwrap_err();
    assert!(matches!(error, PackError::Manifest { .. }), "{error:?}");
    assert!(error.to_string().contains("colour"), "{error}");
    let nested = home.with_manifest(|text| text.replacen("embed_dim", "depth = 3\nembed_dim", 1));
    assert!(nested.unwrap_err().to_string().contains("depth"));
}

#[test]
fn another_format_version_is_refused_before_anything_else_is_read() {
    let home = Home::new();
    let newer = home.with_manifest(|text| text.replacen("format = 1", "format = 2\nnew = 1", 1));
    assert!(matches!(
        newer,
        Err(PackError::FormatVersion {
            found: 2,
            supported: 1,
            ..
        })
    ));
    let none = home.with_manifest(|text| text.replacen("format = 1", "", 1));
    assert!(none.unwrap_err().to_string().contains("format"));
}

#[test]
fn a_path_that_leaves_the_folder_is_refused() {
    let home = Home::new();
    let outside = home.folder.path().join("packs/outside.safetensors");
    fs::copy(home.weights(), &outside).unwrap();
    let absolute = outside.to_str().unwrap().to_string();
    for path in [
        "../outside.safetensors",
        absolute.as_str(),
        "a/../../outside.safetensors",
        "c:x",
        "",
    ] {
        let quoted = format!("path = {path:?}");
        let error = home
            .with_manifest(|text| text.replacen("path = \"weights.safetensors\"", &quoted, 1))
            .unwrap_err();
        assert!(
            matches!(error, PackError::EscapingPath { .. }),
            "{path}: {error:?}"
        );
    }
}

#[cfg(unix)]
#[test]
fn a_symbolic_link_out_of_the_folder_is_refused() {
    let home = Home::new();
    let outside = home.folder.path().join("outside.safetensors");
    fs::rename(home.weights(), &outside).unwrap();
    std::os::unix::fs::symlink(&outside, home.weights()).unwrap();
    assert!(matches!(
        Pack::open(&home.dir()),
        Err(PackError::EscapingPath { .. })
    ));
}

#[test]
fn manifests_that_contradict_themselves_are_refused() {
    let home = Home::new();
    let refused = |from: &str, to: &str, words: &str| {
        let error = home
            .with_manifest(|text| text.replacen(from, to, 1))
            .unwrap_err();
        assert!(
            error.to_string().contains(words),
            "{error} does not say {words:?}"
        );
    };
    refused(
        "role = \"weights\"",
        "role = \"spare\"",
        "none has the role",
    );
    refused("name = \"tiny\"", "name = \"../tiny\"", "not a pack's name");
    refused(
        "path = \"CARD.md\"",
        "path = \"weights.safetensors\"",
        "listed twice",
    );
    refused("embed_dim = 32", "embed_dim = 0", "embed_dim");
    refused("\nside = 32", "\nside = 30", "the model takes 32");
    refused("sha256 = \"", "sha256 = \"zz", "not a digest");
}

#[test]
fn truncated_manifests_never_open() {
    let home = Home::new();
    let length = fs::metadata(home.dir().join(MANIFEST_FILE)).unwrap().len() as usize;
    for cut in (0..length - 1).step_by(length / 60) {
        let result = home.with_manifest(|text| text.chars().take(cut).collect());
        // A manifest cut between two label sets is still a manifest, but another one.
        if let Ok(pack) = result {
            assert_ne!(pack.hash(), home.store.find("tiny").unwrap().hash());
        }
    }
}

#[test]
fn a_folder_without_a_manifest_is_no_pack() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(
        Pack::open(folder.path()),
        Err(PackError::NotAPack { .. })
    ));
}

#[test]
fn listing_shows_installed_bundled_and_damaged_packs() {
    let home = Home::new();
    let shipped = tempfile::tempdir().unwrap();
    let demo = shipped.path().join("demo");
    copy_as(&home, "demo", &demo);
    let broken = home.folder.path().join("packs/broken");
    fs::create_dir(&broken).unwrap();
    fs::write(broken.join(MANIFEST_FILE), "format = 1").unwrap();
    let store = home
        .store
        .clone()
        .with_bundled(vec![shipped.path().to_path_buf()]);
    let list = store.list().unwrap();
    let seen: Vec<_> = list
        .iter()
        .map(|e| (e.name.as_str(), e.origin, e.manifest.is_ok()))
        .collect();
    assert_eq!(
        seen,
        [
            ("demo", Origin::Bundled, true),
            ("broken", Origin::Installed, false),
            ("tiny", Origin::Installed, true),
        ]
    );
    let direct = PackStore::at(home.folder.path()).with_bundled(vec![demo]);
    assert_eq!(
        direct.list().unwrap().len(),
        3,
        "a bundled path may be the pack itself"
    );
    let unknown = store.find("nothing").unwrap_err().to_string();
    assert!(unknown.contains("demo, broken, tiny"), "{unknown}");
}

/// Writes the pack `tiny` again under another name and place.
fn copy_as(home: &Home, name: &str, destination: &Path) -> Pack {
    let pack = Pack::open(&home.dir()).unwrap();
    let mut manifest = pack.manifest().clone();
    manifest.name = name.into();
    let (weights, card) = (home.weights(), home.dir().join("CARD.md"));
    let files: [(&str, &str, &Path); 2] = [
        ("weights", "weights.safetensors", &weights),
        ("card", "CARD.md", &card),
    ];
    write_pack(destination, manifest, &files, Existing::Keep).unwrap()
}

#[test]
fn bundled_packs_cannot_be_removed_or_shadowed_and_installed_ones_can_be_removed() {
    let home = Home::new();
    let shipped = tempfile::tempdir().unwrap();
    let demo = copy_as(&home, "demo", &shipped.path().join("demo"));
    let store = home
        .store
        .clone()
        .with_bundled(vec![shipped.path().to_path_buf()]);
    assert!(matches!(
        store.remove("demo"),
        Err(PackError::Bundled { .. })
    ));
    let shadow = store.import(&home.dir(), Some("demo"));
    assert!(
        matches!(shadow, Err(PackError::NameTaken { .. })),
        "{shadow:?}"
    );
    assert_eq!(store.find("demo").unwrap().hash(), demo.hash());
    store.remove("tiny").unwrap();
    assert!(!home.dir().exists());
    assert!(matches!(
        store.remove("tiny"),
        Err(PackError::NotFound { .. })
    ));
    assert_eq!(
        fs::read_dir(home.folder.path().join("packs"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn a_damaged_pack_can_be_removed() {
    let home = Home::new();
    fs::write(home.dir().join(MANIFEST_FILE), "no manifest").unwrap();
    home.store.remove("tiny").unwrap();
    assert!(home.store.list().unwrap().is_empty());
}

#[test]
fn installing_a_packs_folder_keeps_its_hash_and_renaming_changes_it() {
    let home = Home::new();
    let other = tempfile::tempdir().unwrap();
    let store = PackStore::at(other.path());
    let original = Pack::open(&home.dir()).unwrap();
    assert_eq!(
        store.import(&home.dir(), None).unwrap().hash(),
        original.hash()
    );
    let renamed = store.import(&home.dir(), Some("second")).unwrap();
    assert_eq!(renamed.name(), "second");
    assert_ne!(renamed.hash(), original.hash());
    // A damaged pack is not installed.
    fs::write(home.weights(), "short").unwrap();
    let damaged = store.import(&home.dir(), Some("third"));
    assert!(matches!(damaged, Err(PackError::WrongSize { .. })));
    assert_eq!(store.list().unwrap().len(), 2);
}

#[test]
fn a_builder_writes_all_or_nothing_and_replaces_only_when_told() {
    let home = Home::new();
    let destination = home.folder.path().join("out/pack");
    let first = copy_as(&home, "built", &destination);
    let mut manifest = first.manifest().clone();
    manifest.title = "Another".into();
    let build = |manifest, existing| {
        let mut builder = PackBuilder::new(&destination)?;
        builder.add_copy("weights", "weights.safetensors", &home.weights())?;
        builder.add_bytes("card", "CARD.md", b"# Card")?;
        builder.finish(manifest, existing)
    };
    let kept = build(manifest.clone(), Existing::Keep);
    assert!(matches!(kept, Err(PackError::NameTaken { .. })), "{kept:?}");
    assert_eq!(Pack::open(&destination).unwrap().hash(), first.hash());
    let replaced = build(manifest.clone(), Existing::Replace).unwrap();
    assert_eq!(replaced.manifest().title, "Another");
    assert_eq!(Pack::open(&destination).unwrap().hash(), replaced.hash());
    manifest.files.clear();
    manifest.card = Some("absent.md".into());
    assert!(build(manifest, Existing::Replace).is_err());
    assert_eq!(
        Pack::open(&destination).unwrap().hash(),
        replaced.hash(),
        "still the old one"
    );
    assert_eq!(
        fs::read_dir(destination.parent().unwrap()).unwrap().count(),
        1
    );
    let builder = PackBuilder::new(&destination).unwrap();
    assert!(matches!(
        builder.path("../x"),
        Err(PackError::EscapingPath { .. })
    ));
}

#[test]
fn platt_scaling_is_a_sigmoid_of_the_scaled_margin() {
    assert_eq!(Platt::IDENTITY.probability(0.0), 0.5);
    let platt = Platt {
        scale: 2.0,
        shift: -1.0,
        threshold: 0.5,
    };
    assert!((platt.probability(1.5) - 1.0 / (1.0 + (-2.0f64).exp())).abs() < 1e-15);
}
