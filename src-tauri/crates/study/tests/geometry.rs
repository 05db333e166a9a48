//! What distances may be trusted for.

use lucency_study::geometry::{
    PatientOrientation, Spacing, SpacingAttributes, SpacingKind, pixel_aspect, slice_normal,
};

fn kind(attributes: SpacingAttributes) -> Option<SpacingKind> {
    Spacing::from_attributes(&attributes).map(|s| s.kind)
}

#[test]
fn cross_sections_are_calibrated_by_pixel_spacing() {
    let attributes = SpacingAttributes {
        pixel_spacing: Some([0.7, 0.7]),
        ..SpacingAttributes::default()
    };
    assert_eq!(kind(attributes), Some(SpacingKind::Calibrated));
}

#[test]
fn a_projection_is_calibrated_only_when_it_says_so_or_differs_from_the_detector() {
    let plain = SpacingAttributes {
        pixel_spacing: Some([0.14, 0.14]),
        imager_pixel_spacing: Some([0.14, 0.14]),
        calibration_stated: false,
        projection: true,
    };
    assert_eq!(kind(plain), Some(SpacingKind::AtDetector));
    let stated = SpacingAttributes {
        calibration_stated: true,
        ..plain
    };
    assert_eq!(kind(stated), Some(SpacingKind::Calibrated));
    let corrected = SpacingAttributes {
        pixel_spacing: Some([0.12, 0.12]),
        ..plain
    };
    assert_eq!(kind(corrected), Some(SpacingKind::Calibrated));
    let detector_only = SpacingAttributes {
        pixel_spacing: None,
        ..plain
    };
    assert_eq!(kind(detector_only), Some(SpacingKind::AtDetector));
}

#[test]
fn no_spacing_is_invented() {
    assert_eq!(kind(SpacingAttributes::default()), None);
    let nonsense = SpacingAttributes {
        pixel_spacing: Some([0.0, -1.0]),
        ..SpacingAttributes::default()
    };
    assert_eq!(kind(nonsense), None);
}

#[test]
fn degenerate_orientations_have_no_normal() {
    assert_eq!(slice_normal(&[1.0, 0.0, 0.0, 1.0, 0.0, 0.0]), None);
    let normal = slice_normal(&[1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
    assert_eq!(normal, Some([0.0, 0.0, 1.0]));
}

#[test]
fn a_projection_says_in_letters_which_way_the_patient_lies() {
    let read = |text: &str| PatientOrientation::from_values(text.split('\\'));
    let film = read("L\\F").expect("a frontal film");
    assert_eq!((film.row.as_str(), film.column.as_str()), ("L", "F"));
    let oblique = read(" PL\\FA ").expect("an oblique film");
    assert_eq!(
        (oblique.row.as_str(), oblique.column.as_str()),
        ("PL", "FA")
    );
    for wrong in [
        "", "L", "L\\F\\A", "L\\", "LR\\F", "X\\F", "LPHA\\F", "LE\\V",
    ] {
        assert!(read(wrong).is_none(), "{wrong:?} is not an orientation");
    }
}

#[test]
fn pixels_have_the_shape_that_spacing_or_else_the_ratio_states() {
    let spacing = Spacing {
        row_mm: 0.5,
        column_mm: 0.25,
        kind: SpacingKind::Calibrated,
    };
    assert_eq!(pixel_aspect(Some(&spacing), Some([1.0, 3.0])), 2.0);
    assert_eq!(pixel_aspect(None, Some([3.0, 2.0])), 1.5);
    assert_eq!(pixel_aspect(None, None), 1.0);
    for nonsense in [[0.0, 1.0], [1.0, 0.0], [-1.0, 1.0], [f64::NAN, 1.0]] {
        assert_eq!(pixel_aspect(None, Some(nonsense)), 1.0, "{nonsense:?}");
    }
}
