//! `lucency packs`: the models on this machine.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use lucency_packs::{
    Origin, Pack, PackEntry, PackError, PackManifest, PackStore, bundled_packs, home,
};
use serde::Serialize;

use super::packs_compose::compose;
use crate::output::{CommandError, Output};

/// List, inspect, verify, remove and import model packs.
#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Every pack, those that came with the application first.
    List,
    /// What a pack says about itself.
    Show {
        /// Name or folder of the pack.
        pack: String,
    },
    /// Check every file of a pack (or of all packs) against its manifest.
    Verify {
        /// Name or folder of the pack; all packs if not given.
        pack: Option<String>,
    },
    /// Remove an installed pack.
    Remove {
        /// Name of the pack.
        name: String,
    },
    /// Make a pack whose questions are answered by a run of `lucency train vqa`, on the image and text towers of another pack.
    Compose {
        /// Name or folder of the pack that gives the towers: the one that the run was trained with, if it was trained with one.
        #[arg(long, default_value = "demo")]
        pack: String,
        /// Folder of the run, or `seed-N` of one with several seeds.
        #[arg(long)]
        run: PathBuf,
        /// The new pack's name.
        #[arg(long)]
        name: String,
    },
    /// Install a pack's folder, a Hugging Face CLIP folder, an OpenAI .pt or a PubMedCLIP .pth.
    Import {
        /// The pack or checkpoint.
        path: PathBuf,
        /// The pack's name here; made from the path by default.
        #[arg(long)]
        name: Option<String>,
    },
}

/// Runs `lucency packs …`.
pub fn run(arguments: Arguments, output: Output) -> Result<(), CommandError> {
    let store = PackStore::at(&home().map_err(error)?).with_bundled(bundled_packs());
    match arguments.action {
        Action::List => list(&store, output),
        Action::Show { pack } => show(&store, &pack, output),
        Action::Verify { pack } => verify(&store, pack.as_deref(), output),
        Action::Remove { name } => {
            store.remove(&name).map_err(error)?;
            output.print(&Removed { removed: name }, |r| {
                format!("removed {}", r.removed)
            })
        }
        Action::Compose { pack, run, name } => {
            let pack = compose(&store, &pack, &run, &name)?;
            output.print(&summary_of(&pack, &store), |pack| {
                format!("composed {}\n\n{}", pack.name, pack.text())
            })
        }
        Action::Import { path, name } => {
            let pack = store.import(&path, name.as_deref()).map_err(error)?;
            output.print(&summary_of(&pack, &store), |pack| {
                format!("imported {}\n\n{}", pack.name, pack.text())
            })
        }
    }
}

pub(super) fn error(error: PackError) -> CommandError {
    CommandError::new(error.code(), error.to_string())
}

/// One line of the list.
#[derive(Serialize)]
struct Summary {
    name: String,
    title: Option<String>,
    version: Option<String>,
    hash: Option<String>,
    licence: Option<String>,
    answers: bool,
    bundled: bool,
    bytes: Option<u64>,
    path: PathBuf,
    error: Option<Problem>,
}

#[derive(Serialize)]
struct Problem {
    code: &'static str,
    message: String,
}

#[derive(Serialize)]
struct Shown {
    hash: String,
    bundled: bool,
    path: PathBuf,
    #[serde(flatten)]
    manifest: PackManifest,
    card: Option<String>,
}

#[derive(Serialize)]
struct Verified {
    name: String,
    hash: Option<String>,
    ok: bool,
    error: Option<Problem>,
}

#[derive(Serialize)]
struct Removed {
    removed: String,
}

impl Summary {
    fn of(entry: &PackEntry) -> Self {
        let manifest = entry.manifest.as_ref().ok();
        Self {
            name: entry.name.clone(),
            title: manifest.map(|(m, _)| m.title.clone()),
            version: manifest.map(|(m, _)| m.version.clone()),
            hash: manifest.map(|(_, hash)| hash.clone()),
            licence: manifest.map(|(m, _)| m.licence.clone()),
            answers: manifest.is_some_and(|(m, _)| m.answers_questions()),
            bundled: entry.origin == Origin::Bundled,
            bytes: manifest.map(|(m, _)| m.files.iter().map(|file| file.bytes).sum()),
            path: entry.dir.clone(),
            error: entry.manifest.as_ref().err().map(problem),
        }
    }

    fn text(&self) -> String {
        let mut line = self.name.clone();
        let word = |text: &Option<String>| text.clone().unwrap_or_default();
        if let Some(problem) = &self.error {
            let _ = write!(line, "  DAMAGED: {}", problem.message);
            return line;
        }
        let hash = word(&self.hash).chars().take(12).collect::<String>();
        let size = self.bytes.unwrap_or_default() as f64 / 1e6;
        let _ = write!(
            line,
            "  {} {}, {size:.1} MB, {hash}",
            word(&self.title),
            word(&self.version)
        );
        line.push_str(if self.answers {
            ", answers questions"
        } else {
            ""
        });
        line.push_str(if self.bundled { ", bundled" } else { "" });
        line
    }
}

