//! TypeScript for the records of [`crate::dto`], so that the window and the use cases cannot drift apart.

use ts_rs::{Config, TS};

use crate::dto;

/// The whole of `ui/src/backend/bindings.ts`.
pub fn typescript() -> String {
    let config = Config::default().with_large_int("number");
    let mut out = String::from(
        "// Generated from the Rust types: `LUCENCY_WRITE_BINDINGS=1 cargo test -p lucency-assistant bindings`.\n\
         // Do not edit.\n",
    );
    macro_rules! declare {
        ($($name:ident),* $(,)?) => {
            $(out.push_str("\nexport ");
              out.push_str(&<dto::$name as TS>::decl(&config));
              out.push('\n');)*
        };
    }
    out.push_str("\nexport ");
    out.push_str(&<crate::kind::QuestionKind as TS>::decl(&config));
    out.push('\n');
    declare!(
        Provenance,
        RegionDto,
        HeatMap,
        Alternative,
        CautionReason,
        Caution,
        Suggestions,
        Answer,
        FindingScore,
        Findings,
        SimilarCase,
        SimilarCases,
        FigureDto,
        PackSummary,
        ErrorDto,
        ProgressDto,
        AppInfo,
        SeriesDto,
        StudyDto,
        RejectedDto,
        OpenReportDto,
        WindowFunctionDto,
        WindowDto,
        ModalityDto,
        VoiDto,
        ValueKindDto,
        SpacingKindDto,
        SpacingDto,
        FrameInfo,
        TagNode,
        LibraryStatus,
        LibraryCount,
        SearchBy,
        LibraryFilter,
        LibraryQuery,
        RankDto,
        ExcerptPiece,
        CaseFacts,
        LibraryHit,
        LibraryHits,
        CaseText,
        CaseQuestion,
        CaseLabel,
        LibraryCase,
        ImportFormat,
        ColumnRole,
        ImportRequest,
        PreviewColumn,
        PreviewRow,
        ImportPreview,
        RejectCause,
        RejectedRow,
        ImportOutcome,
        LibraryDeleted,
        EmbedOutcome,
        LabelSetDto,
        LabelAsk,
        LabelWanted,
        LabelledCase,
        LabelCount,
        LabelReader,
        LabelProgress,
        LabelStrategy,
        LabelNextRequest,
        LabelBasis,
        LabelCandidate,
        LabelNext,
        AgreementRow,
        LabelDisagreement,
        LabelAgreement,
        TrainingMethod,
        TrainingNeed,
        CalibrationMethod,
        TrainingPrecision,
        TrainingOptions,
        TrainingPreset,
        TrainingColumns,
        TrainingTable,
        TrainingData,
        ClassCount,
        TrainingProblem,
        TrainingPreview,
        TrainingRequest,
        TrainingEstimate,
        TrainingState,
        TrainingRun,
        CurvePoint,
        TrainingRunDetail,
        AdapterSummary,
        FigureInterval,
        ClassFigures,
        ReportRow,
        PlotPoint,
        ClassPlots,
        ConfusionTable,
        WorstCase,
        RecallRow,
        ForgottenRow,
        RecalibrationRow,
        AdapterReport,
        ComputeType,
        MatrixBits,
        ComputingChoice,
        SelfTestDto,
        DeviceRefused,
        ComputingDto,
        DeviceDto,
        ComputingOverview,
    );
    out
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn bindings_of_the_window_are_up_to_date() {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../ui/src/backend/bindings.ts");
        let wanted = super::typescript();
        if std::env::var_os("LUCENCY_WRITE_BINDINGS").is_some() {
            std::fs::write(&path, &wanted).expect("the ui folder is writable");
        }
        let found = std::fs::read_to_string(&path).expect("ui/src/backend/bindings.ts exists");
        assert_eq!(
            found, wanted,
            "regenerate with LUCENCY_WRITE_BINDINGS=1 cargo test -p lucency-assistant bindings"
        );
    }
}
