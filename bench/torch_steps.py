"""The steps of crates/latent-kernels/examples/steps.rs in PyTorch: median and best milliseconds a step.

    python bench/torch_steps.py [name part] [seconds] [compile]
"""

import statistics
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F


def bernoulli(logits, x):
    return F.binary_cross_entropy_with_logits(logits, x, reduction="sum")


def rate(mean, log_variance):
    return 0.5 * (mean * mean + log_variance.exp() - log_variance - 1).sum()


def mlp():
    hidden, mean, variance = nn.Linear(784, 400), nn.Linear(400, 20), nn.Linear(400, 20)
    up, out = nn.Linear(20, 400), nn.Linear(400, 784)
    x, noise = torch.rand(128, 784), torch.randn(128, 20)

    def loss():
        h = F.relu(hidden(x))
        m, v = mean(h), variance(h)
        z = m + (0.5 * v).exp() * noise
        return (bernoulli(out(F.relu(up(z))), x) + rate(m, v)) / 128

    return nn.ModuleList([hidden, mean, variance, up, out]), loss


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


def conv(upsampled):
    encoder = nn.ModuleList(nn.Conv2d(i, o, 4, 2, 1) for i, o in [(3, 32), (32, 64), (64, 128)])
    channels = [(128, 64), (64, 32), (32, 3)]
    if upsampled:
        decoder = nn.ModuleList(nn.Conv2d(i, o, 3, 1, 1) for i, o in channels)
    else:
        decoder = nn.ModuleList(nn.ConvTranspose2d(i, o, 4, 2, 1) for i, o in channels)
    mean, variance, up = nn.Linear(2048, 64), nn.Linear(2048, 64), nn.Linear(64, 2048)
    x, noise = torch.rand(64, 3, 32, 32), torch.randn(64, 64)

    def loss():
        h = x
        for layer in encoder:
            h = F.relu(layer(h))
        h = h.flatten(1)
        m, v = mean(h), variance(h)
        h = F.relu(up(m + (0.5 * v).exp() * noise)).view(64, 128, 4, 4)
        for index, layer in enumerate(decoder):
            if upsampled:
                h = F.interpolate(h, scale_factor=2, mode="nearest")
            h = layer(h) if index == 2 else F.relu(layer(h))
        return (bernoulli(h, x) + rate(m, v)) / 64

    return nn.ModuleList([encoder, decoder, mean, variance, up]), loss


def main():
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 4.0
    compiled = len(sys.argv) > 3
    torch.manual_seed(0)
    models = {
        "mlp": mlp,
        "iwae-1": lambda: iwae(1),
        "iwae-5": lambda: iwae(5),
        "iwae-50": lambda: iwae(50),
        "conv-transposed": lambda: conv(False),
        "conv-upsampled": lambda: conv(True),
    }
    for name, make in models.items():
        if wanted not in name:
            continue
        layers, loss = make()
        optimiser = torch.optim.Adam(layers.parameters(), lr=1e-3)
        loss = torch.compile(loss) if compiled else loss
        times, start = [], None
        while start is None or time.perf_counter() - start < seconds:
            begin = time.perf_counter()
            optimiser.zero_grad()
            value = loss()
            value.backward()
            optimiser.step()
            value.item()
            times.append((time.perf_counter() - begin) * 1e3)
            if len(times) == 10 and start is None:
                times, start = [], time.perf_counter()
        print(f"{name:<16} median {statistics.median(times):9.3f}  best {min(times):9.3f}", flush=True)


if __name__ == "__main__":
    main()
