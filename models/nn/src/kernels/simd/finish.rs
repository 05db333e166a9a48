//! What follows a product, done while it is in a cache.

/// Writes a function of the first slice into the second.
pub(crate) type Value = fn(&[f32], &mut [f32]);

/// What is done to a product before it is written: bias, then the activation, then another tensor added, then `max(·, 0)`.
#[derive(Clone, Copy, Default)]
pub(crate) struct Finish<'a> {
    /// `[outputs]`
    pub bias: Option<&'a [f32]>,
    pub activation: Option<Value>,
    /// `[rows, outputs]`
    pub add: Option<&'a [f32]>,
    pub relu: bool,
}

impl Finish<'_> {
    pub(super) fn check(&self, rows: usize, outputs: usize) {
        assert!(self.bias.is_none_or(|bias| bias.len() == outputs));
        assert!(self.add.is_none_or(|add| add.len() == rows * outputs));
    }

    /// Finishes part of a row that begins at `row` and `column`.
    #[inline(always)]
    pub(super) fn apply(&self, y: &mut [f32], start: usize, column: usize) {
        if let Some(bias) = self.bias {
            for (y, bias) in y.iter_mut().zip(&bias[column..]) {
                *y += bias;
            }
        }
        if let Some(activation) = self.activation {
            let mut before = [0.0; 48];
            let before = &mut before[..y.len()];
            before.copy_from_slice(y);
            activation(before, y);
        }
        if let Some(add) = self.add {
            for (y, add) in y.iter_mut().zip(&add[start..]) {
                *y += add;
            }
        }
        if self.relu {
            for y in y {
                *y = y.max(0.0);
            }
        }
    }
}
