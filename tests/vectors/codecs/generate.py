#!/usr/bin/env python3
"""Writes small DICOM files under many codecs, and expectations.json with what they must decode to (see README.md)."""

import hashlib
import io
import json
import pathlib

import imagecodecs
import numpy as np
import PIL.Image
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID

HERE = pathlib.Path(__file__).parent
ROWS, COLUMNS, GRID = 37, 53, 16
BASELINE, EXTENDED, PROGRESSIVE = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.55"
LOSSLESS, LOSSLESS_SV1 = "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"
JPEG_LS, JPEG_LS_NEAR = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"
J2K_LOSSLESS, J2K = "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"
JXL_LOSSLESS, JXL = "1.2.840.10008.1.2.4.110", "1.2.840.10008.1.2.4.112"
HTJ2K_LOSSLESS = "1.2.840.10008.1.2.4.201"


def scene(bits, samples=1, seed=1):
    """A ramp, a disc, an edge and noise: smooth, sharp and random places."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:ROWS, 0:COLUMNS]
    planes = []
    for s in range(samples):
        plane = 0.15 + 0.5 * (x * (s + 1) % COLUMNS) / COLUMNS + 0.2 * y / ROWS
        plane = np.where((x - 20 - 4 * s) ** 2 + (y - 18) ** 2 < 90, 0.9 - 0.25 * s, plane)
        plane = np.where(x > 44, 0.05, plane)
        plane = plane + np.where(y > 26, rng.normal(0, 0.03, plane.shape), 0)
        planes.append(np.clip(plane, 0, 1))
    values = np.stack(planes, -1) if samples > 1 else planes[0]
    return np.round(values * (2**bits - 1)).astype(np.uint8 if bits <= 8 else np.uint16)


def write(name, syntax, frames, photometric, samples, allocated, stored, signed=False):
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.7")
    meta.MediaStorageSOPInstanceUID = UID("2.25." + str(int(hashlib.sha256(name.encode()).hexdigest()[:24], 16)))
    meta.TransferSyntaxUID = UID(syntax)
    ds = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID, ds.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    ds.Modality = "OT"
    ds.SamplesPerPixel, ds.PhotometricInterpretation = samples, photometric
    if samples > 1:
        ds.PlanarConfiguration = 0
    ds.Rows, ds.Columns = ROWS, COLUMNS
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = allocated, stored, stored - 1
    ds.PixelRepresentation = int(signed)
    if len(frames) > 1:
        ds.NumberOfFrames = len(frames)
    ds.PixelData = encapsulate(frames)
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    # pydicom does not know JPEG XL; the data set is explicit little endian under every syntax here.
    pydicom.dcmwrite(HERE / f"{name}.dcm", ds, enforce_file_format=False, implicit_vr=False, little_endian=True, force_encoding=True)


def sha256(values):
    return hashlib.sha256(np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<"))).tobytes()).hexdigest()


def grid(values):
    rows, columns = np.arange(GRID) * ROWS // GRID, np.arange(GRID) * COLUMNS // GRID
    return [int(v) for v in values[np.ix_(rows, columns)].reshape(-1)]


ENTRIES = []


def add(name, syntax, frames, expected, photometric="MONOCHROME2", stored=None, tolerance=0):
    values = expected[0]
    samples = values.shape[2] if values.ndim == 3 else 1
    allocated = 8 * values.dtype.itemsize
    write(name, syntax, frames, photometric, samples, allocated, stored or allocated, values.dtype.kind == "i")
    entry = {"file": f"{name}.dcm", "shape": list(values.shape), "kind": f"{values.dtype.kind}{allocated}", "frames": []}
    if tolerance:
        entry["tolerance"] = tolerance
    for v in expected:
        full = {"grid": grid(v), "mean": round(float(v.mean()), 6)}
        entry["frames"].append(full if tolerance else {"stored": sha256(v)})
    ENTRIES.append(entry)


def jpeg():
    grey, rgb, deep = scene(8), scene(8, 3), scene(12)
    stream = imagecodecs.jpeg8_encode(grey, level=90)
    add("jpeg_baseline_grey", BASELINE, [stream], [imagecodecs.jpeg8_decode(stream)], tolerance=2)
    for name, sampling in (("444", "444"), ("422", "422"), ("420", "420")):
        stream = imagecodecs.jpeg8_encode(rgb, level=90, subsampling=sampling, outcolorspace="YCbCr")
        photometric = "YBR_FULL" if name == "444" else "YBR_FULL_422"
        add(f"jpeg_baseline_ybr_{name}", BASELINE, [stream], [imagecodecs.jpeg8_decode(stream)], photometric, tolerance=2)
    stream = imagecodecs.jpeg8_encode(rgb, level=90, colorspace="RGB", outcolorspace="RGB")
    decoded = imagecodecs.jpeg8_decode(stream, colorspace="RGB", outcolorspace="RGB")
    add("jpeg_baseline_rgb", BASELINE, [stream], [decoded], "RGB", tolerance=2)
    stream = imagecodecs.jpeg8_encode(rgb, level=85, subsampling="420", optimize=True, smoothing=False)
    add("jpeg_optimised_tables", BASELINE, [stream], [imagecodecs.jpeg8_decode(stream)], "YBR_FULL_422", tolerance=2)
    for name, values in (("grey", grey), ("ybr_420", rgb)):
        out = io.BytesIO()
        PIL.Image.fromarray(values).save(out, "JPEG", quality=90, progressive=True, subsampling="4:2:0")
        photometric = "MONOCHROME2" if values.ndim == 2 else "YBR_FULL_422"
        decoded = imagecodecs.jpeg8_decode(out.getvalue())
        add(f"jpeg_progressive_{name}", PROGRESSIVE, [out.getvalue()], [decoded], photometric, tolerance=2)
    out = io.BytesIO()
    PIL.Image.fromarray(rgb).save(out, "JPEG", quality=90, restart_marker_blocks=2, subsampling="4:2:2")
    decoded = imagecodecs.jpeg8_decode(out.getvalue())
    add("jpeg_restarts", BASELINE, [out.getvalue()], [decoded], "YBR_FULL_422", tolerance=2)
    stream = imagecodecs.jpeg8_encode(deep, level=90, bitspersample=12)
    add("jpeg_extended_12_bit", EXTENDED, [stream], [imagecodecs.jpeg8_decode(stream)], stored=12, tolerance=2)
    for predictor in range(1, 8):
        bits = (8, 12, 16)[predictor % 3]
        values = scene(bits, seed=predictor)
        stream = imagecodecs.jpeg8_encode(values, lossless=True, predictor=predictor, bitspersample=bits)
        syntax = LOSSLESS_SV1 if predictor == 1 else LOSSLESS
        add(f"jpeg_lossless_{bits}_bit_predictor_{predictor}", syntax, [stream], [values], stored=bits)
    stream = imagecodecs.jpeg8_encode(rgb, lossless=True, predictor=1, colorspace="RGB", outcolorspace="RGB")
    add("jpeg_lossless_rgb", LOSSLESS_SV1, [stream], [rgb], "RGB")


def jpeg_ls():
    for bits in (8, 12, 16):
        values = scene(bits)
        add(f"jpegls_{bits}_bit", JPEG_LS, [imagecodecs.jpegls_encode(values)], [values], stored=bits)
    for near in (1, 3, 10):
        stream = imagecodecs.jpegls_encode(scene(12), level=near)
        add(f"jpegls_near_{near}", JPEG_LS_NEAR, [stream], [imagecodecs.jpegls_decode(stream)], stored=12)
    rgb = scene(8, 3)
    add("jpegls_rgb", JPEG_LS, [imagecodecs.jpegls_encode(rgb)], [rgb], "RGB")
    flat = np.full((ROWS, COLUMNS), 77, np.uint8)
    add("jpegls_flat", JPEG_LS, [imagecodecs.jpegls_encode(flat)], [flat])


def jpeg_2000():
    for bits in (8, 12, 16):
        values = scene(bits)
        stream = imagecodecs.jpeg2k_encode(values, codecformat="J2K", reversible=True, bitspersample=bits)
        add(f"j2k_{bits}_bit", J2K_LOSSLESS, [stream], [values], stored=bits)
    signed = scene(16).astype(np.int32) - 32768
    signed = signed.astype(np.int16)
    stream = imagecodecs.jpeg2k_encode(signed, codecformat="J2K", reversible=True)
    add("j2k_signed", J2K_LOSSLESS, [stream], [signed])
    rgb = scene(8, 3)
    stream = imagecodecs.jpeg2k_encode(rgb, codecformat="J2K", reversible=True, mct=True)
    add("j2k_rct", J2K_LOSSLESS, [stream], [rgb], "YBR_RCT")
    stream = imagecodecs.jpeg2k_encode(rgb, codecformat="J2K", level=45)
    add("j2k_lossy_rgb", J2K, [stream], [imagecodecs.jpeg2k_decode(stream)], "YBR_ICT", tolerance=2)
    stream = imagecodecs.jpeg2k_encode(scene(12), codecformat="J2K", level=60, bitspersample=12)
    add("j2k_lossy", J2K, [stream], [imagecodecs.jpeg2k_decode(stream)], stored=12, tolerance=2)
    for bits in (8, 16):
        values = scene(bits)
        stream = imagecodecs.htj2k_encode(values, reversible=True)
        add(f"htj2k_{bits}_bit", HTJ2K_LOSSLESS, [bytes(stream)], [values], stored=bits)


def jpeg_xl():
    for bits in (8, 16):
        values = scene(bits)
        add(f"jxl_{bits}_bit", JXL_LOSSLESS, [imagecodecs.jpegxl_encode(values, lossless=True)], [values])
    deep = scene(12)
    stream = imagecodecs.jpegxl_encode(deep, lossless=True, bitspersample=12)
    add("jxl_12_bit", JXL_LOSSLESS, [stream], [deep], stored=12)
    rgb = scene(8, 3)
    add("jxl_rgb", JXL_LOSSLESS, [imagecodecs.jpegxl_encode(rgb, lossless=True)], [rgb], "RGB")
    stream = imagecodecs.jpegxl_encode(rgb, distance=1.0)
    add("jxl_lossy_rgb", JXL, [stream], [imagecodecs.jpegxl_decode(stream)], "RGB", tolerance=2)


def frames():
    values = [scene(8, seed=s) for s in (1, 2, 3)]
    add("jpegls_three_frames", JPEG_LS, [imagecodecs.jpegls_encode(v) for v in values], values)


def main():
    for part in (jpeg, jpeg_ls, jpeg_2000, jpeg_xl, frames):
        part()
    body = ",\n  ".join(json.dumps(e, separators=(",", ":")) for e in ENTRIES)
    (HERE / "expectations.json").write_text('{"format":1,"grid":%d,"files":[\n  %s\n]}\n' % (GRID, body))
    print(f"{len(ENTRIES)} files")


if __name__ == "__main__":
    main()
