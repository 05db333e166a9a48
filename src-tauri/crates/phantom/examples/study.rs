//! Writes studies: `study SEED COUNT DIR`.

use lucency_phantom::export::{Content, ExportPlan, export};
use lucency_phantom::{Site, StudyOptions};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let plan = ExportPlan {
        seed: arguments[0].parse().expect("a seed"),
        count: arguments[1].parse().expect("a count"),
        site: Site::A,
        content: Content::Mixed,
        dicom: Some(StudyOptions {
            ..StudyOptions::default()
        }),
        png_side: Some(320),
        questions: true,
        classes: true,
    };
    let summary = export(
        &plan,
        std::path::Path::new(&arguments[2]),
        &|| false,
        &mut |a| eprintln!("{a:?}"),
    );
    println!("{summary:?}");
}
