//! The case library inside one running program: embeddings as a question sees them, indexes that keep up.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use lucency_assistant::cases::{CaseLibrary, CaseQuery, Seen, picture_of_file};
use lucency_assistant::dto::{ColumnRole, EmbedOutcome, ImportRequest, LibraryHits, SearchBy};
use lucency_assistant::{Assistant, Compute, Interrupt, Options, Picture};
use lucency_library::{EmbeddingKind, Embeddings, Filter, Page, Space, Storage};
use tempfile::TempDir;

fn assistant(home: &Path) -> Assistant {
    let options = Options {
        home: home.to_path_buf(),
        assets: Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../assets"),
        pack: None,
        compute: Compute::processor(),
        quantise: None,
    };
    Assistant::open(options).expect("the demo pack opens")
}

/// Blots whose places follow from the seed.
fn draw(path: &Path, seed: u32) {
    let picture = image_rs::GrayImage::from_fn(96, 80, |x, y| {
        let (u, v) = (x * 6 / 96, y * 5 / 80);
        let mixed = (u * 73 + v * 151 + seed * 7919 + 1).wrapping_mul(2_654_435_761);
        image_rs::Luma([(mixed >> 24) as u8])
    });
    picture.save(path).expect("writable");
}

/// A home folder with tables of images to import.
struct Place {
    home: TempDir,
    library: CaseLibrary,
    assistant: Assistant,
}

impl Place {
    fn new() -> Self {
        let home = tempfile::tempdir().expect("a folder");
        fs::create_dir(home.path().join("data")).expect("writable");
        Self {
            library: CaseLibrary::at(home.path()),
            assistant: assistant(home.path()),
            home,
        }
    }

    fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// Imports cases `range`, each with two images of its own, and embeds them.
    fn take(&self, range: std::ops::Range<u32>) -> EmbedOutcome {
        let mut table = String::from("case,image,patient,report\n");
        for i in range.clone() {
            for view in 0..2 {
                draw(&self.data().join(format!("{i}-{view}.png")), 2 * i + view);
                table += &format!("case{i},{i}-{view}.png,p{},Report number {i}.\n", i / 2);
            }
        }
        let name = format!("{}.csv", range.start);
        let roles = ["id=case", "image=image", "patient=patient", "report=report"];
        assert_eq!(self.import(&name, &table, &roles), range.len() as u64);
        self.embed(&Interrupt::new())
    }

    /// Imports a table and returns how many cases were new.
    fn import(&self, name: &str, table: &str, roles: &[&str]) -> u64 {
        fs::write(self.data().join(name), table).expect("writable");
        let role = |pair: &&str| {
            let (role, column) = pair.split_once('=').expect("a pair");
            ColumnRole {
                column: column.into(),
                role: role.into(),
            }
        };
        let request = ImportRequest {
            format: "table".into(),
            data: self.data().to_string_lossy().into_owned(),
            table: Some(name.into()),
            columns: roles.iter().map(role).collect(),
            source: Some("test".into()),
            ..ImportRequest::default()
        };
        let done = self
            .library
            .import(&request, &Interrupt::new(), &mut |_| {});
        let done = done.expect("the table is sound");
        assert_eq!(done.rejected, 0, "{done:?}");
        done.taken
    }

    /// Imports `range` as cases of one image each.
    fn import_images(&self, range: std::ops::Range<u32>) {
        let mut table = String::from("image\n");
        for i in range.clone() {
            draw(&self.data().join(format!("{i}.png")), i);
            table += &format!("{i}.png\n");
        }
        let taken = self.import("images.csv", &table, &["image=image"]);
        assert_eq!(taken, range.len() as u64);
    }

    fn embed(&self, stop: &Interrupt) -> EmbedOutcome {
        let embedded = self.library.embed(&self.assistant, stop, &mut |_| {});
        embedded.expect("the library can be written")
    }

    fn picture(&self, seed: u32) -> Picture {
        let path = self.home.path().join("query.png");
        draw(&path, seed);
        picture_of_file(&path).expect("an image")
    }

    fn similar(&self, picture: &Picture, k: usize, filter: &[&str]) -> LibraryHits {
        let query = CaseQuery {
            k,
            filter: Filter::parse(filter).expect("a filter"),
            ..CaseQuery::default()
        };
        let seen = Seen {
            picture,
            file: None,
            patient: None,
        };
        let now = Timestamp::UNIX_EPOCH;
        let found = self.library.similar(
            &self.assistant,
            seen,
            &query,
            now,
            &Interrupt::new(),
            &mut |_| {},
        );
        found.expect("the library can be searched")
    }

    fn store(&self) -> std::sync::Arc<lucency_library::SqliteStore> {
        self.library
            .store()
            .expect("it opens")
            .expect("it is there")
    }

    fn all(&self) -> Vec<lucency_library::CaseSummary> {
        let page = Page {
            offset: 0,
            limit: 1000,
        };
        self.store().list(&Filter::default(), page).expect("cases")
    }
}

fn ids(hits: &LibraryHits) -> Vec<&str> {
    hits.hits.iter().map(|hit| hit.case_id.as_str()).collect()
}

