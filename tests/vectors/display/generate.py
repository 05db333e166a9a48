#!/usr/bin/env python3
"""Writes vectors.json: stored values, a display transform, and the bytes that must come out (see README.md)."""

import json
import pathlib

import numpy as np

SIGMOID_CLEARANCE = 1e-9  # keeps a last-place difference in exp() from changing a byte


def modality(spec, stored):
    stored = np.asarray(stored, dtype=np.float64)
    if spec["kind"] == "identity":
        return stored
    if spec["kind"] == "rescale":
        return stored * np.float64(spec["slope"]) + np.float64(spec["intercept"])
    table = np.asarray(spec["values"], dtype=np.float64)
    index = np.clip(stored - spec["first"], 0, len(table) - 1).astype(np.int64)
    return table[index]


def voi(spec, x):
    if spec["kind"] == "lut":
        table = np.asarray(spec["values"], dtype=np.float64)
        index = np.clip(np.floor(x + 0.5) - spec["first"], 0, len(table) - 1).astype(np.int64)
        return np.minimum(table[index] / np.float64(2 ** spec["bits"] - 1), 1.0)
    c = np.float64(spec["center"])
    w = np.float64(spec["width"])
    if spec["function"] == "LINEAR":
        w = np.maximum(w, 1.0)
        low, high = c - 0.5 - (w - 1) / 2, c - 0.5 + (w - 1) / 2
        with np.errstate(divide="ignore", invalid="ignore"):
            t = (x - (c - 0.5)) / (w - 1) + 0.5
        return np.where(x <= low, 0.0, np.where(x > high, 1.0, t))
    if spec["function"] == "LINEAR_EXACT":
        w = np.maximum(w, 0.0)
        low, high = c - w / 2, c + w / 2
        with np.errstate(divide="ignore", invalid="ignore"):
            t = (x - c) / w + 0.5
        return np.where(x <= low, 0.0, np.where(x > high, 1.0, t))
    if w <= 0:
        return np.where(x <= c, 0.0, 1.0)
    with np.errstate(over="ignore"):
        return 1.0 / (1.0 + np.exp(-4.0 * (x - c) / w))


def to_bytes(t, inverted):
    if inverted:
        t = 1.0 - t
    scaled = np.minimum(np.maximum(t, 0.0), 1.0) * 255.0 + 0.5
    return np.floor(scaled).astype(np.uint8), scaled


def case(name, modality_spec, voi_spec, stored, inverted=False):
    stored = list(stored)
    t = voi(voi_spec, modality(modality_spec, stored))
    expected, scaled = to_bytes(t, inverted)
    if voi_spec.get("function") == "SIGMOID":
        keep = np.abs(scaled - np.round(scaled)) > SIGMOID_CLEARANCE
        keep |= (t <= 0) | (t >= 1)
        stored = [s for s, k in zip(stored, keep) if k]
        expected = expected[keep]
    return {
        "name": name,
        "modality": modality_spec,
        "voi": voi_spec,
        "inverted": inverted,
        "stored": stored,
        "expected": [int(v) for v in expected],
    }


def window(center, width, function="LINEAR"):
    return {"kind": "window", "center": center, "width": width, "function": function}


