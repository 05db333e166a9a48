//! What 8 and 4 bits cost: the reference's embeddings against those of quantised weights.

use candle_core::{Device, Tensor};
use lucency_nn::{Mode, Quantisation, Weights};
use lucency_zoo::clip::{Clip, ClipConfig};

use crate::clip_openai::stream;
use crate::{difference, tensors, values, vector};

fn quantised(folder: &str, config: &ClipConfig, kind: Quantisation) -> Clip {
    let weights = Weights::stream(&vector(folder, "weights.safetensors"), &Device::Cpu);
    Clip::load(&weights.unwrap().quantised(Some(kind)), config).unwrap()
}

/// The smallest cosine between rows of two matrices.
fn cosine(a: &Tensor, b: &Tensor) -> f32 {
    let width = a.dims()[a.rank() - 1];
    let (a, b) = (values(a), values(b));
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    a.chunks(width)
        .zip(b.chunks(width))
        .map(|(a, b)| dot(a, b) / (dot(a, a) * dot(b, b)).sqrt())
        .fold(1.0, f32::min)
}

#[test]
fn embeddings_stay_near_the_reference() {
    let hf = std::fs::read_to_string(vector("clip-vit-hf", "config.json")).unwrap();
    let hf = ClipConfig::from_hf_config_json(&hf).unwrap();
    // Width 32 to 64: few inputs average out an error, so that real sizes fare better.
    for (folder, config, keys) in [
        (
            "clip-vit-hf",
            hf,
            [
                "pixel_values",
                "input_ids",
                "image_embeds_pre",
                "text_embeds_pre",
            ],
        ),
        (
            "clip-vit-openai",
            stream("clip-vit-openai").config().clone(),
            ["image", "text", "encode_image", "encode_text"],
        ),
    ] {
        let inputs = tensors(folder, "inputs.safetensors");
        let wanted = tensors(folder, "outputs.safetensors");
        for (kind, least) in [(Quantisation::Q8, 0.9995), (Quantisation::Q4, 0.88)] {
            let clip = quantised(folder, &config, kind);
            let image = clip.encode_image(&inputs[keys[0]], Mode::Eval).unwrap();
            let text = clip.encode_text(&inputs[keys[1]]).unwrap();
            for (what, found, wanted) in [
                ("image", image, &wanted[keys[2]]),
                ("text", text, &wanted[keys[3]]),
            ] {
                let (cosine, off) = (cosine(&found, wanted), difference(&found, wanted));
                println!("{folder} {kind} {what}: cosine {cosine:.5}, off by {off:.5}");
                assert!(cosine >= least, "{folder} {kind} {what}: cosine {cosine}");
                assert!(off > 1e-5, "{folder} {kind} {what} was not quantised");
            }
        }
    }
}
