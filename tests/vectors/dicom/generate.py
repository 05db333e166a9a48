#!/usr/bin/env python3
"""Writes expectations.json: what every file of the DICOM collection must decode to (see README.md)."""

import hashlib
import json
import os
import pathlib
import sys
import warnings
import zlib

import numpy as np
import pydicom
from pydicom.encaps import generate_frames
from pydicom.pixels import apply_modality_lut
from pydicom.pixels.decoders.rle import _rle_decode_segment, _rle_parse_header

LOSSY = {
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.51",
    "1.2.840.10008.1.2.4.91",
    "1.2.840.10008.1.2.4.203",
}
DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"
RLE = "1.2.840.10008.1.2.5"
# Files that must be refused, with the code of the refusal.
REFUSED = {"emri_small_jpeg_2k_lossless_too_short.dcm": "truncated"}
GRID = 16


def unpack_bits(packed, ds):
    """One frame of one-bit samples that starts on a byte."""
    bits = np.unpackbits(np.frombuffer(packed, np.uint8), bitorder="little")
    return bits[: ds.Rows * ds.Columns].reshape(ds.Rows, ds.Columns)


def frames_of(ds):
    """Stored values of every frame, colour as RGB; and how they were obtained."""
    syntax = str(ds.file_meta.get("TransferSyntaxUID", ""))
    count = int(ds.get("NumberOfFrames", 1) or 1)
    if not syntax:
        ds.file_meta.TransferSyntaxUID = (
            pydicom.uid.ImplicitVRLittleEndian if ds.original_encoding[0] else pydicom.uid.ExplicitVRLittleEndian
        )
    if syntax == DEFLATED_FRAMES:
        parts = generate_frames(ds.PixelData, number_of_frames=count)
        frames = [unpack_bits(zlib.decompressobj(-15).decompress(part), ds) for part in parts]
        return frames, "zlib"
    if syntax == RLE and ds.BitsAllocated == 1:
        frames = []
        for part in generate_frames(ds.PixelData, number_of_frames=count):
            offsets = _rle_parse_header(part[:64])
            frames.append(unpack_bits(bytes(_rle_decode_segment(part[offsets[0] :])), ds))
        return frames, "pydicom RLE segment"
    values = ds.pixel_array
    return list(values if count > 1 else values[np.newaxis]), "pydicom pixel_array"


def modality_values(values, ds, frame):
    """pydicom's modality transform; of an enhanced multi-frame image the frame's own, which pydicom leaves out."""
    for groups in ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"):
        items = ds.get(groups, [])
        item = items[frame if groups.startswith("Per") else 0] if items else {}
        transform = item.get("PixelValueTransformationSequence", None)
        if transform:
            return apply_modality_lut(values, transform[0]).astype(np.float64)
    return apply_modality_lut(values, ds).astype(np.float64)


def little(values):
    return np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<"))).tobytes()


def sha256(values):
    return hashlib.sha256(little(values)).hexdigest()


def grid(values):
    """Values at GRID × GRID places spread over the frame, first sample of a pixel first."""
    rows = np.arange(GRID) * values.shape[0] // GRID
    columns = np.arange(GRID) * values.shape[1] // GRID
    return [int(v) for v in values[np.ix_(rows, columns)].reshape(-1)]


def expectation(path):
    if path.name in REFUSED:
        return {"file": path.name, "error": REFUSED[path.name]}
    ds = pydicom.dcmread(path, force=True)
    syntax = str(ds.file_meta.get("TransferSyntaxUID", ""))
    frames, source = frames_of(ds)
    native = frames[0].dtype.newbyteorder("=")
    entry = {
        "file": path.name,
        "transfer_syntax": syntax,
        "photometric": ds.PhotometricInterpretation,
        "shape": list(frames[0].shape),
        "kind": {"u": "u", "i": "i", "f": "f"}[native.kind] + str(8 * native.itemsize),
        "source": source,
        "frames": [],
    }
    grey = ds.PhotometricInterpretation.startswith("MONOCHROME")
    for number, values in enumerate(frames):
        values = values.astype(native)
        if syntax in LOSSY:
            entry["tolerance"] = 2
            entry["frames"].append({"grid": grid(values), "mean": round(float(values.mean()), 6)})
        else:
            frame = {"stored": sha256(values)}
            if grey:
                frame["modality"] = sha256(modality_values(values, ds, number))
            entry["frames"].append(frame)
    return entry


def main():
    warnings.simplefilter("ignore")
    root = pathlib.Path(__file__).resolve().parents[3]
    data = pathlib.Path(os.environ.get("LUCENCY_TEST_DATA", root / "../shared/data")) / "dicom"
    entries = [expectation(path) for path in sorted(data.iterdir()) if path.is_file()]
    text = ",\n  ".join(json.dumps(e, separators=(",", ":")) for e in entries)
    out = pathlib.Path(__file__).with_name("expectations.json")
    out.write_text('{"format":1,"grid":%d,"files":[\n  %s\n]}\n' % (GRID, text))
    print(f"{len(entries)} files", file=sys.stderr)


if __name__ == "__main__":
    main()
