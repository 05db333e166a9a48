//! Words of the command line for what a question-answering run can be.

use clap::ValueEnum;
use lucency_train::vqa::{Language, Method, Preset, QuestionFormat, SplitKind};
use lucency_zoo::vqa::{Fusion, Rnn};

macro_rules! choices {
    ($(#[$doc:meta])* $name:ident => $target:ty { $($(#[$entry:meta])* $variant:ident => $value:expr),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
        pub enum $name { $($(#[$entry])* $variant),+ }
        impl From<$name> for $target {
            fn from(choice: $name) -> Self {
                match choice { $($name::$variant => $value),+ }
            }
        }
    };
}

choices! {
    /// Layout of a question file.
    FormatChoice => QuestionFormat {
        /// Seen from the first record.
        Auto => QuestionFormat::Auto,
        /// VQA-RAD.
        VqaRad => QuestionFormat::VqaRad,
        /// SLAKE.
        Slake => QuestionFormat::Slake,
    }
}
choices! {
    /// Language of SLAKE's questions.
    LanguageChoice => Language {
        /// English.
        En => Language::English,
        /// Chinese.
        Zh => Language::Chinese,
    }
}
choices! {
    /// A system.
    MethodChoice => Method {
        /// Mixture of enhanced visual features.
        Mevf => Method::Mevf,
        /// Question-conditioned reasoning.
        Qcr => Method::Qcr,
    }
}
choices! {
    /// Numbers of a run.
    PresetChoice => Preset {
        /// MEVF's.
        Mevf => Preset::Mevf,
        /// QCR's.
        Qcr => Preset::Qcr,
        /// Our best on validation.
        Tuned => Preset::Tuned,
    }
}
choices! {
    /// How image and question meet.
    FusionChoice => Fusion {
        /// Bilinear attention.
        Ban => Fusion::Ban,
        /// Stacked attention.
        San => Fusion::San,
    }
}
choices! {
    /// A recurrent layer.
    RnnChoice => Rnn {
        /// Long short-term memory.
        Lstm => Rnn::Lstm,
        /// Gated recurrent unit.
        Gru => Rnn::Gru,
    }
}
choices! {
    /// What validation keeps apart.
    SplitChoice => SplitKind {
        /// Whole images.
        Images => SplitKind::Images,
        /// Free questions, and whatever asks nearly the same on the image.
        Questions => SplitKind::Questions,
        /// Free questions with their paraphrases, as the published test split.
        Pairs => SplitKind::Pairs,
    }
}

/// An image network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum VisualChoice {
    /// Meta-learned convolutions on 84×84.
    Maml,
    /// Denoising autoencoder on 128×128.
    Ae,
    /// Features of a pack's image tower.
    Clip,
}
