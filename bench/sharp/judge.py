"""Rulers of pictures: features that no method here is trained on, and what two sets of pictures are apart on them.

    python bench/sharp/judge.py MADE.npy … --reference REFERENCE.npy [--train TRAIN.npy] [--face FOLDER]

Arrays are u8, [n, height, width, channels] or channels second. As many pictures of each are used as the smallest has. The floor, real pictures that
nobody learned from, is held against the same reference: no method can be expected to do better.

Rulers: EfficientNet-Lite0 (the weights that Latent embeds); a descriptor of faces (face-api's, where FOLDER has its weights); random
filters (an untrained network, which nobody can have optimised for).
Distances: Fréchet's, and of kernels (x·y/d + 1)³, unbiased; precision, recall, density, coverage with k = 5 neighbours. Power is of
frequencies of ¼ to ½ cycle a pixel under Hann's window, over the reference's. C_T is the test of Meehan et al. (arXiv 2004.05675) in
one cell: are samples nearer to training rows than the reference's rows are (strongly negative: copies)?
"""

import argparse
import json
import struct
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

REPOSITORY = Path(__file__).resolve().parents[2]
STRIDES = [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1]


def safetensors(path):
    data = Path(path).read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header, body = json.loads(data[8 : 8 + size]), data[8 + size :]
    kinds = {"F16": np.float16, "F32": np.float32}
    return {
        name: torch.tensor(np.frombuffer(body[slice(*about["data_offsets"])], kinds[about["dtype"]]).reshape(about["shape"]).astype(np.float32))
        for name, about in header.items() if name != "__metadata__"
    }


def resized(x, side):
    return F.interpolate(x, size=(side, side), mode="bicubic", antialias=True, align_corners=False)


