"""PyTorch's side of bench/speed.sh: does a piece of work when told to, and says how long it took.

    python theirs.py steps NAME [compile|fused]     training steps on a fixed batch; NAME as in examples/steps.rs
    python theirs.py score|codes|decode|sample [compile]   rows through an untrained 784-400-20 model
    python theirs.py folder PATH [compile]          training steps on an ImageFolder, read by two workers
    python theirs.py nll                            pythae's get_nll, 5,000 samples a row
    python theirs.py pythae IDX.gz OUT              the whole of pythae's pipeline, once
    python theirs.py peak                           products of two 1024 x 1024 matrices

Each line on the standard input is a number of steps or rows; the answer is a line of JSON. `compile` is torch.compile;
`fused` is that with PyTorch's fused Adam, which is not its default on a processor.
"""

import gzip
import json
import sys
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

WARM = 5


def bernoulli(logits, x):
    return F.binary_cross_entropy_with_logits(logits, x, reduction="sum")


def rate(mean, log_variance):
    return 0.5 * (mean * mean + log_variance.exp() - log_variance - 1).sum()


class Mlp(nn.Module):
    """784-400-20, relu."""

    def __init__(self):
        super().__init__()
        self.hidden, self.mean, self.variance = nn.Linear(784, 400), nn.Linear(400, 20), nn.Linear(400, 20)
        self.up, self.out = nn.Linear(20, 400), nn.Linear(400, 784)

    def encode(self, x):
        h = F.relu(self.hidden(x))
        return self.mean(h), self.variance(h)

    def decode(self, z):
        return self.out(F.relu(self.up(z)))


def mlp():
    model = Mlp()
    x, noise = torch.rand(128, 784), torch.randn(128, 20)

    def loss():
        m, v = model.encode(x)
        z = m + (0.5 * v).exp() * noise
        return (bernoulli(model.decode(z), x) + rate(m, v)) / 128

    return model, loss


def iwae(draws):
    sizes = [(784, 200), (200, 200), (200, 50), (200, 50), (50, 200), (200, 200), (200, 784)]
    one, two, mean, variance, three, four, out = layers = nn.ModuleList(nn.Linear(*s) for s in sizes)
    x, noise = torch.rand(20, 784), torch.randn(draws, 20, 50)

    def loss():
        h = torch.tanh(two(torch.tanh(one(x))))
        m, v = mean(h), variance(h)
        z = m + (0.5 * v).exp() * noise
        logits = out(torch.tanh(four(torch.tanh(three(z)))))
        rows = x.expand(draws, 20, 784)
        distortion = F.binary_cross_entropy_with_logits(logits, rows, reduction="none").sum(-1)
        weights = 0.5 * (v - z * z).sum(-1) - distortion
        return -torch.logsumexp(weights, 0).mean()

    return layers, loss


class Strided(nn.Module):
    """4 x 4 convolutions of stride 2 to 32, 64, 128 channels; the decoder transposed or upsampled."""

    def __init__(self, side, upsampled):
        super().__init__()
        self.down = nn.ModuleList(nn.Conv2d(i, o, 4, 2, 1) for i, o in [(3, 32), (32, 64), (64, 128)])
        pairs = [(128, 64), (64, 32), (32, 3)]
        if upsampled:
            self.ups = nn.ModuleList(nn.Conv2d(i, o, 3, 1, 1) for i, o in pairs)
        else:
            self.ups = nn.ModuleList(nn.ConvTranspose2d(i, o, 4, 2, 1) for i, o in pairs)
        self.least, self.upsampled = side // 8, upsampled
        width = 128 * self.least**2
        self.mean, self.variance = nn.Linear(width, 64), nn.Linear(width, 64)
        self.up = nn.Linear(64, width)

    def loss(self, x, noise):
        h = x
        for layer in self.down:
            h = F.relu(layer(h))
        h = h.flatten(1)
        m, v = self.mean(h), self.variance(h)
        h = F.relu(self.up(m + (0.5 * v).exp() * noise)).view(-1, 128, self.least, self.least)
        for index, layer in enumerate(self.ups):
            if self.upsampled:
                h = F.interpolate(h, scale_factor=2, mode="nearest")
            h = layer(h) if index == 2 else F.relu(layer(h))
        return (bernoulli(h, x) + rate(m, v)) / len(x)


def conv(upsampled):
    model = Strided(32, upsampled)
    x, noise = torch.rand(64, 3, 32, 32), torch.randn(64, 64)
    return model, lambda: model.loss(x, noise)


MODELS = {
    "mlp": mlp,
    "iwae-1": lambda: iwae(1),
    "iwae-5": lambda: iwae(5),
    "iwae-50": lambda: iwae(50),
    "conv-transposed": lambda: conv(False),
    "conv-upsampled": lambda: conv(True),
}


def say(**answer):
    print(json.dumps(answer), flush=True)


def told():
    for line in sys.stdin:
        if not line.strip():
            return
        yield int(line)


