#!/usr/bin/env python3
"""Figures of the reference implementations that the tests of samples and reconstructions compare with.

    python bench/image_metrics.py

prints precision, recall, density and coverage of the package prdc on made-up rows (constants of
crates/latent/src/evaluate/samples/neighbours.rs), and SSIM of scikit-image and MS-SSIM composed of its maps on made-up
pictures (crates/latent/src/evaluate/reconstruction/similarity.rs). Needs numpy, scikit-image, prdc.
"""

import contextlib
import io

import numpy as np
from prdc import compute_prdc
from skimage.metrics import structural_similarity

WEIGHTS = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])


def wave(seed, rows, dims, shift):
    i, j = np.meshgrid(np.arange(rows, dtype=float), np.arange(dims, dtype=float), indexing="ij")
    angle = (seed + 1.0) * 12.9898 * (i + 1.0) + 78.233 * (j + 1.0) * (i + 0.5 * j)
    return (np.sin(angle) * (1.0 + 0.3 * j) + shift).astype(np.float32).astype(float)


def picture(channels, height, width):
    """The made-up picture of bench/efficientnet.py."""
    c, y, x = np.meshgrid(np.arange(channels), np.arange(height), np.arange(width), indexing="ij")
    return (0.5 + 0.5 * np.sin(0.3 * x + 0.2 * y * (c + 1) + c) * np.cos(0.01 * x * y)).astype(np.float32).astype(float)


def blurred(x):
    """A reconstruction of it: each number the mean of itself and its right neighbour (round the edge), a little darker."""
    return (0.5 * (x + np.roll(x, -1, axis=2)) * 0.95).astype(np.float32).astype(float)


def windows(a, b, sigma=1.5, radius=5):
    """Maps of SSIM and of contrast times structure, valid windows, mean over them: one plane."""
    t = np.arange(-radius, radius + 1)
    g = np.exp(-0.5 * (t / sigma) ** 2)
    g /= g.sum()

    def smooth(v):
        v = np.apply_along_axis(lambda r: np.convolve(r, g, mode="valid"), 1, v)
        return np.apply_along_axis(lambda r: np.convolve(r, g, mode="valid"), 0, v)

    c1, c2 = 0.01**2, 0.03**2
    ma, mb = smooth(a), smooth(b)
    va, vb, ab = smooth(a * a) - ma * ma, smooth(b * b) - mb * mb, smooth(a * b) - ma * mb
    structure = (2 * ab + c2) / (va + vb + c2)
    return ((2 * ma * mb + c1) / (ma**2 + mb**2 + c1) * structure).mean(), structure.mean()


def multi_scale(a, b):
    """As many scales as leave 11 pixels a side; their weights renormalised; each channel alone."""
    scales = min(5, int(np.floor(np.log2(min(a.shape[1:]) / 11))) + 1)
    weights = WEIGHTS[:scales] / WEIGHTS[:scales].sum()
    values = []
    for x, y in zip(a, b):
        result = 1.0
        for scale in range(scales):
            whole, structure = windows(x, y)
            result *= max(whole if scale + 1 == scales else structure, 0) ** weights[scale]
            h, w = x.shape[0] // 2 * 2, x.shape[1] // 2 * 2
            x, y = (v[:h, :w].reshape(h // 2, 2, w // 2, 2).mean((1, 3)) for v in (x, y))
        values.append(result)
    return scales, np.mean(values)


def main():
    for seed, shift in [(1.0, 0.0), (2.0, 0.6)]:
        with contextlib.redirect_stdout(io.StringIO()):
            found = compute_prdc(wave(seed, 400, 6, 0.0), wave(seed + 0.5, 300, 6, shift), nearest_k=5)
        print("prdc", seed, shift, [round(float(found[key]), 8) for key in ("precision", "recall", "density", "coverage")])
    for channels, height, width in [(1, 28, 28), (3, 40, 56), (1, 180, 200), (1, 9, 12)]:
        a = picture(channels, height, width)
        b = blurred(a)
        side = min(height, width)
        if side >= 11:
            whole = structural_similarity(a, b, channel_axis=0, gaussian_weights=True, sigma=1.5,
                                          use_sample_covariance=False, data_range=1.0)
            print("ssim", channels, height, width, round(whole, 8), "multi-scale", *multi_scale(a, b))
            assert abs(np.mean([windows(x, y)[0] for x, y in zip(a, b)]) - whole) < 1e-9
        else:
            # The window shrinks with the picture, as the library states: its radius and sigma in proportion.
            radius = (side - 1) // 2
            print("ssim", channels, height, width, round(windows(a[0], b[0], 1.5 * radius / 5, radius)[0], 8))


if __name__ == "__main__":
    main()
