//! Where a result came from.

use std::time::Instant;

use jiff::Timestamp;
use lucency_packs::Pack;

use crate::dto::Provenance;
use crate::picture::Picture;

/// Version of the application that is written into every result.
pub const APP_VERSION: &str = env!("CARGO_PKG_VERSION");

/// States the origin of a result on words alone.
pub(crate) fn text_provenance(pack: &Pack, begun: Instant, now: Timestamp) -> Provenance {
    Provenance {
        app_version: APP_VERSION.to_owned(),
        pack_name: pack.manifest().name.clone(),
        pack_hash: pack.weights_id(),
        adapter: None,
        pixel_hash: String::new(),
        frame: 0,
        preprocessing: "words".to_owned(),
        created: written(now),
        elapsed_ms: begun.elapsed().as_secs_f64() * 1000.0,
    }
}

fn written(now: Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// States the origin of a result on `picture` by `pack` that was begun at `begun` and is finished now.
pub fn provenance(pack: &Pack, picture: &Picture, begun: Instant, now: Timestamp) -> Provenance {
    let manifest = pack.manifest();
    Provenance {
        app_version: APP_VERSION.to_owned(),
        pack_name: manifest.name.clone(),
        pack_hash: pack.weights_id(),
        adapter: None,
        pixel_hash: picture.pixel_hash.clone(),
        frame: picture.frame,
        preprocessing: format!(
            "{}; {}",
            picture.rendering,
            crate::picture::describe(&manifest.preprocessing)
        ),
        created: written(now),
        elapsed_ms: begun.elapsed().as_secs_f64() * 1000.0,
    }
}
