//! Pre-trained image networks: safetensors, PyTorch files, the release's pickle, and runs of `train maml` and
//! `train cdae`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use candle_core::Tensor;
use lucency_train::checkpoint::Checkpoint;

/// The MAML network's tensors: `conv1.weight` to `conv4.bias`, and batch norms if the file has them.
///
/// The release of MEVF (aioz-ai/MICCAI19-MedVQA, `pretrained_maml.weights`) is read as it is.
///
/// Errors if one of them is missing.
pub fn maml(path: &Path) -> Result<HashMap<String, Tensor>> {
    let wanted: Vec<String> = (1..=4)
        .flat_map(|i| [format!("conv{i}.weight"), format!("conv{i}.bias")])
        .collect();
    let file = weights_file(path)?;
    let tensors = named_as_here(&file, lucency_packs::read_tensors(&file)?)?;
    part(&file, tensors, &wanted)
}

/// The release's `conv1` to `conv4` `[kh, kw, in, out]` and `b1` to `b4`, in TensorFlow's order, as
/// `conv1.weight` `[out, in, kh, kw]`, `conv1.bias` and so on. Files with these names stay as they are.
fn named_as_here(
    file: &Path,
    mut tensors: HashMap<String, Tensor>,
) -> Result<HashMap<String, Tensor>> {
    if tensors.contains_key("conv1.weight") {
        return Ok(tensors);
    }
    for i in 1..=4 {
        if let Some(kernel) = tensors.remove(&format!("conv{i}")) {
            if kernel.rank() != 4 {
                bail!(
                    "{}: conv{i} has the shape {:?}, expected [height, width, in, out]",
                    file.display(),
                    kernel.dims()
                );
            }
            let weight = kernel.permute((3, 2, 0, 1))?.contiguous()?; // [out, in, kh, kw]
            tensors.insert(format!("conv{i}.weight"), weight);
        }
        if let Some(bias) = tensors.remove(&format!("b{i}")) {
            tensors.insert(format!("conv{i}.bias"), bias); // [out]
        }
    }
    Ok(tensors)
}

/// The autoencoder's tensors: `conv1` to `conv5`, `tran_conv1`, `tran_conv2`.
///
/// Errors if one of them is missing.
pub fn cdae(path: &Path) -> Result<HashMap<String, Tensor>> {
    let layers = [
        "conv1",
        "conv2",
        "conv3",
        "conv4",
        "conv5",
        "tran_conv1",
        "tran_conv2",
    ];
    let wanted: Vec<String> = layers
        .iter()
        .flat_map(|l| [format!("{l}.weight"), format!("{l}.bias")])
        .collect();
    let file = weights_file(path)?;
    part(&file, lucency_packs::read_tensors(&file)?, &wanted)
}

/// The wanted ones of a file's tensors, and the batch norms that go with them.
fn part(
    file: &Path,
    tensors: HashMap<String, Tensor>,
    wanted: &[String],
) -> Result<HashMap<String, Tensor>> {
    for key in wanted {
        if !tensors.contains_key(key) {
            bail!(
                "{} lacks the tensor {key}; is it another network?",
                file.display()
            );
        }
    }
    let norm = |key: &str| {
        key.split_once("_bn.")
            .is_some_and(|(layer, what)| layer.starts_with("conv") && what != "num_batches_tracked")
    };
    Ok(tensors
        .into_iter()
        .filter(|(key, _)| wanted.contains(key) || norm(key))
        .collect())
}

/// The file itself, or the averaged weights of a run's folder.
fn weights_file(path: &Path) -> Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.to_path_buf());
    }
    Checkpoint::find(path)?
        .map(|c| c.averaged())
        .with_context(|| format!("{} holds no checkpoint", path.display()))
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    /// The published weights, converted once outside of this project.
    fn published() -> HashMap<String, Tensor> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../../tests/vectors/mevf-pretrained/maml.safetensors");
        candle_core::safetensors::load(file, &Device::Cpu).unwrap()
    }

    fn numbers(tensor: &Tensor) -> Vec<f32> {
        tensor.flatten_all().unwrap().to_vec1().unwrap()
    }

    /// An array as Python 2 writes it in protocol 2, without the memo's instructions.
    fn array(tensor: &Tensor) -> Vec<u8> {
        let values = numbers(tensor);
        let mut pickle = b"cnumpy.core.multiarray\n_reconstruct\n".to_vec();
        pickle.extend(b"cnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01(");
        for &length in tensor.dims() {
            pickle.push(b'M');
            pickle.extend((length as u16).to_le_bytes());
        }
        pickle.extend(b"tcnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xff");
        pickle.extend(b"J\xff\xff\xff\xffK\x00tb\x89T");
        pickle.extend((4 * values.len() as u32).to_le_bytes());
        pickle.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        pickle.extend(b"tb");
        pickle
    }

    /// The released pickle's form: a dictionary of arrays in TensorFlow's order.
    fn release(arrays: &[(String, Tensor)]) -> Vec<u8> {
        let mut pickle = b"\x80\x02}(".to_vec();
        for (name, tensor) in arrays {
            pickle.extend([b'U', name.len() as u8]);
            pickle.extend(name.as_bytes());
            pickle.extend(array(tensor));
        }
        pickle.extend(b"u.");
        pickle
    }

    fn released_arrays() -> Vec<(String, Tensor)> {
        let weights = published();
        (1..=4)
            .flat_map(|i| {
                let kernel = weights[&format!("conv{i}.weight")].permute((2, 3, 1, 0));
                let bias = weights[&format!("conv{i}.bias")].clone();
                [
                    (format!("conv{i}"), kernel.unwrap().contiguous().unwrap()),
                    (format!("b{i}"), bias),
                ]
            })
            .collect()
    }

    fn read(pickle: &[u8]) -> Result<HashMap<String, Tensor>> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pretrained_maml.weights");
        std::fs::write(&file, pickle).unwrap();
        maml(&file)
    }

    #[test]
    fn the_released_pickle_gives_the_converted_weights() {
        let mut arrays = released_arrays();
        arrays.push((
            "w5".into(),
            Tensor::new(&[1f32, 2.0], &Device::Cpu).unwrap(),
        ));
        let read = read(&release(&arrays)).unwrap();
        let expected = published();
        assert_eq!(read.len(), 8, "what the network has no use for is left out");
        for (name, tensor) in expected {
            assert_eq!(read[&name].dims(), tensor.dims(), "{name}");
            assert_eq!(numbers(&read[&name]), numbers(&tensor), "{name}");
        }
    }

    #[test]
    fn a_release_that_lacks_an_array_or_has_one_of_another_shape_is_refused_by_its_name() {
        let mut arrays = released_arrays();
        arrays.retain(|(name, _)| name != "b3");
        let message = read(&release(&arrays)).unwrap_err().to_string();
        assert!(message.contains("lacks the tensor conv3.bias"), "{message}");
        let mut arrays = released_arrays();
        arrays[2].1 = arrays[2].1.flatten_all().unwrap();
        let message = read(&release(&arrays)).unwrap_err().to_string();
        assert!(message.contains("conv2 has the shape [36864]"), "{message}");
    }
}
