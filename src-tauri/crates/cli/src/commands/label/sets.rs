//! `lucency label sets | define | forget | export`

use std::path::PathBuf;

use clap::Args;
use lucency_assistant::dto::LabelSetDto;
use serde::Serialize;

use crate::commands::library::library;
use crate::output::{CommandError, Output};

/// `lucency label define`
#[derive(Args)]
pub struct Define {
    /// Name of the set, such as chest
    name: String,
    /// A class, the first on key 1; given once for each, 9 at most
    #[arg(long = "class", value_name = "NAME", required = true)]
    classes: Vec<String>,
    /// The classes are findings, each of which is present, absent or uncertain; without it exactly one of them holds
    #[arg(long)]
    findings: bool,
}

/// `lucency label forget`
#[derive(Args)]
pub struct Forget {
    /// Name of the set
    name: String,
}

/// `lucency label export`
#[derive(Args)]
pub struct Export {
    /// Name of the set of labels
    #[arg(long, value_name = "NAME")]
    set: String,
    /// One reader's labels alone
    #[arg(long, value_name = "NAME")]
    reader: Option<String>,
    /// File to write; nothing may be there
    #[arg(long, value_name = "FILE.csv")]
    out: PathBuf,
}

#[derive(Serialize)]
struct Sets {
    sets: Vec<LabelSetDto>,
}

#[derive(Serialize)]
struct Written {
    file: PathBuf,
    labels: usize,
}

/// `lucency label sets`
pub fn list(output: Output) -> Result<(), CommandError> {
    let sets = library()?.label_sets()?;
    output.print(&Sets { sets }, |found| match found.sets.is_empty() {
        true => "no set of labels yet".to_owned(),
        false => found.sets.iter().map(line).collect::<Vec<_>>().join("\n"),
    })
}

impl Define {
    /// Keeps the set.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        let set = LabelSetDto {
            name: self.name.clone(),
            exclusive: !self.findings,
            classes: self.classes.clone(),
        };
        output.print(&library()?.keep_label_set(&set)?, line)
    }
}

impl Forget {
    /// Forgets the set.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        let forgotten = library()?.forget_label_set(&self.name)?;
        let value = serde_json::json!({ "forgotten": forgotten });
        output.print(&value, |_| match forgotten {
            true => format!("{} forgotten; labels that were given stay", self.name),
            false => format!("there is no set {}", self.name),
        })
    }
}

impl Export {
    /// Writes the table.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        if self.out.exists() {
            let file = self.out.display();
            return Err(CommandError::new(
                "exists",
                format!("{file} is there already; remove it or choose another name"),
            ));
        }
        let text = library()?.label_table(&self.set, self.reader.as_deref())?;
        std::fs::write(&self.out, &text)
            .map_err(|e| CommandError::new("io", format!("{}: {e}", self.out.display())))?;
        let written = Written {
            file: self.out.clone(),
            labels: text.lines().count().saturating_sub(1),
        };
        output.print(&written, |w| {
            format!("{} labels written to {}", w.labels, w.file.display())
        })
    }
}

fn line(set: &LabelSetDto) -> String {
    let keys = set.classes.iter().enumerate();
    let keys = keys.map(|(i, class)| format!("{} {class}", i + 1));
    let kind = if set.exclusive { "one of" } else { "findings" };
    format!(
        "{:16} {kind}: {}",
        set.name,
        keys.collect::<Vec<_>>().join(", ")
    )
}
