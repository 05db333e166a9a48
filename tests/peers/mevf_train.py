"""Trains MEVF in PyTorch (`mevf.py`, the published network) and with Lucency on the same questions, and scores both on the others.

    python tests/peers/mevf_train.py --data VQA_RAD --maml FILE --cdae FILE --epochs 3 --lucency target/release/lucency

Of VQA-RAD's training file every seventh record is held out, so images and paraphrases are on both sides: this compares programs, not methods.
Both start from the released weights of the two image networks and learned word vectors, with the published rates (Adamax, 0.005 x 0.5, 1, 1.5, 2),
batches of 32 and clipping at 0.25.
"""

import argparse
import json
import os
import random
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from mevf import BATCH, CLIP_NORM, TOKENS, network
from PIL import Image
from safetensors.torch import load_file

RATES = (0.0025, 0.005, 0.0075, 0.01)


def words(question):
    return question.lower().replace(",", "").replace("?", "").replace(".", "").replace("'s", " 's").split()


def answer(record):
    return str(record["answer"]).strip().lower()


def planes(folder, names, side):
    """Grey images squashed to a square, `[n, 1, side, side]`, 0 to 1."""
    opened = (Image.open(folder / name).convert("L").resize((side, side), Image.BICUBIC) for name in names)
    return torch.from_numpy(np.stack([np.asarray(image, np.float32)[None] / 255 for image in opened]))


class Task:
    def __init__(self, folder, train, held_out):
        self.parts = (train, held_out)
        names = sorted({r["image_name"] for r in train + held_out})
        self.place = {name: i for i, name in enumerate(names)}
        self.small, self.large = planes(folder, names, 84), planes(folder, names, 128)
        self.words = {w: i for i, w in enumerate(sorted({w for r in train for w in words(r["question"])}))}
        self.answers = {a: i for i, a in enumerate(sorted({answer(r) for r in train}))}

    def batch(self, records):
        at = torch.tensor([self.place[r["image_name"]] for r in records])
        last = len(self.words) - 1  # as published: an unknown word is the last of the dictionary
        ids = [[self.words.get(w, last) for w in words(r["question"])][:TOKENS] for r in records]
        ids = torch.tensor([row + [len(self.words)] * (TOKENS - len(row)) for row in ids])
        truth = torch.zeros(len(records), len(self.answers))
        for row, record in enumerate(records):
            if answer(record) in self.answers:
                truth[row, self.answers[answer(record)]] = 1
        return self.small[at], self.large[at], ids, truth

    def accuracy(self, model):
        names, right = list(self.answers), []
        model.eval()
        with torch.no_grad():
            for begin in range(0, len(self.parts[1]), BATCH):
                some = self.parts[1][begin : begin + BATCH]
                scores, _ = model(*self.batch(some)[:3])
                right += [names[i] == answer(r) for i, r in zip(scores.argmax(1).tolist(), some)]
        model.train()
        closed = [r["answer_type"].strip().upper() == "CLOSED" for r in self.parts[1]]
        of = lambda kind: float(np.mean([ok for ok, c in zip(right, closed) if kind is None or c == kind]))
        return of(False), of(True), of(None)


def by_torch(task, given):
    torch.manual_seed(given.seed)
    random.seed(given.seed)
    model, loss_of = network(torch, 1024, len(task.words), len(task.answers), 128)
    for part, file in ((model.maml_v_emb, given.maml), (model.ae_v_emb, given.cdae)):
        part.load_state_dict(load_file(file), strict=False)
    optimiser = torch.optim.Adamax(model.parameters(), RATES[0])
    for epoch in range(given.epochs):
        begun, total, records = time.time(), 0.0, task.parts[0][:]
        random.shuffle(records)
        for group in optimiser.param_groups:
            group["lr"] = RATES[min(epoch, 3)]
        for begin in range(0, len(records), BATCH):
            _, loss = loss_of(model, *task.batch(records[begin : begin + BATCH]))
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
            optimiser.step()
            total += loss.item() * len(records[begin : begin + BATCH])
        open_, closed, all_ = task.accuracy(model)
        line = f"loss {total / len(records):.3f}, open {open_:.3f} closed {closed:.3f} all {all_:.3f}"
        print(f"PyTorch epoch {epoch + 1}: {line}, {time.time() - begun:.0f} s", flush=True)


def by_lucency(given, folder):
    run, begun = folder / "run", time.time()
    plan = ["--method", "mevf", "--visual", "maml,ae", "--maml", given.maml, "--cdae", given.cdae, "--as-published"]
    on = ["--data", given.data / "images", "--questions", folder / "train.json", "--epochs", str(given.epochs)]
    quiet = dict(check=True, stdout=subprocess.PIPE, text=True)
    subprocess.run([given.lucency, "train", "vqa", *plan, *on, "--seed", str(given.seed), "--out", run], **quiet)
    took = time.time() - begun
    asked = ["--data", given.data / "images", "--questions", folder / "held-out.json"]
    found = subprocess.run([given.lucency, "eval", "vqa", "--json", "--run", run, *asked], **quiet)
    found = json.loads(found.stdout)
    line = f"open {found['open']:.3f} closed {found['closed']:.3f} all {found['overall']:.3f}"
    print(f"Lucency epoch {given.epochs}: {line}, {took:.0f} s in all", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--maml", required=True)
    parser.add_argument("--cdae", required=True)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1204)
    parser.add_argument("--lucency", default="lucency")
    given = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    records = json.loads((given.data / "train.json").read_text())
    held_out = records[::7]
    train = [r for i, r in enumerate(records) if i % 7]
    print(f"{len(train)} questions to learn from, {len(held_out)} held out", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "train.json").write_text(json.dumps(train))
        (folder / "held-out.json").write_text(json.dumps(held_out))
        by_lucency(given, folder)
        by_torch(Task(given.data / "images", train, held_out), given)


if __name__ == "__main__":
    main()
