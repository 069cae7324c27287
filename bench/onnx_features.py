#!/usr/bin/env python3
"""A convolutional network as an ONNX file, with its features of some pictures under torch.

    python bench/onnx_features.py target/onnx-net
    LATENT_ONNX=$PWD/target/onnx-net cargo test --release --workspace --features latent-cli/onnx --lib features_are_those_of_torch \\
        -- --ignored --nocapture

writes net.onnx (strided, depthwise and residual convolutions, batch norms, pooling: those of ResNet and EfficientNet),
pictures.f32 `[6, 3, 40, 56]` and features.f32 `[6, 96]`: resized to 96 x 96 by torch's antialiased bicubic, scaled by
ImageNet's moments. The test says how far the two are apart. Needs torch and onnxscript.
"""

import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn


class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False), nn.BatchNorm2d(width), nn.SiLU(),
            nn.Conv2d(width, width, 1, bias=False), nn.BatchNorm2d(width))

    def forward(self, x):
        return F.relu(x + self.body(x))


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    network = nn.Sequential(
        nn.Conv2d(3, 32, 7, stride=2, padding=3, bias=False), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
        Residual(32), nn.Conv2d(32, 96, 3, stride=2, padding=1), nn.GELU(), Residual(96), Residual(96),
        nn.AdaptiveAvgPool2d(1), nn.Flatten())
    # A pass in training mode, so that the batch norms hold moments other than 0 and 1.
    network(torch.rand(16, 3, 96, 96))
    network.eval()

    pictures = torch.rand(6, 3, 40, 56)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    deviation = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    seen = F.interpolate(pictures, (96, 96), mode="bicubic", antialias=True, align_corners=False)
    with torch.no_grad():
        features = network((seen - mean) / deviation)
    torch.onnx.export(network, (torch.rand(2, 3, 96, 96),), folder / "net.onnx", dynamo=True, external_data=False,
                      dynamic_shapes=({0: torch.export.Dim("n")},))
    (folder / "pictures.f32").write_bytes(pictures.numpy().tobytes())
    (folder / "features.f32").write_bytes(features.numpy().tobytes())


main()
