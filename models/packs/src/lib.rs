//! Model packs: manifest, hashes, import, install, verify.
