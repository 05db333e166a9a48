//! Pickles of a dictionary of NumPy arrays: what `pickle.dump` writes, by Python 2 or 3.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use super::gather::{CheckedView, check_growth};
use super::{RawTensor, Tensors, pickle_error};
use crate::error::{PackError, Result};
use crate::pickle::{Array, ByteOrder, Dialect, Graph, PickleError, Value, parse};

/// Such a file is read as a whole; weights beyond this length belong into safetensors.
const MAX_FILE_BYTES: u64 = 1 << 30;
/// How a pickle of a dictionary begins: protocols 2 to 5, 1, 0, and an `OrderedDict` in 0 and 1.
const BEGINNINGS: [&[u8]; 9] = [
    b"\x80\x02",
    b"\x80\x03",
    b"\x80\x04",
    b"\x80\x05",
    b"}q",
    b"}(",
    b"}.",
    b"(dp",
    b"ccollections\nOr",
];

/// What is said of an array that was made and never filled.
const NO_NUMBERS: &str = "the array's numbers are missing";

/// True for the beginning of a pickle of a dictionary. Torch's own files must be ruled out before.
pub(super) fn recognises(head: &[u8]) -> bool {
    BEGINNINGS.iter().any(|start| head.starts_with(start))
}

/// Reads every array that the dictionary holds under a name; its other entries are left out.
pub(super) fn read(path: &Path, mut file: File) -> Result<Tensors> {
    let file_bytes = file.metadata().map_err(PackError::io(path))?.len();
    if file_bytes > MAX_FILE_BYTES {
        return Err(PackError::Unsupported {
            file: path.to_path_buf(),
            reason: format!(
                "a pickle of {file_bytes} bytes; at most {MAX_FILE_BYTES} are read, \
                 convert it to safetensors"
            ),
        });
    }
    file.seek(SeekFrom::Start(0)).map_err(PackError::io(path))?;
    let mut pickle = Vec::new();
    file.take(MAX_FILE_BYTES)
        .read_to_end(&mut pickle)
        .map_err(PackError::io(path))?;
    decode(&pickle).map_err(pickle_error(path))
}

/// The arrays of a whole file's bytes.
fn decode(pickle: &[u8]) -> std::result::Result<Tensors, PickleError> {
    let graph = parse(pickle, Dialect::Arrays)?;
    tensors(&graph, pickle.len() as u64).map_err(PickleError::Malformed)
}

fn tensors(graph: &Graph<'_>, file_bytes: u64) -> std::result::Result<Tensors, String> {
    let entries = graph
        .dict(graph.root)
        .ok_or("a pickle, but not one of a dictionary of NumPy arrays")?;
    let mut tensors = Tensors::new();
    let mut total = 0u64;
    for &(key, value) in entries {
        let (Some(name), Value::Array(array)) = (graph.get(key).string(), graph.get(value)) else {
            continue;
        };
        let shown: String = name.chars().take(40).collect();
        let named = |reason: String| format!("{shown}: {reason}");
        let array = array.as_deref().ok_or_else(|| named(NO_NUMBERS.into()))?;
        let view = CheckedView::dense(&array.view).map_err(named)?;
        total = total.saturating_add(view.bytes(array.element));
        check_growth(total, file_bytes)?;
        let tensor = tensor(graph, array, &view).map_err(named)?;
        if tensors.insert(name.to_string(), tensor).is_some() {
            return Err(format!("the array {shown:?} occurs twice"));
        }
    }
    match tensors.is_empty() {
        true => Err("the dictionary holds no NumPy arrays".into()),
        false => Ok(tensors),
    }
}

fn tensor(
    graph: &Graph<'_>,
    array: &Array,
    view: &CheckedView,
) -> std::result::Result<RawTensor, String> {
    let Value::Bytes(encoded) = graph.get(array.view.storage) else {
        return Err(NO_NUMBERS.into());
    };
    let width = array.element.bytes();
    let expected = view.numel().saturating_mul(width);
    let mut bytes = encoded.decode(expected)?;
    if array.order == ByteOrder::Big && width > 1 {
        for number in bytes.to_mut().chunks_exact_mut(width) {
            number.reverse();
        }
    }
    Ok(view.gather(array.element, &bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pickles that Python wrote, one for each way of writing bytes.
    fn pickles() -> [Vec<u8>; 5] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/arrays");
        let names = [
            "python27-0",
            "python27c-2",
            "python36-2",
            "python311-0",
            "python311-5",
        ];
        names.map(|name| std::fs::read(folder.join(name).with_extension("pkl")).unwrap())
    }

    #[test]
    fn a_pickle_cut_anywhere_is_refused() {
        for whole in pickles() {
            assert_eq!(decode(&whole).unwrap().len(), 14);
            for cut in 0..whole.len() {
                let refused = matches!(decode(&whole[..cut]), Err(PickleError::Malformed(_)));
                assert!(refused, "cut at {cut} of {}", whole.len());
            }
        }
    }

    #[test]
    fn a_pickle_with_a_changed_byte_gives_arrays_or_an_error_and_never_a_panic() {
        let (mut read, mut refused) = (0, 0);
        for mut pickle in pickles() {
            for at in (0..pickle.len()).step_by(3) {
                let mask = 1 << (at % 8);
                pickle[at] ^= mask;
                match decode(&pickle) {
                    Ok(_) => read += 1, // a number, or an entry that is no array
                    Err(_) => refused += 1,
                }
                pickle[at] ^= mask;
            }
        }
        assert!(read > 400 && refused > 400, "{read} read, {refused} not");
    }
}
