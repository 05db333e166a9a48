//! Pickles of NumPy arrays, as Python 2 and 3 wrote them, give the arrays' numbers.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{DType, Tensor};
use lucency_packs::{PackError, read_tensors};
use support::Pickle;

/// Every pickle that Python wrote, by name.
fn pickles() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/arrays");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|item| item.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "pkl"))
        .collect();
    files.sort();
    assert_eq!(files.len(), 17, "3 + 3 of Python 2.7, 5 of 3.6, 6 of 3.11");
    files
}

fn floats(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn integers(tensor: &Tensor) -> Vec<i64> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// What `generate.py` calls `thirds`.
fn thirds(indices: impl IntoIterator<Item = u8>) -> Vec<f32> {
    let third = |k: u8| f32::from(k) / 3.0 - 4.0;
    indices.into_iter().map(third).collect()
}

fn expect(read: &HashMap<String, Tensor>, name: &str, shape: &[usize], values: &[f32], at: &Path) {
    let tensor = &read[name];
    assert_eq!(tensor.dims(), shape, "{name} in {}", at.display());
    assert_eq!(tensor.dtype(), DType::F32, "{name} in {}", at.display());
    let bits = |v: &[f32]| v.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert_eq!(
        bits(&floats(tensor)),
        bits(values),
        "{name} in {}",
        at.display()
    );
}

#[test]
fn each_protocol_of_each_python_gives_the_same_arrays() {
    for path in pickles() {
        let read = read_tensors(&path).unwrap();
        let mut names: Vec<&str> = read.keys().map(String::as_str).collect();
        names.sort_unstable();
        let arrays = "b1 big big_single bytes column_major conv1 count empty flags half permuted \
                      scalar small_count strided";
        assert_eq!(names.join(" "), arrays, "{}", path.display());

        expect(&read, "conv1", &[2, 3, 1, 4], &thirds(0..24), &path);
        expect(&read, "b1", &[3], &[-0.0, 1.5, 3e38], &path);
        let half_more: Vec<f32> = thirds(0..6)
            .iter()
            .map(|&v| (f64::from(v) + 0.5) as f32)
            .collect();
        expect(&read, "big", &[2, 3], &half_more, &path);
        expect(&read, "big_single", &[5], &thirds(0..5), &path);
        expect(&read, "column_major", &[2, 3], &thirds(0..6), &path);
        // Axes 1, 2, 0 of [2, 3, 4].
        let permuted = (0..12).flat_map(|at| [at, at + 12]);
        expect(&read, "permuted", &[3, 4, 2], &thirds(permuted), &path);
        let strided = [1, 3, 5, 13, 15, 17];
        expect(&read, "strided", &[2, 3], &thirds(strided), &path);
        expect(&read, "half", &[2], &[0.5, -2.0], &path);
        expect(&read, "scalar", &[], &[2.5], &path);
        expect(&read, "empty", &[0, 2], &[], &path);
        assert_eq!(integers(&read["count"]), [1 << 40, -1]);
        assert_eq!(integers(&read["small_count"]), [300, -2]);
        let every_byte: Vec<u8> = (0..=255).collect();
        assert_eq!(read["bytes"].to_vec1::<u8>().unwrap(), every_byte);
        assert_eq!(read["flags"].to_vec1::<u8>().unwrap(), [1, 0]);
    }
}

#[test]
fn a_pickle_that_was_cut_short_is_refused_as_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.pkl");
    for whole in pickles() {
        let bytes = fs::read(&whole).unwrap();
        for cut in [16, bytes.len() / 2, bytes.len() - 1] {
            fs::write(&path, &bytes[..cut]).unwrap();
            let error = read_tensors(&path).unwrap_err();
            assert!(
                matches!(error, PackError::Damaged { .. }),
                "{} cut at {cut}: {error:?}",
                whole.display()
            );
        }
    }
}

#[test]
fn python_2_strings_are_names_and_numbers() {
    // Written by hand after `pickletools`: GLOBAL, SHORT_BINSTRING, BINSTRING, no PUT.
    let pickle = Pickle::new()
        .raw(b"}U\x05conv1cnumpy.core.multiarray\n_reconstruct\n")
        .raw(b"cnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K\x02K\x01\x86")
        .raw(b"cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01>NNNJ\xff\xff\xff\xff")
        .raw(b"J\xff\xff\xff\xffK\x00tb\x89T\x08\x00\x00\x00\x3f\x80\x00\x00\xc0\x00\x00\x00tbs");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pretrained.weights");
    fs::write(&path, pickle.stop()).unwrap();
    let read = read_tensors(&path).unwrap();
    assert_eq!(read["conv1"].to_vec2::<f32>().unwrap(), [[1.0], [-2.0]]);
    // The same in protocol 0: STRING with escapes, INT, DICT, PUT and GET.
    let pickle = b"(dp0\nS'conv1'\np1\ncnumpy.core.multiarray\n_reconstruct\np2\n(cnumpy\nndarray\np3\n\
        (I0\ntS\"b\"\ntR(I1\n(L2L\nI1\ntcnumpy\ndtype\np4\n(S'f4'\nI0\nI1\ntR(I3\nS'>'\nNNNI-1\nI-1\n\
        I0\ntbI00\nS'?\\x80\\x00\\x00\\xc0\\x00\\x00\\x00'\ntbsS'again'\ng2\n(g3\n(I0\ntS'b'\ntR(I1\n\
        (I1\ntg4\n(S'f8'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI01\nS'\\x00\\x00\\x00\\x00\\x00\\x00\\xf0?'\n\
        tbs.";
    fs::write(&path, pickle).unwrap();
    let read = read_tensors(&path).unwrap();
    assert_eq!(read["conv1"].to_vec2::<f32>().unwrap(), [[1.0], [-2.0]]);
    assert_eq!(read["again"].to_vec1::<f32>().unwrap(), [1.0]);
}

#[test]
fn a_safetensors_file_whose_length_looks_like_a_pickle_is_still_one() {
    let entry = r#"{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    let mut bytes = 0x0280u64.to_le_bytes().to_vec(); // 80 02: PROTO 2
    bytes.extend(format!("{entry:<640}").as_bytes());
    bytes.extend(1.5f32.to_le_bytes());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    fs::write(&path, bytes).unwrap();
    let read = read_tensors(&path).unwrap();
    assert_eq!(floats(&read["w"]), [1.5]);
}
