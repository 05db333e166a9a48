//! Bad input, with the demo pack: a clear message or an abstention, never an invented answer.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use lucency_assistant::dto::{Answer, Caution, CautionReason};
use lucency_assistant::evaluate::evaluate_guard;
use lucency_assistant::{Assistant, AssistantError, Compute, Interrupt, Options, Picture, picture};

fn assets() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../assets")
}

fn assistant() -> &'static Assistant {
    static OPENED: OnceLock<Assistant> = OnceLock::new();
    OPENED.get_or_init(|| {
        let home = std::env::temp_dir().join(format!("lucency-guards-{}", std::process::id()));
        let options = Options {
            home,
            assets: assets(),
            pack: None,
            compute: Compute::processor(),
            quantise: None,
        };
        Assistant::open(options).expect("the demo pack opens")
    })
}

/// The first file of a part of the demo study.
fn demo(part: &str) -> Picture {
    let mut open = vec![assets().join("demo").join(part)];
    let mut files = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let entries = std::fs::read_dir(&path).expect("readable");
            open.extend(entries.map(|e| e.expect("readable").path()));
        } else if path.extension().is_some_and(|e| e == "dcm") {
            files.push(path);
        }
    }
    files.sort();
    let middle = &files[files.len() / 2];
    picture::open(middle, 1).expect("the demo study opens")
}

/// The same pixels from a file that says nothing about itself.
fn without_tags(mut picture: Picture) -> Picture {
    picture.modality.clear();
    picture.body_part.clear();
    picture
}

/// A square RGB picture, `value` of column, row and channel.
fn drawn(value: impl Fn(usize, usize, usize) -> u8) -> Picture {
    let side = 200;
    let mut pixels = image_rs::RgbImage::new(side, side);
    for (x, y, pixel) in pixels.enumerate_pixels_mut() {
        pixel.0 = [0, 1, 2].map(|c| value(x as usize, y as usize, c));
    }
    let mut png = std::io::Cursor::new(Vec::new());
    pixels
        .write_to(&mut png, image_rs::ImageFormat::Png)
        .expect("a PNG can be written");
    picture::from_encoded(&png.into_inner()).expect("a PNG is an image")
}

fn ask(picture: &Picture, question: &str) -> Answer {
    assistant()
        .ask(picture, question, jiff::Timestamp::UNIX_EPOCH)
        .unwrap_or_else(|e| panic!("{question}: {e}"))
}

fn reasons(answer: &Answer) -> Vec<CautionReason> {
    answer.cautions.iter().map(|c| c.reason).collect()
}

#[test]
fn fair_questions_about_the_demo_study_raise_no_caution() {
    for (part, question) in [
        ("chest", "Is there a pleural effusion?"),
        ("chest", "Is the heart enlarged?"),
        ("chest", "Which organ is shown?"),
        ("head", "Is there a haemorrhage?"),
        ("head", "What modality is shown?"),
        ("head", "Is this an image of the lung?"),
    ] {
        for picture in [demo(part), without_tags(demo(part))] {
            let answer = ask(&picture, question);
            assert_eq!(reasons(&answer), [], "{part}: {question}");
        }
    }
}

#[test]
fn a_question_about_another_organ_than_shown_is_not_answered() {
    for (part, question) in [
        ("head", "Is the liver enlarged?"),
        ("head", "Is there a pleural effusion?"),
        ("chest", "Is there a haemorrhage in the brain?"),
    ] {
        for picture in [demo(part), without_tags(demo(part))] {
            let answer = ask(&picture, question);
            assert_eq!(reasons(&answer), [CautionReason::OtherRegion], "{question}");
            assert!(answer.abstained, "no answer is given");
            assert!(answer.cautions[0].message.contains(part), "and it says why");
        }
    }
}

#[test]
fn an_image_that_is_no_radiograph_is_not_answered_about() {
    let hash = |x: usize, y: usize, c: usize| {
        let mut z = (x * 73_856_093) ^ (y * 19_349_663) ^ (c * 83_492_791);
        z = (z ^ (z >> 13)).wrapping_mul(0x5bd1_e995);
        (z >> 11) as u8
    };
    let pictures = [
        ("colour noise", drawn(hash)),
        ("grey noise", drawn(|x, y, _| hash(x, y, 0))),
        ("a sunset", drawn(|_, y, c| [220, y as u8, 40][c])),
        (
            "a drawing",
            drawn(|x, y, _| if x / 20 == y / 20 { 0 } else { 255 }),
        ),
        ("nothing", drawn(|_, _, _| 0)),
    ];
    for (what, picture) in pictures {
        let answer = ask(&picture, "Is there a pleural effusion?");
        assert!(answer.abstained, "{what}");
        assert_eq!(reasons(&answer), [CautionReason::NotARadiograph], "{what}");
    }
}

