"""Pickles a dictionary of small arrays in every protocol that the running Python has.

    python generate.py NAME     # writes NAME-0.pkl, NAME-1.pkl, ... beside this file
"""
from __future__ import print_function

import os
import pickle
import sys
from collections import OrderedDict

import numpy as np

PYTHON_2 = sys.version_info[0] == 2


def entries():
    thirds = np.arange(24, dtype="<f4") / np.float32(3) - np.float32(4)
    return [
        ("conv1", thirds.reshape(2, 3, 1, 4)),
        ("b1", np.array([-0.0, 1.5, 3e38], "<f4")),
        ("big", (thirds[:6].astype("f8") + 0.5).astype(">f8").reshape(2, 3)),
        ("big_single", thirds[:5].astype(">f4")),
        ("column_major", np.asfortranarray(thirds[:6].reshape(2, 3))),
        ("permuted", thirds.reshape(2, 3, 4).transpose(1, 2, 0)),
        ("strided", thirds.reshape(4, 6)[::2, 1::2]),
        ("half", np.array([0.5, -2.0], "<f2")),
        ("count", np.array([2 ** 40, -1], "<i8")),
        ("small_count", np.array([300, -2], ">i4")),
        ("bytes", np.arange(256, dtype="u1")),
        ("flags", np.array([True, False])),
        ("scalar", np.array(2.5, "<f8")),
        ("empty", np.zeros((0, 2), "<f4")),
        # What is no array is left out.
        ("loss", np.float32(3)),
        ("note", u"caf\u00e9\\ \u2026"),
        ("raw", b"\x00'\"\n\xff"),
        ("rate", 0.5),
        ("steps", 2 ** 40),
        ("done", True),
        ("none", None),
        ("list", [1, (2, 3), {"a": -1}]),
    ]


def dump(name, module, highest):
    for protocol in range(highest + 1):
        path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "%s-%d.pkl" % (name, protocol))
        tree = OrderedDict(entries()) if protocol == 4 else dict(entries())
        with open(path, "wb") as file:
            module.dump(tree, file, protocol)


if __name__ == "__main__":
    dump(sys.argv[1], pickle, pickle.HIGHEST_PROTOCOL)
    if PYTHON_2:
        import cPickle

        dump(sys.argv[1] + "c", cPickle, cPickle.HIGHEST_PROTOCOL)
    print("numpy", np.__version__, "Python", sys.version.split()[0])
