"""PyTorch's side of bench/reproduce/run.py: the authors' protocol of the importance-weighted autoencoder, written plainly.

    python theirs.py train MNIST FOLDER --draws K --epochs E --seed S     goes on from FOLDER's last whole epoch
    python theirs.py score FOLDER BITS --draws 5000 --seed S              prints a line of JSON

784-200-200-(50, 50), tanh, ln σ; 50-200-200-784 with the mean's logits as the last bias; Glorot-uniform weights. Batches of 20 in
the order of the file, 59,600 rows, binarised anew whenever they are seen; stage i lasts 3^i epochs at 1e-4 · round(10^(1 − i/7), 1).
The optimiser is Adam with β₁ = 0.99, β₂ = 0.999, ε = 1e-4 and v₀ = 1 on gradients added up over the batch, and a step moves by
the moments of the step before.

Threads are PyTorch's own choice, or OMP_NUM_THREADS: on a busy machine with two cores one is far faster than two, which wait for
each other in every product of these small matrices.

Reference: Burda, Grosse & Salakhutdinov (arXiv 1509.00519) and yburda/iwae. Needs torch and numpy.
"""

import argparse
import gzip
import json
import math
import os
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

BATCH, ROWS, LATENT = 20, 59600, 50
SIZES = {
    "encoder": [(784, 200), (200, 200)], "mean": [(200, LATENT)], "deviation": [(200, LATENT)],
    "decoder": [(LATENT, 200), (200, 200), (200, 784)],
}


def images(path):
    opened = gzip.open if str(path).endswith(".gz") else open
    with opened(path, "rb") as file:
        return torch.from_numpy(np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 784).astype(np.float32) / 255)


class Model:
    """Weights are views of one vector, and so are their gradients: the optimiser is a few lines."""

    def __init__(self, mean=None):
        sizes = [(name, rows, columns) for name, layers in SIZES.items() for rows, columns in layers]
        count = sum((rows + 1) * columns for _, rows, columns in sizes)
        self.flat, self.gradient = torch.zeros(count), torch.zeros(count)
        self.m, self.v, self.time = torch.zeros(count), torch.ones(count), 1
        self.layers, at = {name: [] for name in SIZES}, 0
        for name, rows, columns in sizes:
            pair = []
            for shape in [(rows, columns), (columns,)]:
                size = math.prod(shape)
                weight = self.flat[at : at + size].view(shape)
                if len(shape) == 2:
                    torch.nn.init.xavier_uniform_(weight)
                weight.requires_grad_()
                weight.grad = self.gradient[at : at + size].view(shape)
                pair.append(weight)
                at += size
            self.layers[name].append(pair)
        if mean is not None:
            with torch.no_grad():
                self.layers["decoder"][-1][1].copy_(torch.logit(mean.clamp(0.001, 0.999)))

    def encode(self, x):
        for weight, bias in self.layers["encoder"]:
            x = torch.tanh(torch.addmm(bias, x, weight))
        (mean, deviation) = (torch.addmm(b, x, w) for (w, b), in (self.layers["mean"], self.layers["deviation"]))
        return mean, deviation

    def log_weights(self, x, draws):
        """ln p(x, z) − ln q(z|x) of each draw, `[draws, rows]`"""
        mean, log_deviation = self.encode(x)
        noise = torch.randn(draws, len(x), LATENT)
        z = mean + log_deviation.exp() * noise
        h = z.view(-1, LATENT)
        for weight, bias in self.layers["decoder"][:-1]:
            h = torch.tanh(torch.addmm(bias, h, weight))
        weight, bias = self.layers["decoder"][-1]
        logits = torch.addmm(bias, h, weight).view(draws, len(x), 784)
        log_p = -F.binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none").sum(-1)
        return log_p + (0.5 * (noise * noise - z * z) + log_deviation).sum(-1)

    def step(self, x, draws, rate):
        self.gradient.zero_()
        bound = torch.logsumexp(self.log_weights(x, draws), 0).sum()
        bound.backward()
        with torch.no_grad():
            alpha = rate * math.sqrt(1 - 0.999**self.time) / (1 - 0.99**self.time)
            self.flat.addcdiv_(self.m, self.v.sqrt().add_(1e-4), value=alpha)
            self.m.mul_(0.99).add_(self.gradient, alpha=0.01)
            self.v.mul_(0.999).addcmul_(self.gradient, self.gradient, value=0.001)
        self.time += 1


def rate_of(epoch):
    """Of the stage that this epoch, counted from 0, lies in."""
    stage = next(i for i in range(8) if epoch < (3 ** (i + 1) - 1) // 2 or i == 7)
    return 1e-4 * round(10 ** (1 - stage / 7), 1)


def train(args):
    x = images(Path(args.data) / "train-images-idx3-ubyte.gz")[:ROWS]
    model, begin, path = Model(x.mean(0)), 0, Path(args.folder) / "state.pt"
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        state = torch.load(path)
        model.flat.data.copy_(state["flat"])
        model.m, model.v, model.time, begin = state["m"], state["v"], state["time"], state["epoch"]
        torch.set_rng_state(state["noise"])
    for epoch in range(begin, args.epochs):
        rate, begun = rate_of(epoch), time.monotonic()
        for at in range(0, ROWS, BATCH):
            rows = x[at : at + BATCH]
            model.step((torch.rand_like(rows) <= rows).float(), args.draws, rate)
        state = dict(flat=model.flat, m=model.m, v=model.v, time=model.time, epoch=epoch + 1, noise=torch.get_rng_state())
        torch.save(state, path.with_suffix(".part"))
        os.replace(path.with_suffix(".part"), path)
        print(f"epoch {epoch + 1} of {args.epochs}, rate {rate:.2g}, {time.monotonic() - begun:.1f} s", flush=True)


@torch.no_grad()
def score(args):
    state, x, model = torch.load(Path(args.folder) / "state.pt"), images(args.data), Model()
    model.flat.data.copy_(state["flat"])
    found = []
    for row in x:
        found.append(torch.logsumexp(model.log_weights(row[None], args.draws), 0).item() - math.log(args.draws))
    answer = dict(nll=[-bound for bound in found], epochs=state["epoch"])
    print(json.dumps({**answer, "torch": torch.__version__, "threads": torch.get_num_threads()}))


def main():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(required=True)
    for name, run, words in [("train", train, ["data", "folder"]), ("score", score, ["folder", "data"])]:
        command = commands.add_parser(name)
        command.set_defaults(run=run)
        [command.add_argument(word) for word in words]
        command.add_argument("--draws", type=int, required=True)
        command.add_argument("--epochs", type=int)
        command.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    try:
        args.run(args)
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
