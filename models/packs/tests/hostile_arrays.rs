//! Pickles of NumPy arrays made to do harm, or of a kind that is not read, are refused with a reason.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;

use lucency_packs::{PackError, read_tensors};
use support::Pickle;

const EIGHT: &[u8] = &[0, 0, 128, 63, 0, 0, 0, 64]; // 1.0 and 2.0

fn read(pickle: &[u8]) -> Result<usize, PackError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("arrays.pkl");
    fs::write(&path, pickle).unwrap();
    read_tensors(&path).map(|tensors| tensors.len())
}

fn damaged(pickle: Pickle, words: &str) {
    let error = read(&pickle.stop()).unwrap_err();
    assert!(matches!(error, PackError::Damaged { .. }), "{error:?}");
    assert!(
        error.to_string().contains(words),
        "{error} does not say {words:?}"
    );
}

/// What a pickle says about one array.
#[derive(Clone, Copy)]
struct Described<'a> {
    kind: &'a str,
    order: &'a str,
    shape: &'a [i64],
    fortran: &'a [u8],
    data: &'a [u8],
}

/// Two little-endian floats.
const SMALL: Described<'static> = Described {
    kind: "f4",
    order: "<",
    shape: &[2],
    fortran: b"\x89",
    data: EIGHT,
};

trait Arrays: Sized {
    fn bytes(self, bytes: &[u8]) -> Self;
    fn kind(self, kind: &str, order: &str) -> Self;
    fn empty_array(self) -> Self;
    fn array(self, array: &Described<'_>) -> Self;
}

impl Arrays for Pickle {
    fn bytes(self, bytes: &[u8]) -> Self {
        let length = (bytes.len() as u32).to_le_bytes();
        self.raw(b"B").raw(&length).raw(bytes)
    }

    fn kind(self, kind: &str, order: &str) -> Self {
        let call = self.global("numpy", "dtype").raw(b"(").text(kind);
        let state = call.raw(b"\x89\x88tR(K\x03").text(order);
        state.raw(b"NNNK\x00K\x00K\x00tb")
    }

    fn empty_array(self) -> Self {
        let call = self.global("numpy._core.multiarray", "_reconstruct");
        call.raw(b"(")
            .global("numpy", "ndarray")
            .raw(b"K\x00\x85C\x01btR")
    }

