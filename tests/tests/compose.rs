//! A network trained by `lucency train vqa` becomes a pack that answers questions.

use std::path::Path;
use std::process::Output;

use lucency_tests::{error_of, lucency};
use serde_json::Value;

fn run(home: &Path, words: &[&str]) -> Output {
    lucency(home)
        .arg("--json")
        .args(words)
        .output()
        .expect("lucency runs")
}

fn json(output: &Output) -> Value {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Eight images with a bright half on the left or the right, and questions about it.
fn teach(folder: &Path) {
    std::fs::create_dir_all(folder.join("images")).expect("writable");
    let mut records = Vec::new();
    for i in 0..8u32 {
        let left = i % 2 == 0;
        let name = format!("{i}.png");
        image::GrayImage::from_fn(96, 96, |x, y| {
            let bright = (x < 48) == left;
            image::Luma([if bright { 200 } else { 30 } + ((x * i + y) % 20) as u8])
        })
        .save(folder.join("images").join(&name))
        .expect("writable");
        let side = if left { "left" } else { "right" };
        for (k, (question, answer, kind)) in [
            ("Which side of the chest is bright?", side, "OPEN"),
            (
                "Is the left lung bright?",
                if left { "yes" } else { "no" },
                "CLOSED",
            ),
        ]
        .into_iter()
        .enumerate()
        {
            records.push(serde_json::json!({
                "qid": i * 10 + k as u32, "image_name": name, "image_organ": "CHEST", "question": question,
                "answer": answer, "answer_type": kind, "question_type": "POS", "phrase_type": "freeform"
            }));
        }
    }
    let text = serde_json::to_string(&records).expect("JSON");
    std::fs::write(folder.join("train.json"), text).expect("writable");
}

#[test]
fn a_trained_network_is_composed_into_a_pack_and_answers_with_it() {
    let home = tempfile::tempdir().expect("a temporary folder");
    teach(&home.path().join("site"));
    let train = [
        "train",
        "vqa",
        "--data",
        "site",
        "--out",
        "run",
        "--epochs",
        "12",
        "--batch",
        "8",
        "--hidden",
        "32",
        "--validation",
        "0",
    ];
    json(&run(home.path(), &train));
    let composed = json(&run(
        home.path(),
        &["packs", "compose", "--run", "run", "--name", "site"],
    ));
    assert_eq!(composed["name"], "site");
    assert_eq!(composed["answers"], true);
    json(&run(home.path(), &["packs", "verify", "site"]));

    let ask = |image: &str, question: &str| {
        let image = format!("site/images/{image}");
        json(&run(
            home.path(),
            &["ask", &image, "--question", question, "--pack", "site"],
        ))
    };
    let mut right = 0;
    for i in 0..8 {
        let answer = ask(&format!("{i}.png"), "Which side of the chest is bright?");
        let wanted = if i % 2 == 0 { "left" } else { "right" };
        right += usize::from(answer["answer"] == wanted);
        let listed = answer["alternatives"].as_array().expect("a list");
        let known = ["left", "right", "yes", "no"];
        assert!(
            listed
                .iter()
                .all(|a| known.contains(&a["answer"].as_str().expect("a text")))
        );
    }
    assert!(right >= 7, "{right} of 8 known images are answered right");

    // The same through the evaluation, which opens the pack as the window does.
    let report = json(&run(
        home.path(),
        &[
            "eval",
            "vqa",
            "--data",
            "site",
            "--questions",
            "train.json",
            "--pack",
            "site",
        ],
    ));
    assert!(
        report["overall"].as_f64().expect("a rate") > 0.8,
        "{report}"
    );
}

#[test]
fn what_is_no_run_or_no_name_is_refused_and_nothing_is_installed() {
    let home = tempfile::tempdir().expect("a temporary folder");
    std::fs::create_dir(home.path().join("empty")).expect("writable");
    let compose = |run_folder: &str, name: &str| {
        error_of(&run(
            home.path(),
            &["packs", "compose", "--run", run_folder, "--name", name],
        ))
    };
    let (code, message) = compose("empty", "site");
    assert_eq!(code, "bad_run");
    assert!(message.contains("config.toml"), "{message}");
    assert_eq!(compose("empty", "Not a name").0, "bad_name");
    let packs = json(&run(home.path(), &["packs", "list"]));
    let names: Vec<&str> = packs
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|p| p["name"].as_str())
        .collect();
    assert_eq!(names, ["demo"]);
}
