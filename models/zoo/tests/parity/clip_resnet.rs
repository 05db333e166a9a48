use crate::clip_openai::{compare, load};
use crate::{assert_close, tensors};
use lucency_nn::Mode;

const FOLDER: &str = "clip-rn-openai";

#[test]
fn resnet_equals_the_reference() {
    compare(FOLDER);
}

#[test]
fn every_stage_equals_the_reference() {
    let (inputs, wanted) = (
        tensors(FOLDER, "inputs.safetensors"),
        tensors(FOLDER, "outputs.safetensors"),
    );
    let maps = load(FOLDER)
        .image_activations(&inputs["image"], Mode::Eval)
        .unwrap();
    for (map, key) in maps
        .iter()
        .zip(["stem", "layer1", "layer2", "layer3", "layer4"])
    {
        assert_close(key, map, &wanted[key], 2e-5);
    }
}

#[test]
fn trunk_and_head_are_the_image_tower_in_two_parts() {
    let inputs = tensors(FOLDER, "inputs.safetensors");
    let clip = load(FOLDER);
    let trunk = clip.trunk(&inputs["image"], Mode::Eval).unwrap();
    assert_eq!(
        (trunk.grid, trunk.hidden.dims()),
        ((4, 4), [3, 64, 4, 4].as_slice())
    );
    assert_eq!(
        clip.spatial_tokens(&trunk.hidden).unwrap().dims(),
        [3, 16, 64]
    );
    let whole = clip.encode_image(&inputs["image"], Mode::Eval).unwrap();
    assert_close(
        "image",
        &clip.head(&trunk.hidden, Mode::Eval).unwrap(),
        &whole,
        0.0,
    );
    assert!(clip.attention_maps(&inputs["image"]).unwrap().is_empty());
}
