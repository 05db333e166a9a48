//! One decoded frame and what it takes to show it.

use sha2::{Digest, Sha256};

use crate::display::{
    Image, LabelledVoi, ModalityTransform, Palette, Polarity, Voi, VoiFunction, Window, to_byte,
};
use crate::geometry::Spacing;

/// Stored values, row-major from the top left, samples interleaved.
#[derive(Debug, Clone, PartialEq)]
pub enum StoredValues {
    /// Up to 8 bits allocated, unsigned.
    U8(Vec<u8>),
    /// Up to 8 bits allocated, signed.
    I8(Vec<i8>),
    /// Up to 16 bits allocated, unsigned.
    U16(Vec<u16>),
    /// Up to 16 bits allocated, signed.
    I16(Vec<i16>),
    /// Up to 32 bits allocated, unsigned.
    U32(Vec<u32>),
    /// Up to 32 bits allocated, signed.
    I32(Vec<i32>),
    /// Float Pixel Data.
    F32(Vec<f32>),
    /// Double Float Pixel Data.
    F64(Vec<f64>),
}

/// Runs `$body` with `$values` bound to the vector inside.
macro_rules! with_values {
    ($stored:expr, $values:ident => $body:expr) => {
        match $stored {
            StoredValues::U8($values) => $body,
            StoredValues::I8($values) => $body,
            StoredValues::U16($values) => $body,
            StoredValues::I16($values) => $body,
            StoredValues::U32($values) => $body,
            StoredValues::I32($values) => $body,
            StoredValues::F32($values) => $body,
            StoredValues::F64($values) => $body,
        }
    };
}

impl StoredValues {
    /// Number of values: rows × columns × samples.
    pub fn len(&self) -> usize {
        with_values!(self, v => v.len())
    }

    /// True without values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `u8`, `i8`, `u16`, `i16`, `u32`, `i32`, `f32` or `f64`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::U8(_) => "u8",
            Self::I8(_) => "i8",
            Self::U16(_) => "u16",
            Self::I16(_) => "i16",
            Self::U32(_) => "u32",
            Self::I32(_) => "i32",
            Self::F32(_) => "f32",
            Self::F64(_) => "f64",
        }
    }

    /// The values as little endian bytes.
    pub fn to_le_bytes(&self) -> Vec<u8> {
        match self {
            Self::U8(v) => v.clone(),
            _ => with_values!(self, v => v.iter().flat_map(|x| x.to_le_bytes()).collect()),
        }
    }

    /// Every value in double precision; exact for all kinds.
    pub fn to_f64(&self) -> Vec<f64> {
        with_values!(self, v => v.iter().map(|&x| double(x)).collect())
    }

    /// Smallest and largest finite value that `keep` accepts; `None` without any.
    fn range(&self, keep: impl Fn(f64) -> bool) -> Option<(f64, f64)> {
        let mut range: Option<(f64, f64)> = None;
        with_values!(self, v => for &x in v {
            let x = double(x);
            if x.is_finite() && keep(x) {
                let (low, high) = range.unwrap_or((x, x));
                range = Some((low.min(x), high.max(x)));
            }
        });
        range
    }
}

/// Any stored value in double precision, exactly.
fn double(value: impl Into<f64>) -> f64 {
    value.into()
}

/// How a frame's values are coloured.
#[derive(Debug, Clone, PartialEq)]
pub enum Photometric {
    /// The smallest value is white.
    Monochrome1,
    /// The smallest value is black.
    Monochrome2,
    /// Three samples a pixel. Luminance–chrominance images are converted to this when decoded.
    Rgb,
    /// One sample a pixel, an index into colours.
    Palette(Box<Palette>),
}

impl Photometric {
    /// The DICOM term of the frame as decoded.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Monochrome1 => "MONOCHROME1",
            Self::Monochrome2 => "MONOCHROME2",
            Self::Rgb => "RGB",
            Self::Palette(_) => "PALETTE COLOR",
        }
    }
}

/// Stored values that mean "no data here", Pixel Padding Value (0028,0120) to Pixel Padding Range Limit (0028,0121).
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Padding {
    /// Smallest padding value.
    pub low: f64,
    /// Largest padding value.
    pub high: f64,
}

/// One decoded frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Rows.
    pub rows: u32,
    /// Columns.
    pub columns: u32,
    /// Samples a pixel: 1 or 3.
    pub samples: u8,
    /// `rows * columns * samples` values.
    pub values: StoredValues,
    /// Bits that an integer value may use.
    pub bits_stored: u16,
    /// How values are coloured.
    pub photometric: Photometric,
    /// Stored value to modality value.
    pub modality: ModalityTransform,
    /// VOI transforms that the file offers, windows first.
    pub voi: Vec<LabelledVoi>,
    /// Whether large values are bright.
    pub polarity: Polarity,
    /// Pixel size, where the file states one.
    pub spacing: Option<Spacing>,
    /// Values without data.
    pub padding: Option<Padding>,
}

impl Frame {
    /// The window to show first: the file's first window, else the range of the frame's modality values without padding.
    pub fn default_window(&self) -> Window {
        let first = self.voi.iter().find_map(|v| match v.voi {
            Voi::Window(window) => Some(window),
            Voi::Lut(_) => None,
        });
        first.unwrap_or_else(|| self.range_window())
    }

