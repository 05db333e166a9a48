"""Times faiss-cpu on the vectors that `lucency bench library --export FILE.npy` wrote.

    pip install faiss-cpu numpy
    lucency bench library --json --export /tmp/library.npy > ours.json
    python tests/peers/library_faiss.py /tmp/library.npy --ours ours.json

One query at a time, as a person asks; medians over all queries. Flat (32-bit floats, exact), SQ8 (8-bit, not exact),
IVF and HNSW, each at the least effort that reaches the wanted recall against faiss's own flat search.

HNSW takes long to make: `--hnsw FILE` keeps it, and a later run reads it and times the searches alone.
"""

import argparse
import json
import os
import statistics
import time

import faiss
import numpy as np


def timed(index, queries, k):
    """Identifiers, and milliseconds: of each query, and the mean of all processors."""
    index.search(queries[:1], k)
    found, times = [], []
    cpu = time.process_time()
    for query in queries:
        begun = time.perf_counter()
        _, ids = index.search(query[None], k)
        times.append(1000 * (time.perf_counter() - begun))
        found.append(ids[0])
    cpu = 1000 * (time.process_time() - cpu) / len(queries)
    return np.stack(found), (times, cpu)


def summary(measured):
    times, cpu = measured
    return {
        "cpu_mean": round(cpu, 3),
        "median": round(statistics.median(times), 3),
        "p95": round(float(np.percentile(times, 95)), 3),
        "least": round(min(times), 3),
    }


def recall(exact, found):
    hits = sum(len(set(e) & set(f)) for e, f in zip(exact, found))
    return hits / exact.size


def built(index, vectors):
    """Seconds by the clock and of all processors."""
    begun, cpu = time.perf_counter(), time.process_time()
    if not index.is_trained:
        sample = np.random.default_rng(0).choice(len(vectors), min(len(vectors), 200_000), replace=False)
        index.train(vectors[np.sort(sample)])
    for start in range(0, len(vectors), 50_000):
        index.add(vectors[start : start + 50_000])
    return round(time.perf_counter() - begun, 1), round(time.process_time() - cpu, 1)


def least_effort(index, set_effort, efforts, queries, k, exact, wanted):
    """The first effort that reaches the recall, with its times."""
    for effort in efforts:
        set_effort(index, effort)
        found, times = timed(index, queries, k)
        reached = recall(exact, found)
        if reached >= wanted:
            break
    return {"effort": effort, "recall": round(reached, 4), "ms": summary(times)}


def graph(vectors, path):
    """HNSW of the vectors, read from a file that holds it, or made and kept there; and how long making it took, if it was made now."""
    if path and os.path.exists(path):
        index = faiss.read_index(path)
        if (index.ntotal, index.d) != vectors.shape:
            raise SystemExit(f"{path} is of other vectors: {index.ntotal} × {index.d}; remove it")
        return index, None
    index = faiss.IndexHNSWFlat(vectors.shape[1], 32, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = 80
    build = built(index, vectors)
    if path:
        faiss.write_index(index, path)
    return index, build


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("vectors", help="FILE.npy; FILE.queries.npy and FILE.neighbours.npy lie beside it")
    parser.add_argument("--ours", help="JSON of the run that wrote them, to print ratios")
    parser.add_argument("--recall", type=float, default=0.98)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="flat,sq8,ivf,hnsw", help="which indexes")
    parser.add_argument("--hnsw", metavar="FILE", help="where HNSW is kept between runs")
    args = parser.parse_args()
    faiss.omp_set_num_threads(args.threads)
    stem = args.vectors.removesuffix(".npy")
    vectors = np.load(args.vectors, mmap_mode="r")
    queries = np.load(f"{stem}.queries.npy")
    ours = np.load(f"{stem}.neighbours.npy").astype(np.int64)
    n, dim = vectors.shape
    k = ours.shape[1]
    result = {"faiss": faiss.__version__, "threads": args.threads, "vectors": n, "dim": dim, "k": k}

    flat = faiss.IndexFlatIP(dim)
    build = built(flat, vectors)
    exact, times = timed(flat, queries, k)
    result["flat"] = {"ms": summary(times), "build_s_cpu_s": build, "mb": round(n * dim * 4 / 1e6)}
    result["our_exact_against_flat"] = round(recall(exact, ours), 5)
    only = args.only.split(",")
    if "sq8" in only:
        sq8 = faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT)
        build = built(sq8, vectors)
        found, times = timed(sq8, queries, k)
        result["sq8"] = {"ms": summary(times), "build_s_cpu_s": build, "recall": round(recall(exact, found), 4)}
        del sq8
    if "ivf" in only:
        lists = round(2 * n**0.5)
        ivf = faiss.IndexIVFFlat(faiss.IndexFlatIP(dim), dim, lists, faiss.METRIC_INNER_PRODUCT)
        ivf.cp.niter = 6
        build = built(ivf, vectors)
        probes = [p for p in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512) if p <= lists]
        effort = lambda index, p: setattr(index, "nprobe", p)
        result["ivf"] = least_effort(ivf, effort, probes, queries, k, exact, args.recall)
        result["ivf"]["build_s_cpu_s"] = build
        del ivf
    if "hnsw" in only:
        del flat
        hnsw, build = graph(vectors, args.hnsw)
        effort = lambda index, ef: setattr(index.hnsw, "efSearch", ef)
        efforts = (16, 32, 64, 128, 256, 512, 1024, 2048)
        result["hnsw"] = least_effort(hnsw, effort, efforts, queries, k, exact, args.recall)
        result["hnsw"]["build_s_cpu_s"] = build
        result["hnsw"]["mb"] = round(n * (dim * 4 + 2 * 32 * 4) / 1e6)
    if args.ours:
        with open(args.ours) as file:
            own = json.load(file)
        result["flat_over_our_exact"] = round(result["flat"]["ms"]["median"] / own["exact_ms"]["median"], 2)
        if "hnsw" in result:
            approximate = own["approximate_ms"]["median"]
            result["hnsw_over_our_approximate"] = round(result["hnsw"]["ms"]["median"] / approximate, 2)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
