//! Checkpoints made to do harm, or damaged by accident, are refused with a reason.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::Path;

use lucency_packs::{Pack, PackError, PackStore};
use support::{Described, Pickle, small, torch_zip, zip_with};
use tempfile::TempDir;
use zip::CompressionMethod;

const SIX: [u8; 24] = [0; 24];

fn import(path: &Path) -> Result<Pack, PackError> {
    let home = tempfile::tempdir().unwrap();
    PackStore::at(home.path()).import(path, Some("hostile"))
}

fn import_pickle(pickle: &[u8]) -> PackError {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.pt");
    torch_zip(&path, pickle, &[("data/0", &SIX)]);
    import(&path).unwrap_err()
}

fn import_tensor(tensor: &Described<'_>) -> PackError {
    import_pickle(
        &Pickle::new()
            .dict(|p| p.text("weight").tensor(tensor))
            .stop(),
    )
}

fn damaged(error: PackError, words: &str) {
    assert!(matches!(error, PackError::Damaged { .. }), "{error:?}");
    assert!(
        error.to_string().contains(words),
        "{error} does not say {words:?}"
    );
}

#[test]
fn a_well_formed_small_checkpoint_is_read_and_then_found_to_be_no_clip() {
    let error = import_tensor(&small());
    assert!(matches!(error, PackError::Unsupported { .. }), "{error:?}");
}

#[test]
fn calls_of_python_functions_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("executed");
    let command = format!("touch {}", mark.display());
    for (module, name) in [("os", "system"), ("builtins", "eval"), ("posix", "system")] {
        let pickle = Pickle::new()
            .global(module, name)
            .text(&command)
            .raw(b"\x85R")
            .stop();
        match import_pickle(&pickle) {
            PackError::ForbiddenGlobal { global, .. } => {
                assert_eq!(global, format!("{module}.{name}"));
            }
            other => panic!("{other:?}"),
        }
    }
    // The same by way of protocol 4.
    let pickle = Pickle::new()
        .text("os")
        .text("system")
        .raw(b"\x93")
        .text(&command);
    let error = import_pickle(&pickle.raw(b"\x85R").stop());
    assert!(
        matches!(error, PackError::ForbiddenGlobal { .. }),
        "{error:?}"
    );
    assert!(!mark.exists(), "nothing was executed");
}

#[test]
fn module_classes_are_refused_outside_torchscript() {
    let pickle = Pickle::new()
        .global("__torch__.model", "Module")
        .raw(b")\x81")
        .stop();
    assert!(matches!(
        import_pickle(&pickle),
        PackError::ForbiddenGlobal { .. }
    ));
    let pickle = Pickle::new()
        .global("torch.nn.modules.linear", "Linear")
        .raw(b")\x81")
        .stop();
    let error = import_pickle(&pickle);
    assert!(
        error.to_string().contains("torch.nn.modules.linear.Linear"),
        "{error}"
    );
}

#[test]
fn a_view_beyond_its_storage_is_refused() {
    damaged(
        import_tensor(&Described {
            offset: 1,
            ..small()
        }),
        "reach beyond",
    );
    damaged(
        import_tensor(&Described {
            stride: &[4, 1],
            ..small()
        }),
        "reach beyond",
    );
    damaged(
        import_tensor(&Described {
            offset: i64::MAX,
            ..small()
        }),
        "reach beyond",
    );
    damaged(
        import_tensor(&Described {
            stride: &[i64::MAX, i64::MAX],
            ..small()
        }),
        "reach beyond",
    );
    damaged(
        import_tensor(&Described {
            offset: -1,
            ..small()
        }),
        "non-negative",
    );
    damaged(
        import_tensor(&Described {
            stride: &[-3, 1],
            ..small()
        }),
        "non-negative",
    );
    damaged(
        import_tensor(&Described {
            stride: &[1],
            ..small()
        }),
        "strides",
    );
}