    /// The VOI transform to show first: the file's first window, else its first VOI LUT, else [`Self::default_window`].
    pub fn default_voi(&self) -> Voi {
        let window = |v: &&LabelledVoi| matches!(v.voi, Voi::Window(_));
        match self.voi.iter().find(window).or(self.voi.first()) {
            Some(labelled) => labelled.voi.clone(),
            None => Voi::Window(self.range_window()),
        }
    }

    fn range_window(&self) -> Window {
        let range = match self.padding {
            Some(Padding { low, high }) => self.values.range(|v| !(low..=high).contains(&v)),
            None => None,
        };
        let (low, high) = range
            .or_else(|| self.values.range(|_| true))
            .unwrap_or((0.0, 1.0));
        let (low, high) = match &self.modality {
            ModalityTransform::Lut(lut) => {
                let used =
                    |v: f64| ((v - lut.first as f64).max(0.0) as usize).min(lut.values.len() - 1);
                let entries = &lut.values[used(low)..=used(high)];
                let ends = (entries.iter().min(), entries.iter().max());
                (
                    ends.0.map_or(0.0, |v| f64::from(*v)),
                    ends.1.map_or(1.0, |v| f64::from(*v)),
                )
            }
            transform => {
                let (a, b) = (transform.apply(low), transform.apply(high));
                (a.min(b), a.max(b))
            }
        };
        Window::spanning(low, high)
    }

    /// The frame for a screen, through its own VOI transform.
    pub fn render_default(&self) -> Image {
        self.render_with(&self.default_voi())
    }

    /// The frame for a screen, through a window; colour frames ignore it.
    pub fn render(&self, window: &Window) -> Image {
        self.render_with(&Voi::Window(*window))
    }

    /// The frame for a screen, through a VOI transform; colour frames ignore it.
    pub fn render_with(&self, voi: &Voi) -> Image {
        let image = |channels, data| Image {
            width: self.columns,
            height: self.rows,
            channels,
            data,
        };
        match &self.photometric {
            Photometric::Rgb => image(3, self.rgb_bytes()),
            Photometric::Palette(palette) => {
                let colours = self.map(|v| palette.rgb8(v));
                image(3, colours.into_flattened())
            }
            Photometric::Monochrome1 | Photometric::Monochrome2 => {
                let byte = |v| to_byte(self.polarity.apply(voi.apply(self.modality.apply(v))));
                image(1, self.map(byte))
            }
        }
    }

    /// True when the frame shows colours of its own: RGB or a palette.
    pub fn is_colour(&self) -> bool {
        matches!(self.photometric, Photometric::Rgb | Photometric::Palette(_))
    }

    /// Modality values of every stored value; colour frames have the identity.
    pub fn modality_values(&self) -> Vec<f64> {
        with_values!(&self.values, v => v.iter().map(|&x| self.modality.apply(double(x))).collect())
    }

    /// Hex SHA-256 over shape, kind and stored values (little endian): the same pixels give the same hash whatever file
    /// or codec they came in.
    pub fn pixel_hash(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(format!(
            "{}x{}x{} {}\n",
            self.rows,
            self.columns,
            self.samples,
            self.values.kind()
        ));
        match &self.values {
            StoredValues::U8(values) => hash.update(values),
            values => hash.update(values.to_le_bytes()),
        }
        hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
    }

    fn rgb_bytes(&self) -> Vec<u8> {
        if let (StoredValues::U8(values), 8) = (&self.values, self.bits_stored) {
            return values.clone();
        }
        let largest = 2f64.powi(i32::from(self.bits_stored)) - 1.0;
        self.map(|v| to_byte(v / largest))
    }

    /// Maps every stored value; integer kinds of up to 16 bits go through a table, since frames repeat values.
    fn map<T: Copy>(&self, f: impl Fn(f64) -> T) -> Vec<T> {
        match &self.values {
            StoredValues::U8(v) => {
                let table: Vec<T> = (0..=u8::MAX).map(|x| f(f64::from(x))).collect();
                v.iter().map(|&x| table[usize::from(x)]).collect()
            }
            StoredValues::U16(v) => {
                let top = v.iter().copied().max().unwrap_or(0);
                let table: Vec<T> = (0..=top).map(|x| f(f64::from(x))).collect();
                v.iter().map(|&x| table[usize::from(x)]).collect()
            }
            StoredValues::I16(v) => {
                let low = v.iter().copied().min().unwrap_or(0);
                let high = v.iter().copied().max().unwrap_or(0);
                let table: Vec<T> = (low..=high).map(|x| f(f64::from(x))).collect();
                let index = |x: i16| (i32::from(x) - i32::from(low)) as usize;
                v.iter().map(|&x| table[index(x)]).collect()
            }
            other => with_values!(other, v => v.iter().map(|&x| f(double(x))).collect()),
        }
    }
}

/// The window that shows 8-bit pictures as they are.
pub(crate) fn full_range_8bit() -> LabelledVoi {
    LabelledVoi {
        label: "full range".into(),
        voi: Voi::Window(Window {
            center: 127.5,
            width: 255.0,
            function: VoiFunction::LinearExact,
        }),
    }
}