def main():
    rng = np.random.default_rng(20240601)
    identity = {"kind": "identity"}
    ct = {"kind": "rescale", "slope": 1.0, "intercept": -1024.0}
    pet = {"kind": "rescale", "slope": 0.37219, "intercept": -3.5}
    modality_lut = {
        "kind": "lut", "first": 10, "bits": 16,
        "values": [int(v) for v in np.sort(rng.integers(0, 65536, 64))],
    }
    signed_lut = {"kind": "lut", "first": -8, "bits": 12, "values": [int(v) for v in rng.integers(0, 4096, 16)]}
    voi_lut = {"kind": "lut", "first": 100, "bits": 12, "values": [int(v) for v in np.sort(rng.integers(0, 4096, 300))]}
    voi_lut_8 = {"kind": "lut", "first": 0, "bits": 8, "values": [int(v) for v in rng.integers(0, 256, 256)]}
    voi_lut_over = {"kind": "lut", "first": 0, "bits": 10, "values": [0, 511, 1023, 2000]}
    every_byte = range(256)
    ct_range = [int(v) for v in rng.integers(0, 4096, 400)] + [0, 1, 4094, 4095, 65535]
    signed = [int(v) for v in rng.integers(-32768, 32768, 400)] + [-32768, -1, 0, 1, 32767]
    floats = [float(v) for v in rng.normal(0.0, 2.0, 200)] + [-1e30, 1e30, 0.0]
    big = [0, 1, 2**31 - 1, 2**31, 2**32 - 1]

    cases = []
    for function in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        cases += [
            case(f"{function}: abdomen window on CT", ct, window(40, 400, function), ct_range),
            case(f"{function}: lung window on CT", ct, window(-600, 1500, function), ct_range),
            case(f"{function}: brain window on CT, inverted", ct, window(40, 80, function), ct_range, True),
            case(f"{function}: full 8-bit range", identity, window(127.5, 255, function), every_byte),
            case(f"{function}: PS3.3 example, 128 and 256", identity, window(128, 256, function), every_byte),
            case(f"{function}: PS3.3 example, 2048 and 4096", identity, window(2048, 4096, function), ct_range),
            case(f"{function}: PS3.3 example, 2048 and 1", identity, window(2048, 1, function), [0, 2047, 2048, 2049, 4095]),
            case(f"{function}: PS3.3 example, 0 and 100", identity, window(0, 100, function), range(-128, 128)),
            case(f"{function}: PS3.3 example, 0 and 2", identity, window(0, 2, function), range(-4, 5)),
            case(f"{function}: width below one", identity, window(100, 0.5, function), [99, 99.5, 99.75, 100, 100.25, 101]),
            case(f"{function}: width of zero", identity, window(100, 0, function), [98, 99, 99.5, 100, 100.5, 101]),
            case(f"{function}: fractional centre and width", pet, window(311.7, 623.4, function), ct_range),
            case(f"{function}: signed values", identity, window(-1200.25, 30000.5, function), signed),
            case(f"{function}: floating point values", identity, window(0.1, 3.3, function), floats),
            case(f"{function}: negative slope", {"kind": "rescale", "slope": -0.5, "intercept": 100.0}, window(0, 500, function), signed),
            case(f"{function}: 32-bit values", identity, window(2147483648, 4294967296, function), big),
            case(f"{function}: modality LUT, ends clamped", modality_lut, window(32768, 65536, function), range(0, 90)),
            case(f"{function}: modality LUT of signed values, inverted", signed_lut, window(2000, 3000, function), range(-20, 20), True),
        ]
    cases += [
        case("VOI LUT of 12 bits", identity, voi_lut, range(0, 500)),
        case("VOI LUT of 12 bits, inverted", identity, voi_lut, range(0, 500), True),
        case("VOI LUT of 8 bits", identity, voi_lut_8, every_byte),
        case("VOI LUT after a rescale rounds half up", {"kind": "rescale", "slope": 0.5, "intercept": 0.0}, voi_lut, range(150, 900)),
        case("VOI LUT with values above its bits", identity, voi_lut_over, range(-2, 8)),
        case("VOI LUT after a modality LUT", signed_lut, voi_lut, range(-20, 20)),
    ]
    body = ",\n  ".join(json.dumps(c, separators=(",", ":")) for c in cases)
    text = '{"format":1,"cases":[\n  ' + body + "\n]}\n"
    pathlib.Path(__file__).with_name("vectors.json").write_text(text)
    print(f"{len(cases)} cases, {sum(len(c['stored']) for c in cases)} values")


if __name__ == "__main__":
    main()
