//! NumPy's array files. Source: NumPy Enhancement Proposal 1, format version 1.0.

use std::io::Write;
use std::path::Path;

use crate::output::CommandError;

/// Writes an array, row-major, as a whole or not at all.
///
/// - `descr`: type of an element as NumPy names it, little endian: `<u2`, `<f4`, `|u1`
/// - `bytes`: the elements, little endian
///
/// Errors if the file cannot be written.
pub fn write(path: &Path, descr: &str, shape: &[usize], bytes: &[u8]) -> Result<(), CommandError> {
    write_parts(path, descr, shape, std::iter::once(bytes))
}

/// Writes an array that comes in parts, so that it need not be in memory at once.
///
/// Errors if the file cannot be written.
pub fn write_parts<B: AsRef<[u8]>>(
    path: &Path,
    descr: &str,
    shape: &[usize],
    parts: impl Iterator<Item = B>,
) -> Result<(), CommandError> {
    let io = |e: std::io::Error| CommandError::new("io", format!("cannot write the array: {e}"));
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(io)?;
    file.write_all(&header(descr, shape)).map_err(io)?;
    for part in parts {
        file.write_all(part.as_ref()).map_err(io)?;
    }
    file.as_file().sync_data().map_err(io)?;
    file.persist(path).map_err(|e| io(e.error))?;
    Ok(())
}

fn header(descr: &str, shape: &[usize]) -> Vec<u8> {
    let mut dims: String = shape.iter().map(|n| format!("{n}, ")).collect();
    if shape.len() > 1 {
        dims.truncate(dims.len() - 2);
    }
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({dims}), }}");
    // Magic, version and length take 10 bytes; data begin at a multiple of 64.
    while (10 + text.len() + 1) % 64 != 0 {
        text.push(' ');
    }
    text.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&(text.len() as u16).to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

/// Writes 32-bit floats.
///
/// Errors as [`write()`] does.
pub fn write_f32(path: &Path, shape: &[usize], values: &[f32]) -> Result<(), CommandError> {
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    write(path, "<f4", shape, &bytes)
}

#[cfg(test)]
mod tests {
    #[test]
    fn data_begin_at_a_multiple_of_64_behind_a_header_that_states_the_shape() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.npy");
        super::write(&path, "<u2", &[2, 3], &[0; 12]).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let header = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
        assert_eq!((10 + header) % 64, 0, "NumPy aligns the data");
        assert_eq!(bytes.len(), 10 + header + 12, "the data follow the header");
        let text = String::from_utf8_lossy(&bytes[10..10 + header]).into_owned();
        assert!(text.contains("'shape': (2, 3)"), "{text}");
        super::write_f32(&path, &[3], &[1.0, 2.0, 3.0]).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert!(
            String::from_utf8_lossy(&bytes).contains("(3, )"),
            "one dimension has its comma"
        );
    }
}