#[test]
fn a_huge_or_repeating_shape_is_refused_before_memory_is_asked_for() {
    let huge: &[i64] = &[i64::MAX, i64::MAX];
    damaged(
        import_tensor(&Described {
            shape: huge,
            stride: &[0, 0],
            ..small()
        }),
        "more elements",
    );
    let wide: &[i64] = &[1 << 40, 3];
    damaged(
        import_tensor(&Described {
            shape: wide,
            stride: &[0, 1],
            ..small()
        }),
        "more elements",
    );
    let axes = [1; 9];
    damaged(
        import_tensor(&Described {
            shape: &axes,
            stride: &axes,
            ..small()
        }),
        "9 axes",
    );
    damaged(
        import_tensor(&Described {
            numel: 1 << 60,
            ..small()
        }),
        "are stated",
    );
    damaged(
        import_tensor(&Described {
            numel: 7,
            ..small()
        }),
        "are stated",
    );
    damaged(
        import_tensor(&Described {
            key: "1",
            ..small()
        }),
        "data/1",
    );
    damaged(
        import_tensor(&Described {
            key: "../0",
            ..small()
        }),
        "data/../0",
    );
}

#[test]
fn many_tensors_of_one_storage_cannot_claim_more_than_the_file_justifies() {
    let numbers = vec![0u8; 400_000];
    let shape = [100_000];
    let tensor = Described {
        numel: 100_000,
        shape: &shape,
        stride: &[1],
        ..small()
    };
    let pickle = Pickle::new().dict(|mut p| {
        for i in 0..20 {
            p = p.text(&format!("weight{i}")).tensor(&tensor);
        }
        p
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.pt");
    torch_zip(&path, &pickle.stop(), &[("data/0", &numbers)]);
    damaged(import(&path).unwrap_err(), "more memory");
}

#[test]
fn a_name_that_occurs_twice_is_refused() {
    let pickle = Pickle::new()
        .dict(|p| {
            p.text("weight")
                .tensor(&small())
                .text("weight")
                .tensor(&small())
        })
        .stop();
    damaged(import_pickle(&pickle), "occurs twice");
}

#[test]
fn one_storage_described_in_two_ways_is_refused() {
    let other = Described {
        class: "HalfStorage",
        numel: 12,
        ..small()
    };
    let pickle = Pickle::new().dict(|p| p.text("a").tensor(&small()).text("b").tensor(&other));
    damaged(import_pickle(&pickle.stop()), "two ways");
}

#[test]
fn deep_nesting_and_cycles_end_without_overflow() {
    let deep = Pickle::new().raw(b")").raw(&vec![0x85; 3_000_000]).stop();
    damaged(
        import_pickle(&deep),
        "neither a state dictionary nor a module",
    );
    let marks = Pickle::new().raw(&vec![b'('; 3_000_000]).stop();
    damaged(import_pickle(&marks), "stack is empty");
    // A dictionary that holds itself.
    let cycle = Pickle::new()
        .raw(b"}q\x00")
        .text("self")
        .raw(b"h\x00s")
        .stop();
    damaged(import_pickle(&cycle), "no tensors");
    // Doubling by reference: 2^1000 values if they were copied.
    let mut doubling = Pickle::new().raw(b")q\x00");
    for _ in 0..1000 {
        doubling = doubling.raw(b"h\x00h\x00\x86q\x00");
    }
    damaged(import_pickle(&doubling.stop()), "neither");
}

#[test]
fn modules_that_share_modules_cannot_keep_the_reader_busy() {
    // Each module has the next one twice: 2^60 paths.
    let mut pickle = Pickle::new().global("__torch__", "M").raw(b"q\x00");
    pickle = pickle.raw(b")\x81q\x01");
    for _ in 0..60 {
        pickle = pickle
            .raw(b"h\x00)\x81}(")
            .text("a")
            .raw(b"h\x01")
            .text("b")
            .raw(b"h\x01ubq\x01");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.pt");
    torch_zip(&path, &pickle.stop(), &[("constants.pkl", b"\x80\x02).")]);
    damaged(import(&path).unwrap_err(), "nested too deeply");
}

#[test]
fn length_fields_that_lie_are_refused() {
    damaged(
        import_pickle(&Pickle::new().raw(b"X\xff\xff\xff\xff").0),
        "are left",
    );
    damaged(
        import_pickle(&Pickle::new().raw(b"\x8a\xff").0),
        "255 bytes",
    );
    damaged(
        import_pickle(&Pickle::new().raw(b"h\x09").stop()),
        "nothing was stored",
    );
    damaged(
        import_pickle(&Pickle::new().raw(b"t").stop()),
        "mark is missing",
    );
    damaged(import_pickle(&Pickle::new().raw(b"i").stop()), "0x69");
    damaged(import_pickle(&[]), "are left");
}

#[test]
fn a_compressed_archive_is_refused_so_that_it_cannot_be_a_bomb() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bomb.pt");
    let zeros = vec![0; 1 << 24];
    let tensor = Described {
        numel: 1 << 22,
        shape: &[1 << 22],
        stride: &[1],
        ..small()
    };
    let pickle = Pickle::new()
        .dict(|p| p.text("weight").tensor(&tensor))
        .stop();
    zip_with(
        &path,
        &pickle,
        &[("data/0", &zeros)],
        CompressionMethod::Deflated,
    );
    damaged(import(&path).unwrap_err(), "compressed");
}

#[test]
fn a_zip_that_is_no_checkpoint_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("study.zip");
    let mut zip = zip::ZipWriter::new(fs::File::create(&path).unwrap());
    zip.start_file("a/b.txt", zip::write::SimpleFileOptions::default())
        .unwrap();
    zip.finish().unwrap();
    assert!(matches!(import(&path), Err(PackError::Unsupported { .. })));
}

#[test]
fn a_checkpoint_from_a_big_endian_machine_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("big.pt");
    let pickle = Pickle::new()
        .dict(|p| p.text("weight").tensor(&small()))
        .stop();
    torch_zip(&path, &pickle, &[("data/0", &SIX), ("byteorder", b"big")]);
    assert!(
        import(&path)
            .unwrap_err()
            .to_string()
            .contains("big-endian")
    );
}

