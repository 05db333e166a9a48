//! Linear heads on frozen towers: they learn what is said of images, travel as an adapter's tensors, and refuse what does not fit.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

mod tiny;

use std::collections::HashMap;

use candle_core::Tensor;
use lucency_nn::Interrupt;
use lucency_train::finetune::{Pictures, Towers, TunePlan, Tuned, tune_pairs, with_adapter};
use lucency_train::run::Ending;
use lucency_zoo::clip::KeyLayout;
use tiny::{Base, Things, bits, resnet, vit};

fn fitted(base: &Base, things: &Things, reports: &[String], stop: &Interrupt) -> Tuned {
    let folder = tempfile::tempdir().unwrap();
    let (train, validation) = things.all.split_at(10);
    tune_pairs(
        base.model(),
        &things.pictures,
        reports,
        train,
        validation,
        &TunePlan::report_heads(),
        folder.path(),
        stop,
        &mut |_| {},
    )
    .unwrap()
}

fn cosines(towers: &Towers, things: &Things, reports: &[String]) -> Vec<Vec<f32>> {
    let squares: Vec<_> = (0..2)
        .map(|i| things.pictures.picture(i).unwrap())
        .collect();
    let images = towers
        .embed_pixels(&towers.pixels(&squares).unwrap())
        .unwrap();
    let texts = towers.embed_reports(reports).unwrap();
    let lengths = texts
        .sqr()
        .unwrap()
        .sum(1)
        .unwrap()
        .to_vec1::<f32>()
        .unwrap();
    assert!(
        lengths.iter().all(|l| (l - 1.0).abs() < 1e-4),
        "{lengths:?}"
    );
    images
        .matmul(&texts.t().unwrap())
        .unwrap()
        .to_vec2()
        .unwrap()
}

#[test]
fn heads_find_the_words_of_an_image_and_travel_as_tensors() {
    for base in [
        resnet(),
        vit(KeyLayout::OpenAi),
        vit(KeyLayout::HuggingFace),
    ] {
        let things = Things::new(16);
        // Brightness, which texture sees, in place of the side, which it does not.
        let words = |i: usize| {
            if i * 7 % 60 < 30 {
                "dark film"
            } else {
                "pale film"
            }
        };
        let reports: Vec<String> = (0..16).map(|i| format!("A {}.", words(i))).collect();
        let tuned = fitted(&base, &things, &reports, &Interrupt::new());
        assert_eq!((tuned.ending, tuned.steps), (Ending::Finished, 0));
        assert!(!tuned.towers.trains_images(), "the towers stay");
        let asked = ["A dark film.", "A pale film."].map(str::to_owned);
        let found = cosines(&tuned.towers, &things, &asked);
        assert_eq!((words(0), words(1)), ("dark film", "dark film"));
        assert!(found[0][0] > found[0][1], "{found:?}");
        assert!(found[1][0] > found[1][1], "{found:?}");

        let plan = TunePlan::report_heads();
        let trained: HashMap<String, Tensor> = tuned.towers.trained().into_iter().collect();
        assert!(trained.keys().all(|key| key.starts_with("report_heads.")));
        let again = with_adapter(base.model(), trained.clone(), &plan).unwrap();
        assert_eq!(cosines(&again, &things, &asked), found);
        let twice = fitted(&base, &things, &reports, &Interrupt::new());
        assert!(bits(&twice.towers.trained()) == bits(&tuned.towers.trained()));

        let without = with_adapter(base.model(), HashMap::new(), &plan).err();
        assert!(without.unwrap().to_string().contains("no report heads"));
        let mut part = trained;
        part.remove("report_heads.text.map");
        let part = with_adapter(base.model(), part, &plan).err();
        assert!(part.unwrap().to_string().contains("are missing"));
    }
}

#[test]
fn heads_say_what_they_cannot_learn_from_and_stop_when_told() {
    let (base, things) = (resnet(), Things::new(16));
    let refused = |reports: Vec<String>| {
        let folder = tempfile::tempdir().unwrap();
        let plan = TunePlan::report_heads();
        let stop = Interrupt::new();
        let tuned = tune_pairs(
            base.model(),
            &things.pictures,
            &reports,
            &things.all,
            &[],
            &plan,
            folder.path(),
            &stop,
            &mut |_| {},
        );
        tuned.err().unwrap().to_string()
    };
    let mut one = vec![String::new(); 16];
    one[3] = "A square.".into();
    assert!(refused(one).contains("at least two"));
    let other = "abcdefghijklmnop".chars().map(|c| c.to_string()).collect();
    assert!(refused(other).contains("no word is in two"));
    let stop = Interrupt::new();
    stop.stop();
    let reports = vec!["A square.".to_owned(); 16];
    let stopped = fitted(&base, &things, &reports, &stop);
    assert_eq!(stopped.ending, Ending::Stopped);
}
