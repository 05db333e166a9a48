//! `lucency demo`: the demo study without a window: three questions, findings, similar cases.

use clap::Args;
use lucency_assistant::dto::{Answer, Findings, SimilarCases};
use lucency_assistant::{Options, assets, picture};
use serde::Serialize;

use super::assist::{PackChoice, answer_text, findings_text, similar, similar_text};
use crate::output::{CommandError, Output};

/// What is asked about the demo radiograph.
const QUESTIONS: [&str; 3] = [
    "Is there a pleural effusion?",
    "Which side is the pleural effusion on?",
    "What type of image is this?",
];

/// `lucency demo`
#[derive(Args)]
pub struct Demo {
    #[command(flatten)]
    pack: PackChoice,
}

/// What the demo shows.
#[derive(Serialize)]
struct Shown {
    studies: Vec<Opened>,
    answers: Vec<Answer>,
    findings: Findings,
    similar: SimilarCases,
}

#[derive(Serialize)]
struct Opened {
    description: String,
    date: String,
    synthetic: bool,
    series: Vec<String>,
}

impl Demo {
    /// Opens the demo study, asks, and prints.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        let folder = assets::demo_study(&Options::standard(None)?.assets);
        let opened = lucency_study::open(
            std::slice::from_ref(&folder),
            &lucency_study::OpenOptions::default(),
            &|| false,
            &mut |_| {},
        );
        let film = opened
            .studies
            .iter()
            .flat_map(|study| &study.series)
            .find(|series| series.modality == "DX")
            .ok_or_else(|| {
                CommandError::new(
                    "not_found",
                    "the demo study has no radiograph; install again",
                )
            })?;
        let film = picture::of_series(film, 0)?;
        let studies = opened
            .studies
            .iter()
            .map(|study| Opened {
                description: study.description.clone().unwrap_or_default(),
                date: study.date.clone().unwrap_or_default(),
                synthetic: study.synthetic,
                series: study
                    .series
                    .iter()
                    .map(|s| {
                        let name = s.description.clone().unwrap_or_default();
                        format!("{} {name}, {} frame(s)", s.modality, s.frames.len())
                    })
                    .collect(),
            })
            .collect();
        let assistant = self.pack.open()?;
        let now = jiff::Timestamp::now;
        let answers: Result<Vec<Answer>, _> = QUESTIONS
            .iter()
            .map(|q| assistant.ask(&film, q, now()))
            .collect();
        let shown = Shown {
            studies,
            answers: answers?,
            findings: assistant.findings(&film, None, now())?,
            similar: similar(&assistant, &film, 3)?,
        };
        output.print(&shown, text)
    }
}

fn text(shown: &Shown) -> String {
    let mut lines = vec![
        "The demo study and the demo library are phantoms: synthetic, nobody's images.".to_owned(),
    ];
    for study in &shown.studies {
        lines.push(format!("\n{} ({})", study.description, study.date));
        lines.extend(study.series.iter().map(|s| format!("  {s}")));
    }
    for answer in &shown.answers {
        lines.push(format!("\n> {}\n{}", answer.question, answer_text(answer)));
    }
    lines.push(format!("\nFindings: {}", findings_text(&shown.findings)));
    lines.push(format!("\nSimilar cases: {}", similar_text(&shown.similar)));
    lines.join("\n")
}