/// Cuts and flips bytes of a checkpoint; every result is an error or a pack, never a panic.
fn mutate(bytes: &[u8], name: &str, accepted_flips: &mut usize) {
    let folder: TempDir = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    for cut in [
        0,
        1,
        4,
        15,
        16,
        100,
        bytes.len() / 2,
        bytes.len() - 22,
        bytes.len() - 1,
    ] {
        fs::write(&path, &bytes[..cut]).unwrap();
        assert!(import(&path).is_err(), "cut at {cut}");
    }
    for at in (0..bytes.len()).step_by(bytes.len() / 80 + 1) {
        let mut changed = bytes.to_vec();
        changed[at] ^= 0x41;
        fs::write(&path, &changed).unwrap();
        *accepted_flips += usize::from(import(&path).is_ok());
    }
}

#[test]
fn truncated_and_mutated_archives_never_panic_and_changed_weights_are_noticed() {
    let bytes = fs::read(support::vectors("clip-vit-openai").join("best_model.pth")).unwrap();
    let mut accepted = 0;
    mutate(&bytes, "model.pth", &mut accepted);
    // Only bytes that no weight depends on (the optimiser's storages, paddings, dates) may change unnoticed.
    assert!(accepted < 80, "{accepted}");
}

#[test]
fn truncated_and_mutated_old_files_never_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("old.pth");
    let tensors =
        support::tensors_of(&support::vectors("clip-vit-openai").join("weights.safetensors"));
    support::write_model(&path, &tensors, support::Form::Legacy);
    mutate(&fs::read(&path).unwrap(), "old.pth", &mut 0);
}
