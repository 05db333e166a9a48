//! Files that appear whole or not at all.

use std::io::Write;
use std::path::Path;

use crate::error::{PhantomError, Result};

/// Writes a file through a temporary file in the same folder.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = |source: std::io::Error| PhantomError::Write {
        path: path.to_path_buf(),
        source,
    };
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(failed)?;
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.flush().map_err(failed)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let readable = std::fs::Permissions::from_mode(0o644);
        file.as_file().set_permissions(readable).map_err(failed)?;
    }
    file.persist(path).map_err(|e| failed(e.error))?;
    Ok(())
}

/// An 8-bit grey PNG.
pub(crate) fn png(width: usize, height: usize, grey: Vec<u8>) -> Result<Vec<u8>> {
    let image = image::GrayImage::from_raw(width as u32, height as u32, grey)
        .ok_or_else(|| PhantomError::Image("the pixels do not fill the image".into()))?;
    let mut bytes = std::io::Cursor::new(Vec::new());
    image
        .write_to(&mut bytes, image::ImageFormat::Png)
        .map_err(|e| PhantomError::Image(e.to_string()))?;
    Ok(bytes.into_inner())
}
