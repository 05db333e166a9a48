"""Writes gradients.safetensors: the loss of README.md and its gradients, by the PyTorch network of tests/peers/dino.py.

    pip install torch safetensors numpy
    python tests/vectors/dinov2/make.py

Checks first that this network gives the outputs of the published code.
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

HERE = Path(__file__).parent
sys.path.append(str(HERE.parents[1] / "peers"))
from dino import Tower  # noqa: E402

PREFIX = "img_encoder_q.model."
tensors = load_file(HERE / "weights.safetensors")
weights = {key.removeprefix(PREFIX): tensor for key, tensor in tensors.items() if key.startswith(PREFIX)}
inputs, outputs = load_file(HERE / "inputs.safetensors"), load_file(HERE / "outputs.safetensors")
tower = Tower(width=32, layers=2, heads=4, side=70)
missing, left = tower.load_state_dict(weights, strict=False)
assert not missing and left == ["mask_token"], (missing, left)
for case, image in [("native70", "image70"), ("interp56", "image56"), ("rect56x84", "image56x84")]:
    worst = (tower.hidden(inputs[image]) - outputs[f"{case}.x_prenorm"]).abs().max()
    assert worst < 2e-5, (case, worst)

hidden = tower.hidden(inputs["image56"])
loss = hidden.mean(1).square().mean() + tower.norm(hidden[:, 0]).pow(3).mean()
loss.backward()
kept = {"loss": loss.detach()}
for name, parameter in tower.named_parameters():
    if parameter.numel() <= 1024 or name in ("blocks.0.attn.qkv.weight", "blocks.1.mlp.fc2.weight"):
        kept[f"grad.{name}"] = parameter.grad.contiguous()
save_file(kept, HERE / "gradients.safetensors")
print(len(kept), float(loss))