class EfficientNet:
    name = "EfficientNet-Lite0"

    def __init__(self):
        self.weights = safetensors(REPOSITORY / "crates/latent-efficientnet/src/efficientnet-lite0.safetensors")

    def norm(self, x, name):
        parts = [self.weights[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
        return F.batch_norm(x, *parts, training=False, eps=1e-3)

    def convolution(self, x, name, stride=1):
        w = self.weights[f"{name}.weight"]

        def pads(side):
            total = max((-(-side // stride) - 1) * stride + w.shape[2] - side, 0)
            return total // 2, total - total // 2

        (top, bottom), (left, right) = pads(x.shape[2]), pads(x.shape[3])
        groups = x.shape[1] if w.shape[1] == 1 and x.shape[1] > 1 else 1
        return F.conv2d(F.pad(x, (left, right, top, bottom)), w, stride=stride, groups=groups)

    def __call__(self, x):
        x = (resized(x, 224) - 127 / 255) / (128 / 255)
        x = F.relu6(self.norm(self.convolution(x, "_conv_stem", 2), "_bn0"))
        for index, stride in enumerate(STRIDES):
            block, before = f"_blocks.{index}", x
            if f"{block}._expand_conv.weight" in self.weights:
                x = F.relu6(self.norm(self.convolution(x, f"{block}._expand_conv"), f"{block}._bn0"))
            x = F.relu6(self.norm(self.convolution(x, f"{block}._depthwise_conv", stride), f"{block}._bn1"))
            x = self.norm(self.convolution(x, f"{block}._project_conv"), f"{block}._bn2")
            if stride == 1 and x.shape == before.shape:
                x = x + before
        return F.relu6(self.norm(self.convolution(x, "_conv_head"), "_bn1")).mean((2, 3))


class Face:
    """face-api's descriptor, a residual network of 150×150 pictures to 128 numbers; its weights are bytes with a scale."""

    name = "faces"

    def __init__(self, folder):
        folder, self.weights, at = Path(folder), {}, 0
        (about,) = json.loads((folder / "face_recognition_model-weights_manifest.json").read_text())
        data = (folder / "face_recognition_model.bin").read_bytes()
        for weight in about["weights"]:
            count, how = int(np.prod(weight["shape"])), weight.get("quantization")
            values = np.frombuffer(data, np.uint8 if how else np.float32, count, at)
            at += values.nbytes
            values = values.astype(np.float32) * how["scale"] + how["min"] if how else values.copy()
            self.weights[weight["name"]] = torch.tensor(values.reshape(weight["shape"]).astype(np.float32))

    def convolution(self, x, name, stride=1, padding=1, active=True):
        w = self.weights
        x = F.conv2d(x, w[f"{name}/conv/filters"].permute(3, 2, 0, 1), w[f"{name}/conv/bias"], stride, padding)
        x = x * w[f"{name}/scale/weights"][:, None, None] + w[f"{name}/scale/biases"][:, None, None]
        return F.relu(x) if active else x

    def block(self, x, name):
        return F.relu(self.convolution(self.convolution(x, f"{name}/conv1"), f"{name}/conv2", active=False) + x)

    def halved(self, x, name):
        """A block with a stride; the ways are made as large as each other with zeros."""
        y = self.convolution(self.convolution(x, f"{name}/conv1", 2, 0), f"{name}/conv2", active=False)
        x = F.avg_pool2d(x, 2)
        side = max(x.shape[2], y.shape[2])
        x = F.pad(x, (0, side - x.shape[3], 0, side - x.shape[2], 0, y.shape[1] - x.shape[1]))
        y = F.pad(y, (0, side - y.shape[3], 0, side - y.shape[2]))
        return F.relu(x + y)

    def descriptor(self, x):
        """x [n, 3, 150, 150], 0 to 255."""
        x = (x - torch.tensor([122.782, 117.001, 104.298])[:, None, None]) / 256
        x = F.max_pool2d(self.convolution(x, "conv32_down", 2, 0), 3, 2)
        for name in list(dict.fromkeys(name.split("/")[0] for name in self.weights if "conv1" in name)):
            x = (self.halved if "down" in name else self.block)(x, name)
        return x.mean((2, 3)) @ self.weights["fc"]

    def __call__(self, x):
        return self.descriptor(resized(x, 150) * 255)


class RandomFilters:
    """An untrained network, orthogonal filters, means and deviations of each scale's maps."""

    name = "random filters"

    def __init__(self, channels):
        generator = torch.Generator().manual_seed(7)
        self.layers, inputs = [], channels
        for outputs in (64, 128, 256):
            w = torch.empty(outputs, inputs * 9)
            torch.nn.init.orthogonal_(w, generator=generator)
            self.layers.append(w.view(outputs, inputs, 3, 3) * (outputs / min(outputs, inputs * 9)) ** 0.5)
            inputs = outputs

    def __call__(self, x):
        x, found = 2 * x - 1, []
        for w in self.layers:
            x = F.relu(F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), w))
            found += [x.mean((2, 3)), x.std((2, 3))]
            x = F.avg_pool2d(x, 2)
        return torch.cat(found, 1)


def pictures(path):
    """u8 with channels last or second, or grey without, as [n, c, h, w] in [0, 1]."""
    x = np.load(path)
    x = x[..., None] if x.ndim == 3 else x.transpose(0, 2, 3, 1) if x.shape[1] in (1, 3) else x
    return torch.tensor(x).permute(0, 3, 1, 2).float() / 255


def features(ruler, x):
    """Of pictures [n, c, h, w], each set once: the reference is held against everything."""
    colour = isinstance(ruler, (EfficientNet, Face))
    key = ruler.name, tuple(x.shape), float(x.double().sum()), float(x[:, :, ::3, ::5].double().square().sum())
    if key not in KNOWN:
        with torch.no_grad():
            parts = [ruler((part.expand(-1, 3, -1, -1) if colour and part.shape[1] == 1 else part).contiguous(memory_format=torch.channels_last)) for part in x.split(50)]
        KNOWN[key] = torch.cat(parts).double().numpy()
    return KNOWN[key]


KNOWN = {}


def frechet(a, b):
    """|μ_a − μ_b|² + tr(Σ_a + Σ_b − 2 (Σ_a Σ_b)^½)"""
    centred = [f - f.mean(0) for f in (a, b)]
    # The trace of the root by the singular values of Σ_a^½ Σ_b^½, of the scatter matrices' factors.
    root = np.linalg.svd(centred[0] @ centred[1].T, compute_uv=False).sum() / np.sqrt((len(a) - 1) * (len(b) - 1))
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + sum((c**2).sum() / (len(c) - 1) for c in centred) - 2 * root)


def kernel_distance(a, b):
    n, k = min(len(a), len(b)), lambda x, y: (x @ y.T / x.shape[1] + 1) ** 3
    a, b = a[:n], b[:n]
    within = sum((g.sum() - np.trace(g)) / (n * (n - 1)) for g in (k(a, a), k(b, b)))
    return float(within - 2 * k(a, b).mean())


def distances(a, b):
    square = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
    return np.sqrt(np.maximum(square, 0))


def neighbours(real, made, k=5):
    radius = [np.sort(distances(x, x), 1)[:, k] for x in (real, made)]
    apart = distances(made, real)
    inside = apart <= radius[0][None]
    return dict(
        precision=float(inside.any(1).mean()), recall=float((apart <= radius[1][:, None]).any(0).mean()),
        density=float(inside.sum(1).mean() / k), coverage=float(inside.any(0).mean()),
    )


def power(x):
    """Mean power of ¼ to ½ cycle a pixel."""
    height, width = x.shape[2:]
    windows = [0.5 - 0.5 * torch.cos(2 * torch.pi * (torch.arange(n) + 0.5) / n) for n in (height, width)]
    x = x.double() - x.double().mean((2, 3), keepdim=True)
    spectrum = torch.fft.fft2(x * windows[0][:, None] * windows[1]).abs().square()
    f = (torch.fft.fftfreq(height)[:, None] ** 2 + torch.fft.fftfreq(width) ** 2).sqrt()
    return float(spectrum[..., (f >= 0.25) & (f <= 0.5)].sum() / len(x))


def closeness(made, reference, train):
    """C_T: how far the ranks of samples' distances to training rows are from those of other real rows, in deviations."""
    a, b = (distances(x, train).min(1) for x in (made, reference))
    both = np.concatenate([a, b])
    ranks = both.argsort().argsort()[: len(a)] + 1
    u = ranks.sum() - len(a) * (len(a) + 1) / 2
    n, m = len(a), len(b)
    return float((u - n * m / 2) / np.sqrt(n * m * (n + m + 1) / 12))


def rulers(channels, face=None):
    found = [EfficientNet(), RandomFilters(channels)]
    if face:
        found.append(Face(face))
    return found


def judged(made, reference, ruler_list, train=None, counts=2000):
    """Every figure of pictures [n, c, h, w] in [0, 1] against a reference; `counts` a ruler, or for all."""
    found = {"power": power(made) / power(reference)}
    for ruler in ruler_list:
        n = min(len(made), len(reference), counts if isinstance(counts, int) else counts[ruler.name])
        a, b = features(ruler, made[:n]), features(ruler, reference[:n])
        found[ruler.name] = dict(n=n, frechet=frechet(a, b), kernel=kernel_distance(a, b), **neighbours(b, a))
        if train is not None and ruler.name == CLOSE:
            found[ruler.name]["closeness"] = closeness(a, b, features(ruler, train))
    return found


# The ruler on which copies of training rows are looked for: the cheapest one that sees what pictures show.
CLOSE = "random filters"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("made", nargs="+")
    parser.add_argument("--reference", required=True)
    parser.add_argument("--train")
    parser.add_argument("--face")
    parser.add_argument("--count", type=int, default=2000)
    given = parser.parse_args()
    reference = pictures(given.reference)[: given.count]
    all_rulers = rulers(reference.shape[1], given.face)
    train = pictures(given.train) if given.train else None
    for path in given.made:
        print(path, json.dumps(judged(pictures(path)[: given.count], reference, all_rulers, train, given.count)), flush=True)


if __name__ == "__main__":
    main()