def steps(name, how=""):
    model, loss = MODELS[name]()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3, fused=how == "fused" or None)
    loss = torch.compile(loss) if how else loss

    def step():
        optimiser.zero_grad()
        value = loss()
        value.backward()
        optimiser.step()
        return value.item()

    for _ in range(20):
        step()
    say(ready=True)
    for count in told():
        for _ in range(WARM):
            step()
        start = time.perf_counter()
        for _ in range(count):
            step()
        say(seconds=time.perf_counter() - start, count=count)


def rows(what, how=""):
    torch.manual_seed(0)
    model, data = Mlp(), torch.rand(60000, 784)
    part = 1024 if what != "score" else 0

    @torch.no_grad()
    def score(x, m, v, draws):
        deviation = (0.5 * v).exp()
        noise = torch.randn(draws, len(x), 20)
        z = m + deviation * noise
        logits = model.decode(z)
        log_p = -F.binary_cross_entropy_with_logits(logits, x.expand(draws, *x.shape), reduction="none").sum(-1)
        return log_p + 0.5 * (noise * noise - z * z + v).sum(-1)

    inner = torch.compile(score) if how and what == "score" else score
    encode, decode = model.encode, lambda z: torch.sigmoid(model.decode(z))
    if how and what != "score":
        encode, decode = torch.compile(encode), torch.compile(decode)

    @torch.no_grad()
    def work(count):
        x = data[:count]
        if what == "score":
            # 100 rows and 20 draws at a time: what was fastest here among 500 to 20,000 rows at once.
            total = 0.0
            for piece in x.split(100):
                m, v = model.encode(piece)
                weights = [inner(piece, m, v, 20) for _ in range(250)]
                total += (torch.logsumexp(torch.cat(weights), 0) - np.log(5000)).sum().item()
            return total
        if what == "codes":
            return torch.cat([encode(piece)[0] for piece in x.split(part)]).numpy()[0, 0].item()
        if what == "decode":
            return len(torch.cat([decode(piece) for piece in codes[:count].split(part)]).numpy())
        return len(torch.cat([decode(torch.randn(len(piece), 20)) for piece in x.split(part)]).numpy())

    with torch.no_grad():
        codes = torch.cat([model.encode(piece)[0] for piece in data.split(1024)])
        work(100 if what == "score" else 60000)
    say(ready=True)
    for count in told():
        start = time.perf_counter()
        check = work(count)
        say(seconds=time.perf_counter() - start, count=count, check=check)


def folder(path, how=""):
    from torchvision import datasets, transforms

    images = datasets.ImageFolder(path, transforms.ToTensor())
    loader = torch.utils.data.DataLoader(
        images, batch_size=64, shuffle=True, num_workers=2, drop_last=True, persistent_workers=True
    )
    model = Strided(64, True)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    loss = torch.compile(model.loss) if how else model.loss

    def step(x):
        optimiser.zero_grad()
        value = loss(x, torch.randn(len(x), 64))
        value.backward()
        optimiser.step()
        return value.item()

    for _ in range(3):
        step(torch.rand(64, 3, 64, 64))
    say(ready=True)
    for count in told():
        done, waited, start = 0, 0.0, time.perf_counter()
        asked = start
        for x, _ in loader:
            waited += time.perf_counter() - asked
            step(x)
            done += 1
            if done == count:
                break
            asked = time.perf_counter()
        say(seconds=time.perf_counter() - start, count=done, waited=waited)


def fashion(path):
    with gzip.open(path) as file:
        return np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 784).astype(np.float32) / 255


def pythae_config():
    from pythae.models import VAE, VAEConfig

    return VAE(VAEConfig(input_dim=(784,), latent_dim=20, reconstruction_loss="bce"))


def pythae(path, out):
    from pythae.pipelines import TrainingPipeline
    from pythae.trainers import BaseTrainerConfig

    config = BaseTrainerConfig(
        output_dir=out, num_epochs=5, learning_rate=1e-3, per_device_train_batch_size=128, no_cuda=True, seed=1
    )
    TrainingPipeline(model=pythae_config(), training_config=config)(train_data=fashion(path)[:54000])


def nll():
    model = pythae_config().eval()
    x = torch.rand(64, 784)
    with torch.no_grad():
        model.get_nll(x[:1], n_samples=100, batch_size=100)
        say(ready=True)
        for count in told():
            start = time.perf_counter()
            check = model.get_nll(x[:count], n_samples=5000, batch_size=500)
            say(seconds=time.perf_counter() - start, count=count, check=float(check))


def peak():
    a, b = torch.rand(1024, 1024), torch.rand(1024, 1024)
    torch.mm(a, b)
    say(ready=True)
    for count in told():
        best = float("inf")
        for _ in range(count):
            start = time.perf_counter()
            torch.mm(a, b)
            best = min(best, time.perf_counter() - start)
        say(seconds=best, count=count)


def main():
    torch.set_num_threads(2)
    torch.manual_seed(0)
    what, *words = sys.argv[1:]
    if what == "version":
        print(torch.__version__)
    elif what in ("score", "codes", "decode", "sample"):
        rows(what, *words)
    else:
        {"steps": steps, "folder": folder, "nll": nll, "pythae": pythae, "peak": peak}[what](*words)


if __name__ == "__main__":
    main()