#[test]
fn without_a_library_there_is_an_empty_status_and_searching_says_so() {
    let place = Place::new();
    let status = place
        .library
        .status(Some(&place.assistant))
        .expect("a status");
    assert_eq!((status.cases, status.to_embed), (0, 0));
    let stop = Interrupt::new();
    let nothing = place.library.embed(&place.assistant, &stop, &mut |_| {});
    assert_eq!(nothing.expect("nothing to do").images, 0);
    let query = CaseQuery {
        text: "effusion".into(),
        by: SearchBy::Words,
        k: 1,
        ..CaseQuery::default()
    };
    let error = place
        .library
        .search(None, &query, Timestamp::UNIX_EPOCH, &stop, &mut |_| {});
    assert_eq!(error.expect_err("no library").code(), "no_library");
    assert!(!place.home.path().join("library").exists(), "none was made");
}

#[test]
fn a_batch_gives_every_image_the_embedding_that_it_has_alone() {
    let place = Place::new();
    let done = place.take(0..10);
    assert_eq!((done.images, done.reports, done.unreadable), (20, 10, 0));
    let store = place.store();
    let space = Space {
        pack: place.assistant.pack().hash().to_owned(),
        kind: EmbeddingKind::Image,
    };
    let mut compared = 0;
    for stored in Embeddings::new(&*store, space, 0) {
        let stored = stored.expect("an embedding");
        let owner = &store.embedded(&[stored.row]).expect("its owner")[0];
        let paths = place.library.image_paths(&owner.case_id).expect("a case");
        let path = &paths[owner.image.expect("an image")];
        let picture = picture_of_file(path).expect("an image");
        let alone = place
            .assistant
            .image_embedding(&picture)
            .expect("an embedding");
        let alone = alone.to_vec1::<f32>().expect("numbers");
        let apart = alone
            .iter()
            .zip(&stored.vector)
            .map(|(a, b)| (a - b.to_f32()).abs());
        let apart = apart.fold(0f32, f32::max);
        assert!(apart < 1e-3, "{}: {apart}", path.display());
        compared += 1;
    }
    assert_eq!(compared, 20);
}

#[test]
fn a_dicom_file_is_embedded_as_the_window_shows_it() {
    let place = Place::new();
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../assets/demo/chest");
    let mut files: Vec<PathBuf> = fs::read_dir(demo)
        .expect("the demo study")
        .map(|e| e.expect("an entry").path())
        .filter(|p| p.extension().is_some_and(|e| e == "dcm"))
        .collect();
    files.sort();
    let library = picture_of_file(&files[0]).expect("an image");
    let window = lucency_assistant::picture::open(&files[0], 1).expect("an image");
    assert_eq!(library.pixel_hash, window.pixel_hash);
    assert_eq!(library.image, window.image);
    let embed = |picture| {
        let embedding = place
            .assistant
            .image_embedding(picture)
            .expect("an embedding");
        embedding.to_vec1::<f32>().expect("numbers")
    };
    assert_eq!(embed(&library), embed(&window));
}

#[test]
fn an_index_in_memory_keeps_up_with_what_comes_and_goes() {
    let place = Place::new();
    place.take(0..6);
    let query = place.picture(41); // an image of case 20
    let first = place.similar(&query, 50, &[]);
    assert_eq!(
        first.hits.len(),
        6,
        "cases, although there are twelve images"
    );
    place.take(20..22);
    // The very image is in the library now: neither its case nor the other new one, of the same patient, is a hit.
    let second = place.similar(&query, 50, &[]);
    assert_eq!(second.hits.len(), 6);
    let like = place.picture(43);
    let changed = Picture {
        pixel_hash: "0".repeat(64),
        ..like
    };
    let third = place.similar(&changed, 50, &[]);
    assert_eq!(third.hits.len(), 8);
    let best = &third.hits[0];
    assert!(
        best.by_image.is_some_and(|rank| rank.score > 0.999),
        "{best:?}"
    );
    assert_eq!(best.image, 1, "the second image of its case");
    let gone = best.case_id.clone();
    let deleted = place.library.delete(std::slice::from_ref(&gone));
    let deleted = deleted.expect("it is there");
    assert_eq!(deleted.deleted, 1);
    assert!(deleted.adapters.is_empty(), "nothing was trained on it");
    let fourth = place.similar(&changed, 50, &[]);
    assert_eq!(fourth.hits.len(), 7);
    assert!(!ids(&fourth).contains(&gone.as_str()));
    // Another program, with nothing in memory, finds the same.
    let other = CaseLibrary::at(place.home.path());
    let place = Place {
        library: other,
        assistant: assistant(place.home.path()),
        home: place.home,
    };
    assert_eq!(ids(&place.similar(&changed, 50, &[])), ids(&fourth));
}

