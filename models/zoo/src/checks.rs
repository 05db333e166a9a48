//! Whether a field of a configuration can be what it says.

use crate::error::{Result, ZooError};

/// Larger than any field of a real model, and small enough that products of two do not overflow.
const LARGEST: usize = 1 << 24;

/// A size is neither zero nor absurd.
pub(crate) fn positive(n: usize, what: &str) -> Result<()> {
    match n {
        0 => Err(ZooError::Config(format!("{what} must not be zero"))),
        n if n > LARGEST => Err(ZooError::Config(format!("{what} is beyond {LARGEST}"))),
        _ => Ok(()),
    }
}

/// The heads of an attention share its channels evenly.
pub(crate) fn divides(heads: usize, width: usize, what: &str) -> Result<()> {
    positive(heads, what)?;
    if width.is_multiple_of(heads) {
        Ok(())
    } else {
        Err(ZooError::Config(format!(
            "{what}: {heads} heads do not divide {width} channels"
        )))
    }
}

/// What a norm adds to a variance.
pub(crate) fn eps(eps: f64) -> Result<()> {
    if eps > 0.0 && eps.is_finite() {
        Ok(())
    } else {
        Err(ZooError::Config("a norm's eps must be positive".into()))
    }
}
