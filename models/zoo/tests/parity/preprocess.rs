use crate::{tensors, vector};
use candle_core::{Device, Tensor};
use lucency_zoo::preprocess::{Geometry, Image8, Preprocess, Region};

const IMAGES: [&str; 4] = ["gradient16", "noisy_rgb", "wide", "tiny30x40"];

fn picture(name: &str) -> Image8 {
    let bytes = std::fs::read(vector("preprocess", &format!("{name}.png"))).unwrap();
    Image8::decode(&bytes).unwrap()
}

fn levels(tensor: &Tensor) -> Vec<u8> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// Interleaved samples as planes, a grey image three times.
fn planes(image: &Image8) -> Vec<u8> {
    (0..3)
        .flat_map(|c| {
            let first = if image.channels == 3 { c } else { 0 };
            image.data[first..].iter().step_by(image.channels).copied()
        })
        .collect()
}

#[test]
fn clip_pixels_equal_the_reference_to_the_level() {
    let wanted = tensors("preprocess", "outputs.safetensors");
    for name in ["gradient16", "noisy_rgb"] {
        let found = Preprocess::clip(224).resize_u8(&picture(name)).unwrap();
        assert!(
            planes(&found) == levels(&wanted[&format!("clip224.u8.{name}")]),
            "{name}"
        );
    }
}

#[test]
fn clip_inputs_equal_the_reference() {
    let wanted = tensors("preprocess", "outputs.safetensors");
    for name in IMAGES {
        let found = Preprocess::clip(64)
            .tensor(&picture(name), &Device::Cpu)
            .unwrap();
        crate::assert_close(name, &found, &wanted[&format!("clip64.f32.{name}")], 1e-6);
    }
}

#[test]
fn grey_squares_of_mevf_equal_the_reference() {
    let wanted = tensors("preprocess", "outputs.safetensors");
    for (key, pipeline) in [
        ("maml84.u8", Preprocess::maml84()),
        ("cdae128.u8", Preprocess::cdae128()),
    ] {
        for (i, name) in IMAGES.iter().enumerate() {
            let found = pipeline.resize_u8(&picture(name)).unwrap();
            assert!(
                found.data == levels(&wanted[key].get(i).unwrap()),
                "{key} of {name}"
            );
        }
    }
    let found = Preprocess::maml84().apply(&picture("gradient16")).unwrap();
    assert_eq!(found, crate::values(&wanted["maml84.f32"]));
}

#[test]
fn clip_input_of_mevf_is_scrambled_as_its_code_does() {
    let wanted = tensors("preprocess", "outputs.safetensors");
    let pipeline = Preprocess::mevf_clip250();
    let picture = picture("noisy_rgb");
    let square = pipeline.resize_u8(&picture).unwrap();
    let rows = levels(&wanted["clip250.u8_hwc_rows0_64.noisy_rgb"]);
    assert!(square.data[..rows.len()] == rows);
    let input = pipeline.tensor(&picture, &Device::Cpu).unwrap(); // [3, 250, 250]
    let first_rows = input.narrow(1, 0, 1).unwrap().squeeze(1).unwrap();
    let first = &wanted["clip250.as_coded_first_row.noisy_rgb"];
    crate::assert_close("first rows", &first_rows, first, 1e-6);
    let means = input.mean((1, 2)).unwrap();
    crate::assert_close(
        "means",
        &means,
        &wanted["clip250.as_coded_mean.noisy_rgb"],
        1e-5,
    );
}

#[test]
fn bilinear_chain_of_pubmedclip_equals_the_reference() {
    let wanted = tensors("preprocess", "outputs.safetensors");
    let found = Preprocess::pubmedclip_val250()
        .resize_u8(&picture("noisy_rgb"))
        .unwrap();
    let first: Vec<u8> = planes(&found)
        .chunks(250 * 250)
        .flat_map(|plane| plane[..64 * 250].to_vec())
        .collect();
    assert!(first == levels(&wanted["pubmedclip_val250.u8_chw_rows0_64.noisy_rgb"]));
}

#[test]
fn sixteen_bit_pictures_are_rounded_to_eight() {
    assert_eq!(picture("gradient16_source"), picture("gradient16"));
}

#[test]
fn a_picture_of_the_right_size_is_left_as_it_is() {
    let data: Vec<u8> = (0..64u32 * 64).map(|i| (i * 7 % 256) as u8).collect();
    let image = Image8::new(64, 64, 1, data).unwrap();
    assert_eq!(Preprocess::clip(64).resize_u8(&image).unwrap(), image);
}

#[test]
fn a_batch_is_its_images_one_by_one() {
    let pictures = IMAGES.map(picture);
    let pipeline = Preprocess::squash_grey(32);
    let batch = pipeline
        .batch(&pictures.iter().collect::<Vec<_>>(), &Device::Cpu)
        .unwrap();
    for (i, picture) in pictures.iter().enumerate() {
        let one = pipeline.tensor(picture, &Device::Cpu).unwrap();
        assert_eq!(crate::difference(&batch.get(i).unwrap(), &one), 0.0);
    }
}

#[test]
fn the_source_region_is_what_the_model_sees() {
    let whole = Region {
        x: 0.0,
        y: 0.0,
        width: 300.0,
        height: 200.0,
    };
    assert_eq!(Preprocess::squash_grey(64).source_region(300, 200), whole);
    let cut = Preprocess::clip(100).source_region(300, 200);
    assert_eq!(
        cut,
        Region {
            x: 50.0,
            y: 0.0,
            width: 200.0,
            height: 200.0
        }
    );
    let padded = Preprocess::pad_grey(30).source_region(300, 200);
    assert_eq!(
        padded,
        Region {
            x: 0.0,
            y: -50.0,
            width: 300.0,
            height: 300.0
        }
    );
}

#[test]
fn padding_surrounds_the_picture_evenly() {
    let image = Image8::new(40, 20, 1, vec![200; 800]).unwrap();
    let square = Preprocess::pad_grey(20).resize_u8(&image).unwrap();
    let rows: Vec<u8> = square.data.chunks(20).map(|row| row[0]).collect();
    assert_eq!(rows, [[0; 5].as_slice(), &[200; 10], &[0; 5]].concat());
}

#[test]
fn a_pipeline_reads_back_as_it_was_written_and_refuses_unknown_fields() {
    for pipeline in [
        Preprocess::clip(224),
        Preprocess::mevf_clip250(),
        Preprocess::pad_grey(9),
    ] {
        let text = serde_json::to_string(&pipeline).unwrap();
        assert_eq!(serde_json::from_str::<Preprocess>(&text).unwrap(), pipeline);
        let more = text.replacen('{', "{\"sharpen\":1,", 1);
        assert!(serde_json::from_str::<Preprocess>(&more).is_err());
    }
}

#[test]
fn unusable_descriptions_and_images_are_refused() {
    let mut pipeline = Preprocess::clip(224);
    pipeline.std[1] = 0.0;
    assert!(
        pipeline.check().is_err(),
        "a deviation of zero divides by zero"
    );
    let zero = Preprocess {
        geometry: Geometry::Squash { side: 0 },
        ..Preprocess::clip(1)
    };
    assert!(zero.check().is_err());
    assert!(Image8::new(2, 2, 1, vec![0; 3]).is_err());
    assert!(Image8::new(0, 2, 1, vec![]).is_err());
    assert!(Image8::new(usize::MAX, usize::MAX, 3, vec![]).is_err());
}
