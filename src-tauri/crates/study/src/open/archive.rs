//! Zip archives of studies: members are read in memory and never written to disk, so their names can do no harm.

use std::io::Cursor;
use std::path::Path;

use super::{Content, Opening, format_of, instance};
use crate::error::{Result, StudyError};
use crate::source::{self, Source};

/// Looks at every member; archives inside archives are refused.
pub(super) fn members(opening: &mut Opening<'_>, path: &Path) -> Result<()> {
    let mut zip = source::open_zip(path)?;
    if zip.len() > opening.options.max_files {
        return Err(StudyError::TooLarge("too many members".into()));
    }
    opening.progress.total += zip.len() as u64;
    for index in 0..zip.len() {
        if opening.stopped() {
            return Ok(());
        }
        let stated = zip
            .by_index_raw(index)
            .ok()
            .and_then(|m| m.name().ok().map(|name| name.into_owned()));
        let name = stated.unwrap_or_else(|| format!("member {}", index + 1));
        if !name.ends_with('/') && !hidden(&name) {
            let source = Source::ZipMember {
                archive: path.to_owned(),
                index,
                name,
            };
            let shown = source.shown_path();
            if let Err(error) = member(opening, &mut zip, index, source) {
                opening.reject(&shown, &error);
            }
        }
        opening.count();
    }
    Ok(())
}

/// Resource forks that macOS adds beside the files.
fn hidden(name: &str) -> bool {
    name.split(['/', '\\']).any(|part| part == "__MACOSX")
}

fn member(
    opening: &mut Opening<'_>,
    zip: &mut zip::ZipArchive<std::io::BufReader<std::fs::File>>,
    index: usize,
    source: Source,
) -> Result<()> {
    let bytes = source::read_member(zip, index)?;
    let Content::Image(format) = format_of(&mut Cursor::new(&bytes))? else {
        return Err(StudyError::unsupported("an archive inside an archive"));
    };
    match instance::read_from(source, format, Box::new(Cursor::new(bytes)))? {
        instance::Outcome::Image(entry) => opening.entries.push(*entry),
        // The members it lists are members of the archive too.
        instance::Outcome::Directory(_) => {}
    }
    Ok(())
}
