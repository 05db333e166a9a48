//! `lucency label next | progress`

use clap::{Args, ValueEnum};
use lucency_assistant::Interrupt;
use lucency_assistant::dto::{
    LabelBasis, LabelNext, LabelNextRequest, LabelProgress, LabelStrategy,
};

use super::give::Who;
use crate::commands::assist::{PackChoice, progress_line};
use crate::commands::library::library;
use crate::output::{CommandError, Output};

/// `lucency label next`
#[derive(Args)]
pub struct Next {
    /// Name of the set of labels
    #[arg(long, value_name = "NAME")]
    set: String,
    /// The reader's name; cases that this reader labelled are not named again
    #[arg(long, value_name = "NAME")]
    reader: String,
    /// How the cases are chosen
    #[arg(long, value_enum, default_value_t = Strategy::Entropy)]
    strategy: Strategy,
    /// Only cases that this other reader labelled: a second reading
    #[arg(long, value_name = "NAME")]
    read_by: Option<String>,
    /// Condition, as `library list --filter` takes it; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// A case to pass over; may be repeated
    #[arg(long, value_name = "CASE")]
    skip: Vec<String>,
    /// Most cases to name, best first
    #[arg(long, default_value_t = 1)]
    count: usize,
    #[command(flatten)]
    pack: PackChoice,
}

/// How cases are chosen.
#[derive(Clone, Copy, ValueEnum)]
enum Strategy {
    /// Each case is as likely as any other
    Random,
    /// The case on which the probabilities of all classes say least
    Entropy,
    /// The case whose two likeliest classes are closest
    Margin,
    /// The case least like everything that is labelled
    CoreSet,
}

impl From<Strategy> for LabelStrategy {
    fn from(strategy: Strategy) -> Self {
        match strategy {
            Strategy::Random => Self::Random,
            Strategy::Entropy => Self::Entropy,
            Strategy::Margin => Self::Margin,
            Strategy::CoreSet => Self::CoreSet,
        }
    }
}

/// `lucency label progress`
#[derive(Args)]
pub struct Progress {
    #[command(flatten)]
    who: Who,
}

impl Next {
    /// Names the cases.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        let request = LabelNextRequest {
            set: self.set.clone(),
            reader: self.reader.clone(),
            strategy: self.strategy.into(),
            conditions: self.filter.clone(),
            read_by: self.read_by.clone(),
            skip: self.skip.clone(),
            count: self.count,
        };
        let assistant = match self.strategy {
            Strategy::Random => None,
            _ => Some(self.pack.open()?),
        };
        let stop = Interrupt::new();
        let next =
            library()?.next_to_label(assistant.as_ref(), &request, &stop, &mut progress_line())?;
        output.print(&next, next_text)
    }
}

impl Progress {
    /// Says how far.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        output.print(&library()?.label_progress(&self.who.ask())?, progress_text)
    }
}

fn next_text(next: &LabelNext) -> String {
    let basis = match next.basis {
        LabelBasis::Chance => "by chance".to_owned(),
        LabelBasis::Probe => format!("by a probe on {} labelled cases", next.learned_from),
        LabelBasis::ZeroShot => "by the words of the labels; few cases are labelled".to_owned(),
        LabelBasis::Embeddings => "by their distance from what is labelled".to_owned(),
    };
    let mut lines = vec![format!("{} cases are left; chosen {basis}", next.left)];
    if next.unembedded > 0 {
        lines.push(format!("{} of them have no embedding", next.unembedded));
    }
    lines.extend(next.cases.iter().map(|case| match case.score {
        Some(score) => format!("{}  {score:.3}", case.case_id),
        None => case.case_id.clone(),
    }));
    lines.join("\n")
}

fn progress_text(progress: &LabelProgress) -> String {
    let mut lines = vec![format!(
        "{} of {} cases read",
        progress.read, progress.cases
    )];
    lines.extend(progress.classes.iter().map(|class| {
        format!(
            "{:24} {} present, {} absent, {} uncertain",
            class.name, class.present, class.absent, class.uncertain
        )
    }));
    let readers = progress.readers.iter();
    lines.extend(readers.map(|r| format!("{}: {} cases", r.name, r.cases)));
    lines.join("\n")
}
