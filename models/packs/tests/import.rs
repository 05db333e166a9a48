//! Checkpoints of other programs become packs, and nothing in them is executed.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use lucency_nn::{Mode, Place};
use lucency_packs::{PackError, PackStore, TokenizerSpec};
use support::{Form, tensors_of, vectors, write_model};
use tempfile::TempDir;

/// Largest difference of two tensors.
fn difference(a: &Tensor, b: &Tensor) -> f32 {
    let difference = (a - b).unwrap().abs().unwrap().flatten_all().unwrap();
    difference.max(0).unwrap().to_scalar::<f32>().unwrap()
}

fn ids(inputs: &BTreeMap<String, Tensor>, key: &str) -> Tensor {
    inputs[key].to_dtype(DType::U32).unwrap()
}

fn import(path: &Path) -> (TempDir, Result<lucency_packs::Pack, PackError>) {
    let home = tempfile::tempdir().unwrap();
    let pack = PackStore::at(home.path()).import(path, Some("imported"));
    (home, pack)
}

/// Imports a PubMedCLIP checkpoint and compares its embeddings with openai/CLIP's, loaded with
/// `weights_only=True` (tolerances of the folder's README).
fn check_pubmedclip(folder: &str) {
    let folder = vectors(folder);
    let (_home, pack) = import(&folder.join("best_model.pth"));
    let pack = pack.unwrap();
    let clip = pack.load_clip(&Place::processor()).unwrap();
    let inputs = tensors_of(&folder.join("inputs.safetensors"));
    let expected = tensors_of(&folder.join("outputs.safetensors"));
    let images = clip.encode_image(&inputs["image"], Mode::Eval).unwrap();
    let texts = clip.encode_text(&ids(&inputs, "text")).unwrap();
    assert!(
        difference(&images, &expected["pth.encode_image"]) < 2e-5,
        "image embeddings"
    );
    assert!(
        difference(&texts, &expected["pth.encode_text"]) < 2e-5,
        "text embeddings"
    );
    let images = clip.embed_images(&inputs["image"], Mode::Eval).unwrap();
    let logits = clip
        .logits(&images, &clip.embed_texts(&ids(&inputs, "text")).unwrap())
        .unwrap();
    assert!(
        difference(&logits, &expected["pth.logits_per_image"]) < 1e-4,
        "logits"
    );
}

#[test]
fn a_pubmedclip_vit_gives_the_reference_embeddings() {
    check_pubmedclip("clip-vit-openai");
}

#[test]
fn a_pubmedclip_resnet_gives_the_reference_embeddings() {
    check_pubmedclip("clip-rn-openai");
}

#[test]
fn half_precision_weights_stay_half_on_disk() {
    let (_home, pack) = import(&vectors("clip-vit-openai").join("best_model.pth"));
    let stored = tensors_of(&pack.unwrap().path("weights").unwrap());
    assert_eq!(stored["visual.conv1.weight"].dtype(), DType::F16);
    assert_eq!(stored["visual.ln_pre.weight"].dtype(), DType::F32);
    assert!(
        !stored.contains_key("context_length"),
        "numbers that are no weights are dropped"
    );
}

/// Imports Hugging Face weights written in some form and compares with the `transformers` package.
fn check_hugging_face(write: impl FnOnce(&Path)) {
    let folder = vectors("clip-vit-hf");
    let source = tempfile::tempdir().unwrap();
    fs::copy(
        folder.join("config.json"),
        source.path().join("config.json"),
    )
    .unwrap();
    write(source.path());
    let (_home, pack) = import(source.path());
    let pack = pack.unwrap();
    let clip = pack.load_clip(&Place::processor()).unwrap();
    let inputs = tensors_of(&folder.join("inputs.safetensors"));
    let expected = tensors_of(&folder.join("outputs.safetensors"));
    let images = clip
        .encode_image(&inputs["pixel_values"], Mode::Eval)
        .unwrap();
    let texts = clip.encode_text(&ids(&inputs, "input_ids")).unwrap();
    assert!(
        difference(&images, &expected["image_embeds_pre"]) < 1e-5,
        "image embeddings"
    );
    assert!(
        difference(&texts, &expected["text_embeds_pre"]) < 1e-5,
        "text embeddings"
    );
}

#[test]
fn a_hugging_face_folder_with_safetensors_is_imported() {
    let weights = vectors("clip-vit-hf").join("weights.safetensors");
    check_hugging_face(|dir| {
        fs::copy(&weights, dir.join("model.safetensors")).unwrap();
    });
}

#[test]
fn a_hugging_face_folder_with_pytorch_model_bin_is_imported() {
    let tensors = tensors_of(&vectors("clip-vit-hf").join("weights.safetensors"));
    check_hugging_face(|dir| write_model(&dir.join("pytorch_model.bin"), &tensors, Form::Zip));
}

#[test]
fn a_pytorch_model_bin_of_an_old_torch_is_imported() {
    let tensors = tensors_of(&vectors("clip-vit-hf").join("weights.safetensors"));
    check_hugging_face(|dir| write_model(&dir.join("pytorch_model.bin"), &tensors, Form::Legacy));
}

