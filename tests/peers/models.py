"""CLIP and DINOv2 in PyTorch and ONNX Runtime, timed by the protocol of `lucency bench models`, so that `in_turn.py` can compare.

    pip install torch transformers safetensors numpy onnx onnxscript onnxruntime
    python tests/peers/models.py make bench-data          # CLIP ViT-B/32 and DINOv2 ViT-B/14 with drawn weights, inputs, ONNX files
    python tests/peers/models.py torch|ort img|text|rn50|dino|train|trainlora BATCH THREADS [--data bench-data]

Prints READY <ms since the process began> <peak MiB>; for each line N on standard input N calls and their ms, for 0 the
peak memory in MiB. RN50's weights are drawn in each program: its time does not depend on them.
"""

import argparse
import sys
import time
from pathlib import Path


def make(data):
    import torch
    from safetensors.torch import save_file
    from transformers import CLIPConfig, CLIPModel

    torch.manual_seed(0)
    CLIPModel(CLIPConfig()).eval().save_pretrained(data / "clip", safe_serialization=True)
    ids = torch.randint(1, 49000, (14, 77))
    ids[:, 0], ids[:, -1] = 49406, 49407
    save_file({"x": torch.randn(16, 3, 224, 224), "ids": ids}, data / "in.safetensors")
    from dino import Tower

    save_file(Tower().state_dict(), data / "dino.safetensors")
    for case in ["img", "text", "rn50", "dino"]:
        call, x = network(case, data)
        names = {"input_names": ["in"], "output_names": ["out"], "dynamo": True, "external_data": False}
        batch = {0: torch.export.Dim("batch", min=1, max=64)}
        with torch.no_grad():
            torch.onnx.export(call, (x[:2],), str(data / f"{case}.onnx"), dynamic_shapes=(batch,), **names)


def network(case, data):
    """A module and all of its inputs."""
    import torch
    from safetensors.torch import load_file

    inputs = load_file(data / "in.safetensors")
    if case == "rn50":
        from clip_rn50 import Tower

        return Tower().eval(), inputs["x"]
    if case == "dino":
        from dino import Tower

        tower = Tower()
        tower.load_state_dict(load_file(data / "dino.safetensors"))
        return tower.eval(), inputs["x"]
    from transformers import CLIPTextModelWithProjection, CLIPVisionModelWithProjection

    kind, field, x = (
        (CLIPTextModelWithProjection, "text_embeds", inputs["ids"])
        if case == "text"
        else (CLIPVisionModelWithProjection, "image_embeds", inputs["x"])
    )

    class Embedding(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.tower = kind.from_pretrained(data / "clip").eval()

        def forward(self, x):
            return getattr(self.tower(x), field)

    return Embedding(), x


class LowRank:
    """A linear layer's low-rank update, as PEFT computes it."""

    def __new__(cls, base, rank=8, alpha=16):
        import torch

        class Adapted(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.base = base
                self.a = torch.nn.Parameter(torch.randn(rank, base.in_features) * 0.01)
                self.b = torch.nn.Parameter(torch.zeros(base.out_features, rank))

            def forward(self, x):
                return self.base(x) + (x @ self.a.t()) @ self.b.t() * (alpha / rank)

        return Adapted()


def step(case, batch, data):
    """A step of AdamW on the cross-entropy of eight classes."""
    import torch

    tower, x = network("img", data)
    x = x[:batch]
    if case == "trainlora":
        tower.requires_grad_(False)
        for layer in tower.tower.vision_model.encoder.layers:
            attention = layer.self_attn
            attention.q_proj, attention.v_proj = LowRank(attention.q_proj), LowRank(attention.v_proj)
    tower.train()
    head = torch.nn.Linear(512, 8)
    parameters = [p for p in [*tower.parameters(), *head.parameters()] if p.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=1e-5)
    classes = torch.arange(batch) % 8

    def call():
        optimiser.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(head(tower(x)), classes).backward()
        optimiser.step()

    return call


def torch_call(case, batch, threads, data):
    import torch

    torch.set_num_threads(threads)
    if case.startswith("train"):
        return step(case, batch, data)
    module, x = network(case, data)
    x = x[:batch]

    def call():
        with torch.inference_mode():
            module(x).numpy()

    return call


def ort_call(case, batch, threads, data):
    import numpy as np
    import onnxruntime
    from safetensors.numpy import load_file

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(str(data / f"{case}.onnx"), options, providers=["CPUExecutionProvider"])
    x = load_file(data / "in.safetensors")["ids" if case == "text" else "x"][:batch]
    feed = {session.get_inputs()[0].name: np.ascontiguousarray(x)}
    return lambda: session.run(None, feed)


def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmHWM"))


def age_ms():
    with open("/proc/self/stat") as stat, open("/proc/uptime") as uptime:
        start = int(stat.read().rsplit(")", 1)[1].split()[19]) / 100
        return (float(uptime.read().split()[0]) - start) * 1000


def serve(call):
    call()
    print(f"READY {age_ms():.0f} {peak()}", flush=True)
    for line in sys.stdin:
        times = []
        for _ in range(int(line)):
            begun = time.perf_counter()
            call()
            times.append(f"{1000 * (time.perf_counter() - begun):.3f}")
        print(" ".join(times) if times else peak(), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", choices=["make", "torch", "ort"])
    parser.add_argument("case", help="img, text, rn50, dino, train, trainlora; for make the folder")
    parser.add_argument("batch", type=int, nargs="?", default=1)
    parser.add_argument("threads", type=int, nargs="?", default=2)
    parser.add_argument("--data", type=Path, default=Path("bench-data"))
    given = parser.parse_args()
    if given.engine == "make":
        folder = Path(given.case)
        folder.mkdir(parents=True, exist_ok=True)
        return make(folder)
    engine = torch_call if given.engine == "torch" else ort_call
    serve(engine(given.case, given.batch, given.threads, given.data))


main()
