"""Times several engines in turn, so that a machine that drifts drifts for all, and prints medians and ratios.

    python tests/peers/in_turn.py img 1 --rounds 7
    python tests/peers/in_turn.py train 16 --engines torch lucency

Run it where `bench-data` is (`models.py make bench-data`) and `lucency` is on the path (or `--lucency PATH`).
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent


class Engine:
    def __init__(self, name, command, threads):
        self.name, self.times = name, []
        limits = dict.fromkeys(["RAYON_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"], str(threads))
        begun = time.time()
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | limits,
            stderr=subprocess.DEVNULL,
        )
        ready = self.process.stdout.readline().split()
        if ready[:1] != ["READY"]:
            sys.exit(f"{name} does not start: {' '.join(command)}")
        self.cold = (time.time() - begun) * 1000

    def ask(self, calls):
        self.process.stdin.write(f"{calls}\n")
        self.process.stdin.flush()
        return [float(word) for word in self.process.stdout.readline().split()]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case")
    parser.add_argument("batch")
    parser.add_argument("--engines", nargs="+", default=["torch", "ort", "lucency"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--calls", type=int, default=3)
    parser.add_argument("--lucency", default="lucency")
    given = parser.parse_args()
    python = [sys.executable, str(HERE / "models.py")]
    case = [given.case, given.batch]
    engines = []
    for name in given.engines:
        # lucency-q8 and lucency-q4 are the same program with quantised weights.
        _, _, bits = name.partition("lucency-")
        ours = [given.lucency, "bench", "models", *case, *(["--quantise", bits] if bits else [])]
        theirs = [*python, name, *case, str(given.threads)]
        engines.append(Engine(name, ours if name.startswith("lucency") else theirs, given.threads))
    for turn in range(given.rounds + 1):
        for engine in engines:
            time.sleep(0.1)
            times = engine.ask(given.calls)
            engine.times += times if turn > 0 else []
    first = None
    for engine in engines:
        memory = engine.ask(0)[0]
        engine.process.stdin.close()
        median = statistics.median(engine.times)
        first = first or (median, memory, engine.cold)
        print(
            f"{given.case:9} {given.batch:>3} {engine.name:8} {median:9.1f} ms ({min(engine.times):9.1f})"
            f"  x{median / first[0]:.2f}  {memory:5.0f} MiB x{memory / first[1]:.2f}"
            f"  cold {engine.cold:6.0f} ms x{engine.cold / first[2]:.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