fn problem(error: &PackError) -> Problem {
    Problem {
        code: error.code(),
        message: error.to_string(),
    }
}

fn summary_of(pack: &Pack, store: &PackStore) -> Summary {
    Summary::of(&PackEntry {
        name: pack.name().to_string(),
        dir: pack.dir().to_path_buf(),
        origin: origin(pack, store),
        manifest: Ok((pack.manifest().clone(), pack.hash().to_string())),
    })
}

fn origin(pack: &Pack, store: &PackStore) -> Origin {
    let entries = store.list().unwrap_or_default();
    let entry = entries.iter().find(|entry| entry.dir == pack.dir());
    entry.map_or(Origin::Installed, |entry| entry.origin)
}

fn list(store: &PackStore, output: Output) -> Result<(), CommandError> {
    let packs: Vec<Summary> = store
        .list()
        .map_err(error)?
        .iter()
        .map(Summary::of)
        .collect();
    output.print(&packs, |packs| match packs.is_empty() {
        true => "no packs; import one with `lucency packs import PATH`".into(),
        false => packs
            .iter()
            .map(Summary::text)
            .collect::<Vec<_>>()
            .join("\n"),
    })
}

fn show(store: &PackStore, name: &str, output: Output) -> Result<(), CommandError> {
    let pack = store.find(name).map_err(error)?;
    let card = match pack.manifest().card {
        Some(_) => Some(pack.card().map_err(error)?),
        None => None,
    };
    let shown = Shown {
        hash: pack.hash().to_string(),
        bundled: origin(&pack, store) == Origin::Bundled,
        path: pack.dir().to_path_buf(),
        manifest: pack.manifest().clone(),
        card,
    };
    output.print(&shown, Shown::text)
}

impl Shown {
    fn text(&self) -> String {
        let m = &self.manifest;
        let mut text = format!(
            "{} {} ({})\nhash          {}\nfolder        {}\nlicence       {}\nintended use  {}\n",
            m.title,
            m.version,
            m.name,
            self.hash,
            self.path.display(),
            m.licence,
            m.intended_use,
        );
        for file in &m.files {
            let _ = writeln!(
                text,
                "file          {} ({}, {} bytes)",
                file.path, file.role, file.bytes
            );
        }
        for set in &m.label_sets {
            let names: Vec<&str> = set.labels.iter().map(|label| label.name.as_str()).collect();
            let state = if set.is_calibrated() {
                "calibrated"
            } else {
                "not calibrated"
            };
            let _ = writeln!(
                text,
                "labels        {} ({state}): {}",
                set.name,
                names.join(", ")
            );
        }
        if let Some(answers) = &m.answers {
            let _ = writeln!(
                text,
                "answers       {}, abstains below {}",
                answers.config.answers.len(),
                answers.threshold
            );
        }
        for figure in &m.figures {
            let _ = writeln!(
                text,
                "figure        {}: {} on {}",
                figure.measure, figure.value, figure.data
            );
        }
        if let Some(card) = &self.card {
            let _ = write!(text, "\n{}", card.trim_end());
        }
        text.trim_end().to_string()
    }
}

fn verify(store: &PackStore, name: Option<&str>, output: Output) -> Result<(), CommandError> {
    if let Some(name) = name {
        let pack = store.verify(name).map_err(error)?;
        let verified = Verified {
            name: pack.name().to_string(),
            hash: Some(pack.hash().to_string()),
            ok: true,
            error: None,
        };
        return output.print(&verified, |v| {
            format!("{}: every file is as its manifest states", v.name)
        });
    }
    let mut first_problem = None;
    let mut results = Vec::new();
    for entry in store.list().map_err(error)? {
        let opened = Pack::open(&entry.dir);
        results.push(Verified {
            name: entry.name,
            hash: opened.as_ref().ok().map(|pack| pack.hash().to_string()),
            ok: opened.is_ok(),
            error: opened.as_ref().err().map(problem),
        });
        first_problem = first_problem.or(opened.err());
    }
    output.print(&results, |results| {
        let line = |v: &Verified| match &v.error {
            None => format!("{}: every file is as its manifest states", v.name),
            Some(problem) => format!("{}: {}", v.name, problem.message),
        };
        results.iter().map(line).collect::<Vec<_>>().join("\n")
    })?;
    first_problem.map_or(Ok(()), |problem| Err(error(problem)))
}
