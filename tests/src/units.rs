//! Cases of two units that a model can tell apart, made of phantoms.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::lucency;

/// Chest phantoms of two units in `folder`; those of the second carry a bright mark. Image, patient, report, unit.
pub fn cases(folder: &Path, seed: u64, each: usize) -> Vec<[String; 4]> {
    let mut rows = Vec::new();
    for (unit, first) in [("unit one", seed), ("unit two", seed + 500)] {
        let out = folder.join(format!("{first}"));
        let words = [
            "phantom",
            "--png",
            "--no-dicom",
            "--resolution",
            "160",
            "--content",
            "chest",
        ];
        let done = lucency(folder)
            .args(words)
            .args([
                "--seed",
                &first.to_string(),
                "--count",
                &each.to_string(),
                "--out",
            ])
            .arg(&out)
            .output()
            .expect("lucency runs");
        assert!(done.status.success());
        let manifest = std::fs::read_to_string(out.join("manifest.jsonl")).expect("a manifest");
        for line in manifest.lines() {
            let study: Value = serde_json::from_str(line).expect("JSON");
            let word = |value: &Value| value.as_str().expect("a word").to_owned();
            let id = word(&study["study"]);
            let name = format!("{first}/{id}/{}", word(&study["images"][0]["png"]));
            if unit == "unit two" {
                let path = folder.join(&name);
                let mut picture = image::open(&path).expect("a picture").to_luma8();
                for (x, y) in (0..40).flat_map(|x| (0..40).map(move |y| (x, y))) {
                    picture.put_pixel(x, y, image::Luma([255]));
                }
                picture.save(&path).expect("a picture");
            }
            let report = word(&study["report"]).replace('"', "'");
            rows.push([name, id, report, unit.to_owned()]);
        }
    }
    rows
}

/// Writes rows of [`cases`] as a table with a header.
pub fn table(folder: &Path, name: &str, rows: &[[String; 4]]) -> PathBuf {
    let mut text = String::from("image,patient,report,unit\n");
    for row in rows {
        let fields: Vec<String> = row.iter().map(|f| format!("\"{f}\"")).collect();
        text += &(fields.join(",") + "\n");
    }
    let path = folder.join(name);
    std::fs::write(&path, text).expect("a table");
    path
}
