//! `lucency label set | show | undo | redo`

use clap::Args;
use lucency_assistant::dto::{CaseLabel, LabelAsk, LabelWanted, LabelledCase};

use super::now;
use crate::commands::library::library;
use crate::output::{CommandError, Output};

/// Who labels with what.
#[derive(Args)]
pub struct Who {
    /// Name of the set of labels
    #[arg(long, value_name = "NAME")]
    set: String,
    /// The reader's name
    #[arg(long, value_name = "NAME")]
    reader: String,
    /// Show nothing of what others, or the source, say
    #[arg(long)]
    blind: bool,
}

impl Who {
    /// The same for a use case.
    pub fn ask(&self) -> LabelAsk {
        LabelAsk {
            set: self.set.clone(),
            reader: self.reader.clone(),
            blind: self.blind,
        }
    }
}

/// `lucency label set`
#[derive(Args)]
pub struct Set {
    /// Identifier of the case
    case: String,
    /// A label that is present, or LABEL=present, absent, uncertain or none
    #[arg(required = true, value_name = "LABEL[=VALUE]", value_parser = wanted)]
    labels: Vec<LabelWanted>,
    #[command(flatten)]
    who: Who,
}

/// `lucency label show`
#[derive(Args)]
pub struct Show {
    /// Identifier of the case
    case: String,
    #[command(flatten)]
    who: Who,
}

/// `lucency label undo`
#[derive(Args)]
pub struct Undo {
    #[command(flatten)]
    who: Who,
}

/// `lucency label redo`
#[derive(Args)]
pub struct Redo {
    #[command(flatten)]
    who: Who,
}

fn wanted(text: &str) -> Result<LabelWanted, String> {
    let (name, value) = match text.rsplit_once('=') {
        None => (text, Some(1)),
        Some((name, "present")) => (name, Some(1)),
        Some((name, "absent")) => (name, Some(0)),
        Some((name, "uncertain")) => (name, Some(-1)),
        Some((name, "none")) => (name, None),
        Some((_, other)) => {
            return Err(format!(
                "{other:?} is not present, absent, uncertain or none"
            ));
        }
    };
    Ok(LabelWanted {
        name: name.to_owned(),
        value,
    })
}

impl Set {
    /// Gives the labels.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        let done = library()?.give_labels(&self.case, &self.who.ask(), &self.labels, &now())?;
        output.print(&done, text)
    }
}

impl Show {
    /// Shows the labels.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        output.print(
            &library()?.labelled_case(&self.case, &self.who.ask())?,
            text,
        )
    }
}

impl Undo {
    /// Takes one action back.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        let done = library()?.undo_labels(&self.who.ask(), &now())?;
        output.print(&done, |done| or_nothing(done.as_ref(), "take back"))
    }
}

impl Redo {
    /// Does one action again.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        let done = library()?.redo_labels(&self.who.ask(), &now())?;
        output.print(&done, |done| or_nothing(done.as_ref(), "do again"))
    }
}

fn or_nothing(done: Option<&LabelledCase>, what: &str) -> String {
    done.map_or_else(|| format!("there is nothing to {what}"), text)
}

fn text(case: &LabelledCase) -> String {
    let word = |label: &CaseLabel| {
        let value = match label.value {
            1 => "present",
            0 => "absent",
            _ => "uncertain",
        };
        let by = label.reader.as_deref().unwrap_or("the source");
        format!("{} {value} ({by})", label.name)
    };
    let all: Vec<String> = case.own.iter().chain(&case.others).map(word).collect();
    let hidden = if case.hidden { "; others hidden" } else { "" };
    match all.is_empty() {
        true => format!("{}: no label{hidden}", case.case_id),
        false => format!("{}: {}{hidden}", case.case_id, all.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_present_unless_it_says_otherwise() {
        let value = |text| wanted(text).map(|w| (w.name, w.value)).ok();
        assert_eq!(value("effusion"), Some(("effusion".into(), Some(1))));
        assert_eq!(value("a=b=absent"), Some(("a=b".into(), Some(0))));
        assert_eq!(value("effusion=none"), Some(("effusion".into(), None)));
        assert!(wanted("effusion=maybe").is_err());
    }
}
