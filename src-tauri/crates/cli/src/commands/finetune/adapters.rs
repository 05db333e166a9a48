//! `lucency adapters list|show|activate|rollback|remove|export|import`.

use std::path::PathBuf;

use clap::Subcommand;
use lucency_assistant::dto::AdapterSummary;
use lucency_assistant::finetune::{
    Stated, activate, adapter_report, adapters, export_adapter, import_adapter, import_foreign,
    is_foreign, remove_adapter, rollback,
};
use serde::Serialize;

use super::options;
use crate::output::{CommandError, Output};

/// What to do with adapters.
#[derive(Subcommand)]
pub enum Adapters {
    /// All adapters, newest first
    List,
    /// What an adapter's report says
    Show {
        /// Name of the adapter
        name: String,
    },
    /// Let findings and similar cases use an adapter, if its report lets it
    Activate {
        /// Name of the adapter
        name: String,
    },
    /// Go back to the adapter before, or to the pack alone
    Rollback {
        /// Name or folder of the model pack [default: demo]
        #[arg(long, value_name = "PACK")]
        pack: Option<String>,
    },
    /// Delete an adapter that is not in use
    Remove {
        /// Name of the adapter
        name: String,
    },
    /// Write an adapter as a folder that another workstation can import
    Export {
        /// Name of the adapter
        name: String,
        /// Folder to write; nothing may be there
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Take an exported adapter in, or one that PEFT wrote
    Import {
        /// The exported folder, or one with adapter_config.json and adapter_model.safetensors
        folder: PathBuf,
        /// For PEFT's files: name or folder of the model pack that it was made on
        #[arg(long, value_name = "PACK")]
        pack: Option<String>,
        /// For PEFT's files: its name here [default: the folder's]
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// For PEFT's files: a class that it was trained on; may be given several times
        #[arg(long = "class", value_name = "CLASS")]
        classes: Vec<String>,
        /// For PEFT's files: the classes are findings, which do not exclude each other
        #[arg(long)]
        findings: bool,
    },
}

#[derive(Serialize)]
struct List {
    adapters: Vec<AdapterSummary>,
}

#[derive(Serialize)]
struct Done<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    removed: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exported: Option<&'a str>,
}

#[derive(Serialize)]
struct InUse {
    /// None if the pack works alone.
    active: Option<AdapterSummary>,
}

impl Adapters {
    /// Runs the command.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        let options = options()?;
        match self {
            Self::List => {
                let adapters = adapters(&options)?;
                output.print(&List { adapters }, |list| {
                    let lines: Vec<String> = list.adapters.iter().map(line).collect();
                    match lines.is_empty() {
                        true => "no adapters yet".to_owned(),
                        false => lines.join("\n"),
                    }
                })
            }
            Self::Show { name } => output.print(&adapter_report(&options, name)?, |report| {
                let lines = [
                    line(&report.adapter),
                    format!("judged on {}", report.judged_on),
                ];
                let reasons = report.adapter.reasons.iter().map(|r| format!("  {r}"));
                let warnings = &report.adapter.warnings;
                let warnings = warnings.iter().map(|w| format!("warning: {w}"));
                lines
                    .into_iter()
                    .chain(reasons)
                    .chain(warnings)
                    .collect::<Vec<_>>()
                    .join("\n")
            }),
            Self::Activate { name } => {
                let active = Some(activate(&options, name)?);
                output.print(&InUse { active }, in_use)
            }
            Self::Rollback { pack } => {
                let active = rollback(&options, pack.as_deref())?;
                output.print(&InUse { active }, in_use)
            }
            Self::Remove { name } => {
                remove_adapter(&options, name)?;
                let done = Done {
                    removed: Some(name),
                    exported: None,
                };
                output.print(&done, |_| format!("removed {name}"))
            }
            Self::Export { name, out } => {
                export_adapter(&options, name, out)?;
                let done = Done {
                    removed: None,
                    exported: Some(name),
                };
                output.print(&done, |_| format!("{} written", out.display()))
            }
            Self::Import {
                folder,
                pack,
                name,
                classes,
                findings,
            } => {
                if !is_foreign(folder) {
                    return output.print(&import_adapter(&options, folder)?, line);
                }
                if pack.is_none() {
                    return Err(CommandError::new(
                        "bad_adapter",
                        "the folder has PEFT's files and no adapter.json: say with --pack on which pack it was made",
                    ));
                }
                let stated = Stated {
                    name: name.clone(),
                    classes: classes.clone(),
                    findings: *findings,
                    created: jiff::Timestamp::now().to_string(),
                };
                let taken_in = import_foreign(&options, folder, pack.as_deref(), &stated)?;
                output.print(&taken_in, line)
            }
        }
    }
}

fn in_use(now: &InUse) -> String {
    match &now.active {
        Some(adapter) => format!("{} is in use on {}", adapter.name, adapter.pack),
        None => "no adapter is in use; the pack works alone".to_owned(),
    }
}

fn line(a: &AdapterSummary) -> String {
    let number = |v: Option<f64>| v.map_or("–".to_owned(), |v| format!("{v:.3}"));
    let state = match (a.active, a.fits, a.passes) {
        (true, ..) => "in use",
        (_, false, _) => "pack missing or changed",
        (.., true) => "may go live",
        (.., false) => "may not go live",
    };
    format!(
        "{:24} {:12} {:16} {} {} after {}  {state}",
        a.name,
        format!("{:?}", a.method).to_lowercase(),
        a.pack,
        a.metric,
        number(a.value),
        number(a.base_value)
    )
}