#[test]
fn a_grey_scene_that_makes_no_difference_to_the_answer_is_not_answered_about() {
    let hill = |x: usize| 120 - (30.0 * (x as f64 / 37.0).sin()) as usize;
    let ripple = |x: usize, y: usize| ((x * 7 + y * 13) % 23) as u8;
    let landscape = drawn(|x, y, _| match y < hill(x) {
        true => 150 + (y / 2) as u8 + ripple(x, y) / 6,
        false => 40 + ripple(x, y) * 2,
    });
    let facade = drawn(|x, y, _| match x % 40 < 24 && y % 50 < 30 {
        true => 60 + ripple(x, y),
        false => 170 + ripple(y, x),
    });
    let mut without_the_image = 0;
    for (what, scene) in [("a landscape", landscape), ("a facade", facade)] {
        for question in ["Is there a fracture?", "Is there a pleural effusion?"] {
            let answer = ask(&scene, question);
            assert!(answer.abstained, "{what}: {question}");
            let said = |c: &Caution| c.message.contains("same without this image");
            without_the_image += usize::from(answer.cautions.iter().any(said));
        }
    }
    assert!(
        without_the_image > 0,
        "no scene was near enough to be doubted for its answer alone"
    );
}

#[test]
fn a_question_in_another_language_is_not_answered() {
    let chest = demo("chest");
    for question in [
        "Ist das Herz vergrößert?",
        "Sieht man eine Blutung im Gehirn?",
        "Quelle est la modalité de cette image ?",
        "¿Dónde está la lesión?",
    ] {
        let answer = ask(&chest, question);
        assert!(answer.abstained, "{question}");
        let unknown = reasons(&answer).contains(&CautionReason::UnknownWords);
        assert!(unknown, "{question}: {:?}", answer.cautions);
    }
    for question in ["胸部正常吗?", "", "🫁🫁", &"Is it normal? ".repeat(60)] {
        let refused = assistant().ask(&chest, question, jiff::Timestamp::UNIX_EPOCH);
        let error = refused.expect_err("it is not answered");
        assert_eq!(error.code(), "bad_question", "{question:?}: {error}");
    }
}

#[test]
fn a_contradictory_or_unrelated_question_is_not_answered() {
    let chest = demo("chest");
    for (question, reason) in [
        (
            "Is there an effusion and no effusion?",
            CautionReason::Contradictory,
        ),
        ("Who won the match yesterday?", CautionReason::OffTopic),
    ] {
        let answer = ask(&chest, question);
        assert!(answer.abstained, "{question}");
        assert!(
            reasons(&answer).contains(&reason),
            "{question}: {:?}",
            answer.cautions
        );
    }
}

#[test]
fn suggested_questions_fit_the_demo_study_with_and_without_tags() {
    for (part, word) in [("chest", "effusion"), ("head", "haemorrhage")] {
        for picture in [demo(part), without_tags(demo(part))] {
            let suggestions = assistant().suggest(&picture).expect("suggestions");
            assert_eq!(suggestions.region, part);
            assert!(suggestions.questions[0].contains(word));
            for question in &suggestions.questions {
                let answer = ask(&picture, question);
                assert_eq!(reasons(&answer), [], "{question}");
            }
        }
    }
}

/// The guards must let real radiographs through. Needs the data folder.
#[test]
fn few_radiographs_are_taken_for_something_else() {
    let data = std::env::var_os("LUCENCY_TEST_DATA")
        .map_or_else(|| assets().join("../../shared/data"), PathBuf::from);
    let Ok(folder) = std::fs::read_dir(data.join("vqa-rad/images")) else {
        println!("SKIPPED: no VQA-RAD images (set LUCENCY_TEST_DATA)");
        return;
    };
    let mut files: Vec<PathBuf> = folder.map(|e| e.expect("readable").path()).collect();
    files.sort();
    let some: Vec<&PathBuf> = files.iter().step_by(6).collect();
    let mut refused = 0;
    for file in &some {
        let answer = ask(
            &picture::open(file, 1).expect("an image"),
            "Is this image normal?",
        );
        if !answer.cautions.is_empty() {
            println!("{}: {:?}", file.display(), answer.cautions);
            refused += 1;
        }
    }
    println!("{refused} of {} radiographs refused", some.len());
    assert!(refused * 20 <= some.len(), "at most one in twenty");
}

#[test]
fn refusals_are_counted_by_folder_and_a_folder_without_images_is_an_error() {
    let root = std::env::temp_dir().join(format!("lucency-refusals-{}", std::process::id()));
    let (foreign, empty) = (root.join("foreign"), root.join("empty"));
    std::fs::create_dir_all(foreign.join("deeper")).expect("a folder");
    std::fs::create_dir_all(&empty).expect("a folder");
    let colours = image_rs::RgbImage::from_fn(64, 64, |x, y| {
        image_rs::Rgb([(x * 4) as u8, (y * 4) as u8, 255 - (x * 4) as u8])
    });
    colours
        .save(foreign.join("deeper/colours.png"))
        .expect("a PNG can be written");
    std::fs::write(foreign.join("notes.txt"), "no image").expect("a file can be written");
    let chest = assets().join("demo/chest");

    let folders = [chest, foreign];
    let rates = evaluate_guard(assistant(), &folders, &Interrupt::new(), &mut |_| {})
        .expect("both folders hold images");
    assert!(rates[0].n > 0 && rates[0].refused == 0.0, "{:?}", rates[0]);
    let refused = &rates[1];
    assert_eq!((refused.n, refused.unreadable), (1, 1));
    assert_eq!((refused.not_a_radiograph, refused.refused), (1, 1.0));
    assert_eq!(refused.folder, "foreign");

    let nothing = evaluate_guard(assistant(), &[empty], &Interrupt::new(), &mut |_| {});
    assert!(matches!(nothing, Err(AssistantError::Data(_))));
    std::fs::remove_dir_all(root).expect("the folders go");
}