#[test]
fn an_image_of_the_library_brings_its_patient_along() {
    let place = Place::new();
    place.take(0..4); // patients of two cases each
    let image = place.picture(0); // of case 0, without a word about a patient
    let found = place.similar(&image, 50, &[]);
    assert_eq!(
        found.hits.len(),
        2,
        "neither its case nor its patient's other one"
    );
    let query = CaseQuery {
        k: 50,
        same_patient: true,
        ..CaseQuery::default()
    };
    let seen = Seen {
        picture: &image,
        file: None,
        patient: None,
    };
    let now = Timestamp::UNIX_EPOCH;
    let stop = Interrupt::new();
    let found = place
        .library
        .similar(&place.assistant, seen, &query, now, &stop, &mut |_| {})
        .expect("the library can be searched");
    let marked = found.hits.iter().filter(|hit| hit.same_patient).count();
    assert_eq!((found.hits.len(), marked), (3, 1));
}

#[test]
fn a_filter_returns_as_many_cases_as_there_are_up_to_k() {
    let place = Place::new();
    place.take(0..12);
    let query = place.picture(1000);
    let all = place.similar(&query, 50, &[]);
    assert_eq!(all.hits.len(), 12);
    for case in place.all() {
        let patient = case.patient.expect("a patient");
        let found = place.similar(&query, 50, &[&format!("patient={patient}")]);
        let wanted: Vec<&str> = ids(&all)
            .into_iter()
            .filter(|id| {
                let other = place.store().get(id).expect("a case");
                other.patient.as_deref() == Some(patient.as_str())
            })
            .collect();
        assert_eq!(
            ids(&found),
            wanted,
            "the filter's cases in the order of all"
        );
        assert_eq!((found.cases, wanted.len()), (2, 2));
        let one = place.similar(&query, 1, &[&format!("patient={patient}")]);
        assert_eq!(ids(&one), wanted[..1]);
    }
}

#[test]
fn a_long_report_is_read_to_its_end() {
    let place = Place::new();
    let beginning = "The heart is of normal size and shape. ".repeat(40);
    let texts = [
        format!("{beginning}Large left pleural effusion."),
        format!("{beginning}No pneumothorax on the right."),
        "Pleural effusion.".to_owned(),
    ];
    let vectors = place.assistant.embed_reports(&texts).expect("embeddings");
    assert_ne!(vectors[0], vectors[1], "what differs stands at the end");
    let short = place
        .assistant
        .embed_texts(&texts[2..])
        .expect("an embedding");
    let short = short.to_vec2::<f32>().expect("numbers");
    let apart = short[0].iter().zip(&vectors[2]).map(|(a, b)| (a - b).abs());
    assert!(
        apart.fold(0f32, f32::max) < 1e-5,
        "a short text is embedded as ever"
    );
    for vector in &vectors {
        let length: f32 = vector.iter().map(|x| x * x).sum();
        assert!((length - 1.0).abs() < 1e-4, "unit length");
    }
}

#[test]
fn a_stopped_embedding_keeps_what_it_did_and_goes_on() {
    let place = Place::new();
    let stop = Interrupt::new();
    place.take(0..1);
    // New cases, and a switch that is pressed after the first batch.
    let status = |place: &Place| {
        place
            .library
            .status(Some(&place.assistant))
            .expect("a status")
    };
    let before = status(&place);
    assert_eq!((before.embedded_images, before.to_embed), (2, 0));
    place.import_images(100..140);
    let mut told = 0;
    let pressed = stop.clone();
    let first = place.library.embed(&place.assistant, &stop, &mut |_| {
        told += 1;
        if told == 2 {
            pressed.stop();
        }
    });
    let first = first.expect("stopped is no error").images;
    assert!(first > 0 && first < 40, "{first}");
    assert_eq!(status(&place).to_embed, 40 - first);
    let rest = place
        .library
        .embed(&place.assistant, &Interrupt::new(), &mut |_| {});
    assert_eq!(rest.expect("the rest").images, 40 - first);
    assert_eq!(status(&place).to_embed, 0);
}

#[test]
fn an_image_that_cannot_be_decoded_is_tried_once_and_one_that_is_away_again() {
    let place = Place::new();
    place.import_images(0..5);
    // Damaged without a trace in length or time, as a failing disk does it.
    let damaged = place.data().join("1.png");
    let metadata = fs::metadata(&damaged).expect("a file");
    let mut bytes = fs::read(&damaged).expect("readable");
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0);
    fs::write(&damaged, bytes).expect("writable");
    let file = fs::File::options().write(true).open(&damaged);
    let time = metadata.modified().expect("a time");
    file.expect("writable")
        .set_modified(time)
        .expect("settable");
    // One that is another file now, and one that is gone.
    fs::write(place.data().join("2.png"), b"something else").expect("writable");
    let away = place.data().join("3.png");
    fs::rename(&away, place.data().join("away")).expect("a new name");

    let stop = Interrupt::new();
    let first = place.embed(&stop);
    assert_eq!((first.images, first.unreadable), (2, 3));
    fs::rename(place.data().join("away"), &away).expect("back again");
    let second = place.embed(&stop);
    assert_eq!(
        (second.images, second.unreadable),
        (1, 1),
        "the damaged one is not tried again"
    );
    let notes = place.similar(&place.picture(77), 5, &[]).notes.join(" ");
    assert!(
        notes.contains("1 of the library's images cannot be read"),
        "{notes}"
    );
}
