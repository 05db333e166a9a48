"""MEVF with bilinear attention in PyTorch at its published size, one training step beside `lucency bench vqa` in turn.

    python tests/peers/mevf.py --lucency target/release/lucency [--rounds 3] [--steps 4]
    python tests/peers/mevf.py --check FOLDER      # weights, inputs and outputs of the reference: is it the same network?

Sizes: images 84 x 84 and 128 x 128, 12 words of 300 + 300 numbers, LSTM 1024, 2 glimpses, 458 answers, batches of 32 (Nguyen et al. 2019;
the numbers of aioz-ai/MICCAI19-MedVQA). The two programs are alive one after the other, so that a machine that drifts drifts for both.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time

WORDS, ANSWERS, BATCH, TOKENS = 1177, 458, 32, 12
VISUAL, CODE, MSE_SHARE, CLIP_NORM, RATE = 128, 16, 0.001, 0.25, 0.002


def network(torch, width, words, answers, side):
    nn, f = torch.nn, torch.nn.functional
    from torch.nn.utils import weight_norm

    def affine(inputs, outputs, active=True, dropout=0.0):
        """Weight-normalised by its whole norm, behind dropout; the layer is number 1, as in the published keys."""
        layers = [nn.Dropout(dropout), weight_norm(nn.Linear(inputs, outputs), dim=None)]
        block = nn.Module()
        block.main = nn.Sequential(*layers, *([nn.ReLU()] if active else []))
        return block

    class Maml(nn.Module):
        def __init__(self):
            super().__init__()
            for i in range(1, 5):
                setattr(self, f"conv{i}", nn.Conv2d(1 if i == 1 else 64, 64, 3, 2, 1))
                setattr(self, f"conv{i}_bn", nn.BatchNorm2d(64, momentum=0.05))

        def forward(self, x):
            for i in range(1, 5):
                x = getattr(self, f"conv{i}_bn")(f.relu(getattr(self, f"conv{i}")(x)))
            return x.flatten(2).mean(2)

    class Autoencoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.conv2 = nn.Conv2d(1, 64, 3, padding=1), nn.Conv2d(64, 32, 3, padding=1)
            self.conv3, self.conv4 = nn.Conv2d(32, CODE, 3, padding=1), nn.Conv2d(32, 32, 3, padding=1)
            self.conv5 = nn.Conv2d(64, 1, 3, padding=1)
            self.tran_conv1 = nn.ConvTranspose2d(CODE, 32, 3, 2, 1, 1)
            self.tran_conv2 = nn.ConvTranspose2d(32, 64, 3, 2, 1, 1)

        def encode(self, x):
            x = f.max_pool2d(f.relu(self.conv1(x)), 2)
            return f.relu(self.conv3(f.max_pool2d(f.relu(self.conv2(x)), 2)))

        def decode(self, code):
            x = f.relu(self.conv4(f.relu(self.tran_conv1(code))))
            return torch.sigmoid(self.conv5(f.relu(self.tran_conv2(x))))

    class Logits(nn.Module):
        def __init__(self):
            super().__init__()
            self.v_net, self.q_net = affine(VISUAL, 3 * width, dropout=0.2), affine(width, 3 * width, dropout=0.2)
            self.h_mat_v = nn.Parameter(torch.randn(1, 2, 1, 3 * width))
            self.h_mat_g = nn.Parameter(self.h_mat_v.detach().norm())
            self.h_bias = nn.Parameter(torch.zeros(1, 2, 1, 1))

        def forward(self, v, q):
            v, q = f.dropout(self.v_net.main(v), 0.5, self.training), self.q_net.main(q)
            h = self.h_mat_v * (self.h_mat_g / self.h_mat_v.norm())
            return (v.unsqueeze(1) * h) @ q.unsqueeze(1).transpose(2, 3) + self.h_bias

    class Words(nn.Module):
        def __init__(self):
            super().__init__()
            self.emb, self.emb_ = nn.Embedding(words + 1, 300), nn.Embedding(words + 1, 300)

        def forward(self, ids):
            return torch.cat([self.emb(ids), self.emb_(ids)], 2)

    class Mevf(nn.Module):
        def __init__(self):
            super().__init__()
            self.maml_v_emb, self.ae_v_emb, self.w_emb = Maml(), Autoencoder(), Words()
            self.convert = nn.Linear(CODE * (side // 4) ** 2, 64)
            self.q_emb, self.v_att = nn.Module(), nn.Module()
            self.q_emb.rnn = nn.LSTM(600, width, batch_first=True)
            self.v_att.logits = Logits()

            def pool():
                block = nn.Module()
                block.v_net, block.q_net = affine(VISUAL, width, dropout=0.2), affine(width, width, dropout=0.2)
                return block

            self.b_net = nn.ModuleList(pool() for _ in range(2))
            self.q_prj = nn.ModuleList(affine(width, width, False, 0.2) for _ in range(2))
            last = [weight_norm(nn.Linear(a, b), dim=None) for a, b in ((width, 2 * width), (2 * width, answers))]
            self.classifier = nn.Module()
            self.classifier.main = nn.Sequential(last[0], nn.ReLU(), nn.Dropout(0.5), last[1])

        def forward(self, small, large, ids):
            code = self.ae_v_emb.encode(large)
            seen = torch.cat([self.maml_v_emb(small), self.convert(code.flatten(1))], 1).unsqueeze(1)
            told, _ = self.q_emb.rnn(self.w_emb(ids))
            logits = self.v_att.logits(seen, told)
            shares = f.softmax(logits.flatten(2), 2).view_as(logits)
            for g in range(2):
                v, q = self.b_net[g].v_net.main(seen), self.b_net[g].q_net.main(told)
                joint = (v * (shares[:, g] @ q)).sum(1)
                told = told + self.q_prj[g].main(joint).unsqueeze(1)
            return self.classifier.main(told.sum(1)), self.ae_v_emb.decode(code)

    def loss_of(model, small, large, ids, answer):
        scores, drawn = model(small, large, ids)
        summed = f.binary_cross_entropy_with_logits(scores, answer, reduction="sum")
        return scores, (summed + MSE_SHARE * f.mse_loss(drawn, large)) / len(ids)

    return Mevf(), loss_of


def check(folder):
    import torch
    from safetensors.torch import load_file

    weights, inputs, outputs = (load_file(f"{folder}/{name}.safetensors") for name in ("weights", "inputs", "outputs"))
    model, loss_of = network(torch, 16, 20, 17, 16)
    model.load_state_dict(weights)
    model.eval()
    _, loss = loss_of(model, inputs["maml_image"], inputs["ae_image"], inputs["question"], inputs["answer"])
    print(f"loss {loss.item():.6f}, reference {outputs['loss'].item():.6f}")
    assert abs(loss.item() - outputs["loss"].item()) < 1e-4


def serve():
    """Answers a number of steps with their milliseconds, and 0 with the largest resident memory, MiB."""
    import torch

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    torch.manual_seed(1)
    model, loss_of = network(torch, 1024, WORDS, ANSWERS, 128)
    model.train()
    optimiser = torch.optim.Adamax(model.parameters(), RATE)
    small, large = torch.rand(BATCH, 1, 84, 84), torch.rand(BATCH, 1, 128, 128)
    ids = torch.randint(0, WORDS, (BATCH, TOKENS))
    answer = torch.nn.functional.one_hot(torch.randint(0, ANSWERS, (BATCH,)), ANSWERS).float()
    print("READY", flush=True)
    for line in sys.stdin:
        times = []
        for _ in range(int(line)):
            begun = time.perf_counter()
            _, loss = loss_of(model, small, large, ids, answer)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
            optimiser.step()
            times.append((time.perf_counter() - begun) * 1000)
        print(*(times or [resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check")
    parser.add_argument("--serve", action="store_true")
    parser.add_argument("--lucency", default="lucency")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=4)
    given = parser.parse_args()
    if given.check:
        return check(given.check)
    if given.serve:
        return serve()
    limits = dict.fromkeys(["RAYON_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"], str(given.threads))
    environment = os.environ | limits
    peer = subprocess.Popen(
        [sys.executable, __file__, "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )
    peer.stdout.readline()

    def ask(steps):
        peer.stdin.write(f"{steps}\n")
        peer.stdin.flush()
        return [float(word) for word in peer.stdout.readline().split()]

    ask(1)
    theirs, ours, memory = [], [], 0.0
    command = [given.lucency, "bench", "vqa", "--json", "--no-ask", "--steps", str(given.steps)]
    for _ in range(given.rounds):
        theirs += ask(given.steps)
        measured = json.loads(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
        ours.append(measured["train_step_ms"])
        memory = max(memory, measured["train_peak_memory_mib"])
    a, b, peak = statistics.median(theirs), statistics.median(ours), ask(0)[0]
    epoch = -(-3064 // BATCH) / 1000
    print(f"PyTorch {a:.0f} ms a step, {a * epoch:.0f} s an epoch, {peak:.0f} MiB")
    print(f"Lucency {b:.0f} ms a step, {b * epoch:.0f} s an epoch, {memory:.0f} MiB; x{b / a:.2f}, memory x{memory / peak:.2f}")


if __name__ == "__main__":
    main()
