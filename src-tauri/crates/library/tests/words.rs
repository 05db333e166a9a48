//! Searching by words gives what SQLite's own `bm25()` gives for all texts, whatever happened to the index before.
#![allow(clippy::unwrap_used)]

mod common;

use common::Place;
use lucency_library::search::{WordHits, WordQuery};
use lucency_library::{
    Batch, Facts, Filter, NewRecord, Page, Question, Source, SqliteStore, Storage, Text, TextKind,
};
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// From words that nearly every text has to words that few have; accents and another script among them.
const WORDS: &[&str] = &[
    "no",
    "the",
    "chest",
    "pleural",
    "effusion",
    "Läsion",
    "left",
    "upper",
    "lobe",
    "opacity",
    "nodule",
    "肝脏",
    "pneumothorax",
    "T2-weighted",
    "4.5",
    "fracture",
    "scoliosis",
    "œdème",
];

fn source() -> Source {
    Source {
        name: "test".into(),
        format: "table".into(),
        root: "/".into(),
    }
}

/// A text of words, the first ones often.
fn text(random: &mut ChaCha8Rng) -> String {
    let length = random.random_range(3..60);
    let word = |random: &mut ChaCha8Rng| {
        let place = (random.random::<f64>().powi(3) * WORDS.len() as f64) as usize;
        WORDS[place]
    };
    let mut words: Vec<&str> = (0..length).map(|_| word(random)).collect();
    if random.random_bool(0.2) {
        words.extend(["left", "upper", "lobe", "left", "upper", "lobe"]);
    }
    words.join(" ")
}

fn records(numbers: std::ops::Range<usize>, random: &mut ChaCha8Rng) -> Vec<NewRecord> {
    let record = |number: usize| NewRecord {
        key: number.to_string(),
        facts: Facts {
            sex: Some(["F", "M"][number % 2].into()),
            age: Some((number % 90) as u16),
            ..Facts::default()
        },
        texts: (0..random.random_range(1..3))
            .map(|_| Text {
                kind: *[TextKind::Report, TextKind::Caption]
                    .choose(random)
                    .unwrap(),
                body: text(random),
            })
            .collect(),
        questions: (0..number % 2)
            .map(|_| Question {
                question: text(random),
                answer: Some(text(random)),
                answer_type: None,
                question_type: None,
                language: None,
                reference: None,
                split: None,
            })
            .collect(),
        ..NewRecord::default()
    };
    numbers.map(record).collect()
}

fn put(store: &SqliteStore, records: Vec<NewRecord>) {
    let batch = Batch {
        records,
        ..Batch::default()
    };
    store.put(&source(), &batch).unwrap();
}

fn delete_some(store: &SqliteStore, random: &mut ChaCha8Rng, share: f64) {
    let page = Page {
        offset: 0,
        limit: u64::MAX,
    };
    let ids: Vec<String> = store
        .list(&Filter::default(), page)
        .unwrap()
        .into_iter()
        .filter(|_| random.random_bool(share))
        .map(|case| case.id)
        .collect();
    store.delete(&ids).unwrap();
}

fn search(store: &SqliteStore, text: &str, filter: &[&str], kinds: &[TextKind]) -> WordHits {
    let query = WordQuery {
        text: text.into(),
        filter: Filter::parse(filter).unwrap(),
        kinds: kinds.to_vec(),
        k: 25,
    };
    store.search_words(&query).unwrap()
}