    fn array(self, array: &Described<'_>) -> Self {
        let state = self.empty_array().raw(b"(K\x01").ints(array.shape);
        let state = state.kind(array.kind, array.order).raw(array.fortran);
        state.bytes(array.data).raw(b"tb")
    }
}

fn one(array: &Described<'_>) -> Pickle {
    Pickle::new().dict(|p| p.text("w").array(array))
}

#[test]
fn the_array_that_the_other_tests_change_is_read() {
    assert_eq!(read(&one(&SMALL).stop()).unwrap(), 1);
}

#[test]
fn python_objects_beyond_numpy_arrays_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("executed");
    let command = format!("touch {}", mark.display());
    for (module, name) in [
        ("os", "system"),
        ("builtins", "eval"),
        ("__builtin__", "getattr"),
        ("numpy", "fromfile"),
        ("numpy", "load"),
        ("numpy.core.multiarray", "fromfile"),
        ("numpy.core.records", "fromfile"),
        ("numpy.f2py", "run_main"),
        ("numpy.random", "__RandomState_ctor"),
        ("torch._utils", "_rebuild_tensor_v2"),
        ("__torch__", "Module"),
        ("copy_reg", "_reconstructor"),
    ] {
        let protocol_2 = Pickle::new().dict(|p| {
            let call = p.text("w").global(module, name).text(&command);
            call.raw(b"\x85R")
        });
        let protocol_4 = Pickle::new().dict(|p| {
            let call = p.text("w").text(module).text(name).raw(b"\x93");
            call.text(&command).raw(b"\x85R")
        });
        let protocol_0 = format!("(dp0\nVw\nc{module}\n{name}\n(V{command}\ntRs.").into_bytes();
        for pickle in [protocol_2.stop(), protocol_4.stop(), protocol_0] {
            match read(&pickle).unwrap_err() {
                PackError::ForbiddenGlobal { global, .. } => {
                    assert_eq!(global, format!("{module}.{name}"));
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(!mark.exists(), "nothing was executed");
}

#[test]
fn numpy_names_mean_nothing_in_torch_checkpoints() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.pt");
    support::torch_zip(&path, &one(&SMALL).stop(), &[]);
    let error = read_tensors(&path).unwrap_err();
    assert!(
        matches!(error, PackError::ForbiddenGlobal { .. }),
        "{error:?}"
    );
}

#[test]
fn shapes_that_do_not_fit_their_bytes_are_refused_before_memory_is_asked_for() {
    let shapes: [(&[i64], &str); 9] = [
        (&[3], "not the 12"),
        (&[1], "not the 4"),
        (&[0], "not the 0"),
        (&[1 << 40], "more memory"),
        (&[i64::MAX], "more memory"),
        (&[i64::MAX, i64::MAX], "too many elements"),
        (&[0, i64::MAX, i64::MAX], "more elements"),
        (&[-2], "non-negative"),
        (&[1; 9], "9 axes"),
    ];
    for (shape, words) in shapes {
        damaged(one(&Described { shape, ..SMALL }), words);
    }
    let column_major = Described {
        shape: &[0, i64::MAX, i64::MAX],
        fortran: b"\x88",
        data: b"",
        ..SMALL
    };
    damaged(one(&column_major), "too many elements");
}

#[test]
fn kinds_of_arrays_that_are_not_numbers_are_refused() {
    for kind in ["O8", "S4", "U1", "c8", "V8", "M8", "f16", "i0", "", "f4f4"] {
        let pickle = one(&Described { kind, ..SMALL });
        damaged(pickle, &format!("arrays of type {kind:?}"));
    }
    damaged(
        one(&Described {
            order: "=",
            ..SMALL
        }),
        "byte order",
    );
    damaged(
        one(&Described {
            fortran: b"K\x07",
            ..SMALL
        }),
        "order is no truth value",
    );
    let records = Pickle::new().global("numpy", "dtype").raw(b"(").text("f4");
    let records = records.raw(b"\x89\x88tR(K\x03").text("|");
    damaged(
        records.raw(b"N)}K\x00K\x00K\x00tb"),
        "arrays of records are not read",
    );
}

#[test]
fn arrays_that_were_not_finished_are_refused() {
    let never_filled = Pickle::new().dict(|p| p.text("w").empty_array());
    damaged(never_filled, "w: the array's numbers are missing");
    let filled_twice = Pickle::new().dict(|p| {
        let state = p.text("w").array(&SMALL).raw(b"(K\x01").ints(&[2]);
        state.kind("f4", "<").raw(b"\x89").bytes(EIGHT).raw(b"tb")
    });
    damaged(filled_twice, "state for a value that has none");
    let without_order = Pickle::new().dict(|p| {
        let state = p.text("w").empty_array().raw(b"(K\x01").ints(&[2]);
        let kind = state.global("numpy", "dtype").raw(b"(").text("f4");
        kind.raw(b"tR\x89").bytes(EIGHT).raw(b"tb")
    });
    damaged(without_order, "type is not known");
    let list = Pickle::new().dict(|p| {
        let state = p.text("w").empty_array().raw(b"(K\x01").ints(&[2]);
        state.kind("f4", "<").raw(b"\x89]tb")
    });
    damaged(list, "numbers are no bytes");
    let short_state = Pickle::new().dict(|p| p.text("w").empty_array().raw(b"K\x01\x85b"));
    damaged(short_state, "unknown form");
    let of_nothing = Pickle::new().global("numpy._core.multiarray", "_reconstruct");
    damaged(of_nothing.raw(b")R"), "unknown form");
    let class = Pickle::new().global("numpy", "ndarray");
    damaged(class.raw(b")R"), "a class is called");
}

#[test]
fn buffers_of_protocol_5_are_checked_like_the_rest() {
    let buffer = |shape: &[i64], order: &str, rest: &[u8]| {
        Pickle::new().dict(|p| {
            let call = p.text("w").global("numpy._core.numeric", "_frombuffer");
            let data = call
                .raw(b"(\x96\x08\x00\x00\x00\x00\x00\x00\x00")
                .raw(EIGHT);
            let kind = data.kind("f4", "<").ints(shape).text(order);
            kind.raw(rest).raw(b"tR")
        })
    };
    assert_eq!(read(&buffer(&[1, 2], "C", b"").stop()).unwrap(), 1);
    let permuted = buffer(&[1, 2], "K", b"K\x01K\x00\x86");
    assert_eq!(read(&permuted.stop()).unwrap(), 1);
    damaged(buffer(&[3], "C", b""), "not the 12");
    damaged(buffer(&[2], "A", b""), "order is not known");
    damaged(buffer(&[2], "K", b""), "order is not known");
    damaged(buffer(&[1, 2], "K", b"K\x01K\x01\x86"), "not permuted");
    damaged(buffer(&[1, 2], "K", b"K\x00K\x02\x86"), "not permuted");
    damaged(buffer(&[1, 2], "K", b"K\x00\x85"), "not permuted");
    damaged(buffer(&[1, 2], "K", b"NN"), "unknown form");
    damaged(Pickle::new().raw(b"\x97"), "outside of the pickle");
    let endless = Pickle::new().raw(b"\x96\xff\xff\xff\xff\xff\xff\xff\xff");
    damaged(endless, "are left");
}

#[test]
fn texts_are_made_bytes_by_latin_1_alone() {
    let encoded = |text: &str, codec: &str| {
        Pickle::new().dict(|p| {
            let state = p.text("w").empty_array().raw(b"(K\x01").ints(&[1]);
            let call = state.kind("f4", "<").raw(b"\x89");
            let call = call.global("_codecs", "encode").text(text).text(codec);
            call.raw(b"\x86Rtb")
        })
    };
    assert_eq!(read(&encoded("\0\0\u{80}?", "latin1").stop()).unwrap(), 1);
    damaged(encoded("\0\0\u{100}?", "latin1"), "beyond Latin-1");
    damaged(encoded("\0\0\u{80}", "latin1"), "not the 4");
    damaged(encoded("\0\0\u{80}?", "rot13"), "unknown way");
    let number = Pickle::new().global("_codecs", "encode").raw(b"K\x01");
    damaged(number.text("latin1").raw(b"\x86R"), "no text is encoded");
    let bytes = Pickle::new().global("builtins", "bytes");
    damaged(bytes.raw(b"J\xff\xff\xff\x7f\x85R"), "made of something");
}

#[test]
fn one_array_under_many_names_cannot_claim_more_than_the_file_justifies() {
    let numbers = vec![0; 400_000];
    let large = Described {
        shape: &[100_000],
        data: &numbers,
        ..SMALL
    };
    let pickle = Pickle::new().dict(|p| {
        let first = p.text("w").array(&large).raw(b"q\x00");
        (0..20).fold(first, |p, i| p.text(&format!("w{i}")).raw(b"h\x00"))
    });
    damaged(pickle, "more memory");
}

#[test]
fn a_name_that_occurs_twice_is_refused() {
    let pickle = Pickle::new().dict(|p| p.text("w").array(&SMALL).text("w").array(&SMALL));
    damaged(pickle, "occurs twice");
}

#[test]
fn pickles_of_other_things_say_what_is_expected() {
    damaged(Pickle::new().raw(b"]"), "not one of a dictionary");
    damaged(Pickle::new().array(&SMALL), "not one of a dictionary");
    damaged(Pickle::new().raw(b"}"), "holds no NumPy arrays");
    let numbers = Pickle::new().dict(|p| p.text("w").int(3));
    damaged(numbers, "holds no NumPy arrays");
}

#[test]
fn instructions_that_make_objects_and_lines_that_lie_are_refused() {
    for instruction in [&b"i"[..], b"o", b"P", b"Q", b"\x82", b"\x92", b"2", b"0"] {
        let code = format!("0x{:02x}", instruction[0]);
        damaged(Pickle::new().raw(instruction), &code);
    }
    damaged(Pickle::new().raw(b"I1x\n"), "whole number");
    damaged(Pickle::new().raw(b"L9e9L\n"), "whole number");
    damaged(Pickle::new().raw(b"Fone\n"), "a number is not one");
    damaged(Pickle::new().raw(b"Sabc\n"), "no quotes");
    damaged(Pickle::new().raw(b"S'\n"), "no quotes");
    damaged(Pickle::new().raw(b"S'abc\"\n"), "no quotes");
    damaged(Pickle::new().raw(b"S'abc"), "does not end");
    damaged(Pickle::new().raw(b"Np-1\n"), "place in the memo");
    damaged(Pickle::new().raw(b"g7\n"), "nothing was stored");
    damaged(Pickle::new().raw(b"(Nd"), "key has no value");
    damaged(Pickle::new().raw(b"T\xff\xff\xff\xff"), "are left");
}

#[test]
fn deep_nesting_and_cycles_end_without_overflow() {
    let deep = Pickle::new().raw(b")").raw(&vec![0x85; 200_000]);
    damaged(deep, "not one of a dictionary");
    let cycle = Pickle::new().raw(b"}q\x00").text("self").raw(b"h\x00s");
    damaged(cycle, "holds no NumPy arrays");
}
