"""Times the decoding of compressed DICOM files in GDCM and in Lucency in turn, from path to pixels, first frame.

    pip install python-gdcm
    python tests/peers/decoding.py FILE.dcm ... --lucency target/release/lucency

GDCM's pixels stay in its own memory (`ImageChangeTransferSyntax`), so that no copy into Python is timed.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

from in_turn import Engine


def serve(file):
    """The protocol of `lucency bench decoding --serve`."""
    import gdcm

    def call():
        reader = gdcm.ImageReader()
        reader.SetFileName(file)
        change = gdcm.ImageChangeTransferSyntax()
        change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.ExplicitVRLittleEndian))
        if not reader.Read():
            sys.exit(f"{file}: GDCM does not read it")
        change.SetInput(reader.GetImage())
        if not change.Change():
            sys.exit(f"{file}: GDCM does not decode it")

    call()
    print("READY 0 0", flush=True)
    for line in sys.stdin:
        times = []
        for _ in range(int(line)):
            begun = time.perf_counter()
            call()
            times.append(f"{(time.perf_counter() - begun) * 1000:.3f}")
        print(" ".join(times) or "0", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=4)
    parser.add_argument("--lucency", default="lucency")
    parser.add_argument("--serve", action="store_true", help="speak the protocol for GDCM")
    given = parser.parse_args()
    if given.serve:
        return serve(given.files[0])
    for file in given.files:
        engines = [
            Engine("gdcm", [sys.executable, __file__, "--serve", file], given.threads),
            Engine("lucency", [given.lucency, "bench", "decoding", "--serve", file], given.threads),
        ]
        for turn in range(given.rounds + 1):
            for engine in engines:
                times = engine.ask(given.calls)
                engine.times += times if turn > 0 else []
        first = None
        words = []
        for engine in engines:
            engine.process.stdin.close()
            median = statistics.median(engine.times)
            first = first or median
            words.append(f"{engine.name} {median:8.2f} ms ({min(engine.times):8.2f}) x{median / first:.2f}")
        print(f"{Path(file).stem:32} {'   '.join(words)}", flush=True)


if __name__ == "__main__":
    main()