/// What SQLite says: the best text of every case, of all texts that match.
fn plainly(store: &SqliteStore, expression: &str, condition: &str) -> Vec<(String, f64)> {
    let connection = rusqlite::Connection::open(store.path()).unwrap();
    let sql = format!(
        "SELECT cases.id, -bm25(words) AS score FROM words JOIN texts ON texts.row = words.rowid
         JOIN cases ON cases.row = case_row WHERE words MATCH ?1 AND {condition} ORDER BY score DESC, texts.row"
    );
    let mut statement = connection.prepare(&sql).unwrap();
    let rows = statement
        .query_map([expression], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    let mut best: Vec<(String, f64)> = Vec::new();
    for row in rows {
        let (id, score): (String, f64) = row.unwrap();
        if best.iter().all(|(known, _)| *known != id) {
            best.push((id, score));
        }
        if best.len() == 25 {
            break;
        }
    }
    best
}

const QUERIES: &[(&str, &str)] = &[
    ("no", r#""no""#),
    ("THE", r#""the""#),
    ("chest chest", r#""chest" AND "chest""#),
    ("pleural effusion", r#""pleural" AND "effusion""#),
    (
        "no chest left upper nodule",
        r#""no" AND "chest" AND "left" AND "upper" AND "nodule""#,
    ),
    (r#""left upper lobe""#, r#""left upper lobe""#),
    (r#""lobe left" chest"#, r#""lobe left" AND "chest""#),
    ("chest -the -nodule", r#""chest" NOT ("the" OR "nodule")"#),
    (
        r#"no -"left upper lobe""#,
        r#""no" NOT ("left upper lobe")"#,
    ),
    ("lasion", r#""läsion""#),
    ("肝脏 no", r#""肝脏" AND "no""#),
    ("T2-weighted 4.5", r#""T2-weighted" AND "4.5""#),
    ("scoliosis", r#""scoliosis""#),
    ("never", r#""never""#),
    ("oedeme œdeme", r#""oedeme" AND "œdeme""#),
];

fn compare(store: &SqliteStore, when: &str) {
    for (text, expression) in QUERIES {
        for (filter, kinds, condition) in [
            (&[][..], &[][..], "1"),
            (&["sex=F"], &[], "sex = 'F'"),
            (&["age=7"], &[], "age = 7"),
            (
                &["sex=M", "age=20..40"],
                &[TextKind::Question],
                "sex = 'M' AND age BETWEEN 20 AND 40 AND kind = 'question'",
            ),
        ] {
            let found = search(store, text, filter, kinds);
            assert!(!found.only_latest_ranked, "all texts are ranked");
            let found: Vec<(String, f64)> = found
                .hits
                .into_iter()
                .map(|hit| (hit.case_id, hit.score))
                .collect();
            let wanted = plainly(store, expression, condition);
            assert_eq!(found, wanted, "{text} {filter:?} {when}");
        }
    }
}

#[test]
fn words_are_ranked_among_all_texts_as_sqlite_ranks_them() {
    let place = Place::new();
    let store = place.open();
    let mut random = ChaCha8Rng::seed_from_u64(7);
    compare(&store, "in an empty library");
    put(&store, records(0..40, &mut random));
    compare(&store, "in a small library");
    // Batches of different sizes leave segments on several levels, and lists that go over many pages.
    for first in (40..9000).step_by(280) {
        put(&store, records(first..first + 280, &mut random));
    }
    compare(&store, "in several segments");
    delete_some(&store, &mut random, 0.1);
    compare(&store, "after deletions");
    let connection = rusqlite::Connection::open(store.path()).unwrap();
    let merge = |how: &str| {
        connection
            .execute_batch(&format!("INSERT INTO words (words{how}"))
            .unwrap();
    };
    merge(", rank) VALUES ('merge', 3)");
    compare(&store, "in the middle of a merge");
    merge(") VALUES ('optimize')");
    compare(&store, "in one segment");
    delete_some(&store, &mut random, 0.5);
    put(&store, records(20_000..20_300, &mut random));
    compare(&store, "after more deletions");
    assert!(store.verify(false, &|| false).unwrap().ok);
    delete_some(&store, &mut random, 1.0);
    compare(&store, "when all are gone");
    assert!(store.verify(false, &|| false).unwrap().ok);
}

#[test]
fn lengths_that_are_kept_are_checked_and_leave_with_their_texts() {
    let place = Place::new();
    let store = place.open();
    let mut random = ChaCha8Rng::seed_from_u64(8);
    put(&store, records(0..4000, &mut random));
    let connection = rusqlite::Connection::open(store.path()).unwrap();
    let lengths = || -> Vec<u8> {
        let sql = "SELECT CAST(lengths || cases AS BLOB) FROM text_blocks WHERE block = 0";
        connection.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    assert!(
        lengths()[4..].iter().any(|byte| *byte > 0),
        "a block is kept"
    );
    delete_some(&store, &mut random, 1.0);
    assert!(lengths().iter().all(|byte| *byte == 0), "nothing is left");
    assert!(store.verify(false, &|| false).unwrap().ok);
    let changed = "UPDATE text_blocks SET cases = CAST(x'07000000' || substr(cases, 5) AS BLOB)";
    connection.execute(changed, []).unwrap();
    let verified = store.verify(false, &|| false).unwrap();
    assert_eq!(verified.problem_count, 1, "{:?}", verified.problems);
}