#[test]
fn an_openai_torchscript_archive_is_imported_without_running_its_code() {
    let folder = vectors("clip-rn-openai");
    let tensors = tensors_of(&folder.join("weights.safetensors"));
    let source = tempfile::tempdir().unwrap();
    let path = source.path().join("RN50.pt");
    write_model(&path, &tensors, Form::Script);
    let (_home, pack) = import(&path);
    let clip = pack.unwrap().load_clip(&Place::processor()).unwrap();
    let inputs = tensors_of(&folder.join("inputs.safetensors"));
    let expected = tensors_of(&folder.join("outputs.safetensors"));
    let images = clip.encode_image(&inputs["image"], Mode::Eval).unwrap();
    assert!(difference(&images, &expected["encode_image"]) < 2e-5);
}

#[test]
fn a_data_parallel_checkpoint_loses_its_prefix() {
    let tensors = tensors_of(&vectors("clip-vit-openai").join("weights.safetensors"));
    let tensors = tensors
        .into_iter()
        .map(|(k, t)| (format!("module.{k}"), t))
        .collect();
    let source = tempfile::tempdir().unwrap();
    let path = source.path().join("parallel.pt");
    write_model(&path, &tensors, Form::Zip);
    let (_home, pack) = import(&path);
    assert!(pack.unwrap().load_clip(&Place::processor()).is_ok());
}

#[test]
fn an_imported_pack_says_what_it_is_and_that_nothing_was_measured() {
    let (_home, pack) = import(&vectors("clip-vit-openai").join("best_model.pth"));
    let pack = pack.unwrap();
    let manifest = pack.manifest();
    assert!(manifest.figures.is_empty() && manifest.answers.is_none());
    assert!(manifest.label_sets.iter().all(|set| !set.is_calibrated()));
    assert!(
        manifest
            .label_set(Some("chest-radiograph"))
            .unwrap()
            .label("Pneumothorax")
            .is_some()
    );
    assert_eq!(
        manifest.tokenizer,
        TokenizerSpec::Unknown { vocabulary: 300 }
    );
    assert!(
        matches!(pack.tokenizer(), Err(PackError::Model { .. })),
        "300 ids are not CLIP's"
    );
    assert!(matches!(
        pack.weights("answers", &Device::Cpu).err(),
        Some(PackError::MissingRole { .. })
    ));
    assert!(pack.card().unwrap().contains("Not a medical device"));
}

#[test]
fn importing_twice_changes_nothing_and_another_checkpoint_cannot_take_the_name() {
    let home = tempfile::tempdir().unwrap();
    let store = PackStore::at(home.path());
    let vit = vectors("clip-vit-openai").join("best_model.pth");
    let first = store.import(&vit, Some("tiny")).unwrap();
    let second = store.import(&vit, Some("tiny")).unwrap();
    assert_eq!(
        first.hash(),
        second.hash(),
        "the same checkpoint makes the same pack"
    );
    let other = store.import(
        &vectors("clip-rn-openai").join("best_model.pth"),
        Some("tiny"),
    );
    assert!(matches!(other, Err(PackError::NameTaken { .. })));
    assert_eq!(store.find("tiny").unwrap().hash(), first.hash());
    let left: Vec<_> = fs::read_dir(home.path().join("packs")).unwrap().collect();
    assert_eq!(left.len(), 1, "no temporary folder is left behind");
}

#[test]
fn a_generic_file_name_gives_way_to_its_folders_name() {
    let home = tempfile::tempdir().unwrap();
    let store = PackStore::at(home.path());
    let pack = store
        .import(&vectors("clip-vit-openai").join("best_model.pth"), None)
        .unwrap();
    assert_eq!(pack.name(), "clip-vit-openai");
    let invalid = store.import(&vectors("clip-vit-openai"), Some("../out"));
    assert!(matches!(invalid, Err(PackError::InvalidName { .. })));
}

#[test]
fn a_checkpoint_that_lacks_a_tensor_is_refused_by_its_key() {
    let mut tensors = tensors_of(&vectors("clip-vit-openai").join("weights.safetensors"));
    tensors.remove("visual.class_embedding").unwrap();
    let source = tempfile::tempdir().unwrap();
    let path = source.path().join("partial.pt");
    write_model(&path, &tensors, Form::Zip);
    let (home, pack) = import(&path);
    let message = pack.unwrap_err().to_string();
    assert!(message.contains("visual.class_embedding"), "{message}");
    assert!(
        PackStore::at(home.path()).list().unwrap().is_empty(),
        "nothing was installed"
    );
}

#[test]
fn folders_and_files_that_are_no_checkpoint_say_what_is_expected() {
    let source = tempfile::tempdir().unwrap();
    let (_home, empty) = import(source.path());
    assert!(matches!(empty, Err(PackError::Unsupported { .. })));
    let path = source.path().join("notes.pt");
    fs::write(&path, "hello").unwrap();
    let (_home, text) = import(&path);
    assert!(text.unwrap_err().to_string().contains("not a checkpoint"));
    let (_home, missing) = import(&source.path().join("absent.pt"));
    assert!(matches!(missing, Err(PackError::Io { .. })));
    let weights = vectors("clip-vit-hf").join("weights.safetensors");
    fs::copy(weights, source.path().join("model.safetensors")).unwrap();
    let (_home, without) = import(&source.path().join("model.safetensors"));
    assert!(without.unwrap_err().to_string().contains("config.json"));
}
