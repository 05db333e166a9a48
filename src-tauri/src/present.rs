//! Studies and frames in the words of the window.

use lucency_assistant::dto::{
    FrameInfo, ModalityDto, RejectedDto, SeriesDto, SpacingDto, SpacingKindDto, StudyDto, TagNode,
    ValueKindDto, VoiDto, WindowDto, WindowFunctionDto,
};
use lucency_study::display::{
    LabelledVoi, Lut, ModalityTransform, Polarity, Voi, VoiFunction, Window,
};
use lucency_study::geometry::pixel_aspect;
use lucency_study::{Frame, FrameRef, Series, Spacing, SpacingKind, StoredValues, Study};

/// A study under the identifier `id`; its series are `id.0`, `id.1`, ….
pub fn study(id: &str, study: &Study) -> StudyDto {
    let series = study.series.iter().enumerate();
    StudyDto {
        id: id.to_owned(),
        patient_name: study.patient.display_name().unwrap_or_default(),
        patient_id: study.patient.id.clone().unwrap_or_default(),
        sex: study.patient.sex.clone().unwrap_or_default(),
        age: study.patient.age.clone().unwrap_or_default(),
        date: study.date.clone().unwrap_or_default(),
        description: study.description.clone().unwrap_or_default(),
        synthetic: study.synthetic,
        series: series
            .map(|(n, s)| series_dto(format!("{id}.{n}"), s))
            .collect(),
    }
}

fn series_dto(id: String, series: &Series) -> SeriesDto {
    SeriesDto {
        id,
        modality: series.modality.clone(),
        description: series.description.clone().unwrap_or_default(),
        body_part: series.body_part.clone().unwrap_or_default(),
        view: series.view.clone().unwrap_or_default(),
        frames: series.frames.len(),
    }
}

/// Everything about a frame but its values.
pub fn frame_info(series: &Series, place: FrameRef, frame: &Frame) -> FrameInfo {
    let instance = &series.instances[place.instance];
    let colour = frame.is_colour();
    let window = window_dto(frame.default_window());
    FrameInfo {
        rows: frame.rows,
        columns: frame.columns,
        samples: if colour { 3 } else { frame.samples },
        kind: if colour {
            ValueKindDto::U8
        } else {
            value_kind(&frame.values)
        },
        photometric: frame.photometric.name().to_owned(),
        modality: modality_dto(&frame.modality),
        voi: frame.voi.iter().map(voi_dto).collect(),
        default_window: window,
        default_is_lut: matches!(frame.default_voi(), Voi::Lut(_)),
        inverted: frame.polarity == Polarity::Inverted,
        spacing: frame.spacing.map(spacing_dto),
        pixel_aspect: pixel_aspect(frame.spacing.as_ref(), instance.aspect_ratio),
        padding: frame.padding.map(|p| p.low),
        instance_number: instance
            .instance_number
            .and_then(|n| i32::try_from(n).ok())
            .unwrap_or_default(),
        position_mm: place.position_mm,
        orientation: instance.orientation.map(|o| o.to_vec()),
        patient_orientation: instance
            .patient_orientation
            .clone()
            .map(|o| [o.row, o.column]),
        frame: place.frame + 1,
        pixel_hash: frame.pixel_hash(),
    }
}

fn value_kind(values: &StoredValues) -> ValueKindDto {
    match values {
        StoredValues::U8(_) => ValueKindDto::U8,
        StoredValues::I8(_) => ValueKindDto::I8,
        StoredValues::U16(_) => ValueKindDto::U16,
        StoredValues::I16(_) => ValueKindDto::I16,
        StoredValues::U32(_) => ValueKindDto::U32,
        StoredValues::I32(_) => ValueKindDto::I32,
        StoredValues::F32(_) => ValueKindDto::F32,
        StoredValues::F64(_) => ValueKindDto::F64,
    }
}

fn modality_dto(transform: &ModalityTransform) -> ModalityDto {
    match transform {
        ModalityTransform::Identity => ModalityDto::Identity,
        ModalityTransform::Rescale { slope, intercept } => ModalityDto::Rescale {
            slope: *slope,
            intercept: *intercept,
        },
        ModalityTransform::Lut(lut) => ModalityDto::Lut {
            first: first(lut),
            values: lut.values.clone(),
        },
    }
}

/// DICOM stores it in 16 bits.
fn first(lut: &Lut) -> i32 {
    i32::try_from(lut.first).unwrap_or_default()
}

fn voi_dto(voi: &LabelledVoi) -> VoiDto {
    match &voi.voi {
        Voi::Window(window) => VoiDto::Window {
            center: window.center,
            width: window.width,
            function: function_dto(window.function),
            label: voi.label.clone(),
        },
        Voi::Lut(lut) => VoiDto::Lut {
            first: first(lut),
            values: lut.values.clone(),
            bits: lut.bits,
            label: voi.label.clone(),
        },
    }
}

fn window_dto(window: Window) -> WindowDto {
    WindowDto {
        center: window.center,
        width: window.width,
        function: function_dto(window.function),
    }
}

fn function_dto(function: VoiFunction) -> WindowFunctionDto {
    match function {
        VoiFunction::Linear => WindowFunctionDto::Linear,
        VoiFunction::LinearExact => WindowFunctionDto::LinearExact,
        VoiFunction::Sigmoid => WindowFunctionDto::Sigmoid,
    }
}

fn spacing_dto(spacing: Spacing) -> SpacingDto {
    SpacingDto {
        row_mm: spacing.row_mm,
        column_mm: spacing.column_mm,
        kind: match spacing.kind {
            SpacingKind::Calibrated => SpacingKindDto::Calibrated,
            SpacingKind::AtDetector => SpacingKindDto::AtDetector,
        },
    }
}

/// A file that was not opened: its name without its folder.
pub fn rejected(rejected: &lucency_study::Rejected) -> RejectedDto {
    let name = rejected
        .path
        .file_name()
        .unwrap_or(rejected.path.as_os_str());
    RejectedDto {
        path: name.to_string_lossy().into_owned(),
        code: rejected.code.to_owned(),
        message: rejected.message.clone(),
    }
}

/// A data element and what it contains.
pub fn tag(node: lucency_study::TagNode) -> TagNode {
    TagNode {
        tag: node.tag,
        vr: node.vr,
        name: node.name,
        value: node.value,
        children: node.children.into_iter().map(tag).collect(),
    }
}
