//! What a checkpoint's pickle may hold, as inert data.

use super::encoded::Encoded;

/// Place of a value in its [`Graph`]. Sharing and cycles are just equal numbers.
pub(crate) type Id = u32;

/// Kind of number in a torch storage or a NumPy array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Element {
    F16,
    Bf16,
    F32,
    F64,
    I64,
    I32,
    I16,
    I8,
    U8,
    Bool,
}

impl Element {
    /// The element type of a storage class of the module `torch`.
    pub(crate) fn of_storage_class(class: &str) -> Option<Self> {
        Some(match class {
            "HalfStorage" => Self::F16,
            "BFloat16Storage" => Self::Bf16,
            "FloatStorage" => Self::F32,
            "DoubleStorage" => Self::F64,
            "LongStorage" => Self::I64,
            "IntStorage" => Self::I32,
            "ShortStorage" => Self::I16,
            "CharStorage" => Self::I8,
            "ByteStorage" => Self::U8,
            "BoolStorage" => Self::Bool,
            _ => return None,
        })
    }

    /// The element type of NumPy's code for a kind and a number of bytes, such as `f4`.
    pub(crate) fn of_array_code(code: &str) -> Option<Self> {
        Some(match code {
            "f2" => Self::F16,
            "f4" => Self::F32,
            "f8" => Self::F64,
            "i8" => Self::I64,
            "i4" => Self::I32,
            "i2" => Self::I16,
            "i1" => Self::I8,
            "u1" => Self::U8,
            "b1" => Self::Bool,
            _ => return None,
        })
    }

    /// Bytes of one number.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::Bf16 | Self::I16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }
}

/// The Python objects a checkpoint may name. Each is a mark that the reader understands; none is code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Global<'a> {
    /// `collections.OrderedDict`
    OrderedDict,
    /// `torch._utils._rebuild_tensor_v2`
    RebuildTensor,
    /// `torch._utils._rebuild_parameter`
    RebuildParameter,
    /// `torch.<kind>Storage`
    Storage(Element),
    /// `torch.Size` and `torch.jit._pickle.build_*list`: the one argument itself.
    Sequence,
    /// `torch.device`, `torch.jit._pickle.restore_type_tag` and NumPy's `scalar`: nothing that
    /// weights need.
    Ignored,
    /// `__torch__.…`: the class of a TorchScript module, known by name alone.
    ScriptClass(&'a str),
    /// `numpy.ndarray`
    ArrayClass,
    /// `numpy.dtype`
    ArrayType,
    /// NumPy's `_reconstruct`
    NewArray,
    /// NumPy's `_frombuffer`
    ArrayOfBuffer,
    /// `_codecs.encode`
    Encode,
    /// `bytes`, called without arguments.
    NoBytes,
}

/// A tensor as the pickle describes it: a strided view of a storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TensorView {
    /// The [`Value::Storage`] that holds the numbers; the [`Value::Bytes`] of an [`Array`].
    pub storage: Id,
    /// First element, counted from the storage's start.
    pub offset: u64,
    /// Elements along each axis.
    pub shape: Vec<u64>,
    /// Elements to step along each axis.
    pub stride: Vec<u64>,
}

/// Which byte of a number comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ByteOrder {
    Little,
    Big,
}

/// A NumPy array as the pickle describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Array {
    pub element: Element,
    pub order: ByteOrder,
    pub view: TensorView,
}

/// One value. Containers hold places, so that nothing is nested, copied or dropped recursively.
#[derive(Debug, Clone)]
pub(crate) enum Value<'a> {
    None,
    Bool(bool),
    /// Whole numbers of up to 16 bytes (torch's magic number has 10).
    Int(i128),
    /// Not kept: no weight is a Python float.
    Float,
    Text(&'a str),
    /// A line of Python's `raw-unicode-escape` that is more than plain ASCII.
    EscapedText(&'a [u8]),
    /// Python 3 bytes; in pickles of arrays also strings of Python 2.
    Bytes(Encoded<'a>),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Global(Global<'a>),
    Storage {
        element: Element,
        key: &'a str,
        numel: u64,
    },
    Tensor(Box<TensorView>),
    /// An instance of a TorchScript class and, after BUILD, its attributes.
    Object {
        state: Option<Id>,
    },
    /// The type of an array's numbers and, after BUILD, their byte order.
    ArrayType {
        element: Element,
        order: Option<ByteOrder>,
    },
    /// An array, described after BUILD.
    Array(Option<Box<Array>>),
    /// The result of an ignored constructor.
    Opaque,
}

impl<'a> Value<'a> {
    /// Text, or bytes that are UTF-8 as they are: the names in pickles of arrays.
    pub(crate) fn string(&self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Bytes(Encoded::Plain(bytes)) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }
}

/// Every value of one pickle and which of them is the result.
#[derive(Debug)]
pub(crate) struct Graph<'a> {
    pub values: Vec<Value<'a>>,
    pub root: Id,
    /// Bytes of the input that the pickle took.
    pub consumed: usize,
}

impl<'a> Graph<'a> {
    /// The value at a place.
    pub(crate) fn get(&self, id: Id) -> &Value<'a> {
        &self.values[id as usize]
    }

    /// The text at a place, if it is one.
    pub(crate) fn text(&self, id: Id) -> Option<&'a str> {
        match self.get(id) {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The entries of a dictionary, if it is one.
    pub(crate) fn dict(&self, id: Id) -> Option<&[(Id, Id)]> {
        match self.get(id) {
            Value::Dict(entries) => Some(entries),
            _ => None,
        }
    }
}
