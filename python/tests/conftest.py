"""Data that tests share: small, made here, the same each time."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def circle() -> np.ndarray:
    """300 points about a circle in three dimensions, in units of their own."""
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, 300)
    points = np.stack([100 * np.cos(angle), np.sin(angle), np.cos(angle) * np.sin(angle)], 1)
    return points + 0.05 * np.array([100, 1, 1]) * rng.normal(size=points.shape)


@pytest.fixture(scope="session")
def squares() -> np.ndarray:
    """120 grey images of 8×8 with a bright square somewhere, uint8."""
    return bright_squares(120, 1)[:, 0]


def bright_squares(n: int, channels: int, side: int = 8) -> np.ndarray:
    rng = np.random.default_rng(1)
    images = rng.integers(0, 40, (n, channels, side, side), dtype=np.uint8)
    for image in images:
        y, x = rng.integers(0, side - 3, 2)
        image[:, y : y + 3, x : x + 3] += np.uint8(180)
    return images


@pytest.fixture(scope="session")
def command() -> str:
    """The command `latent`, built from this tree."""
    target = os.environ.get("CARGO_TARGET_DIR", ROOT / "target")
    found = os.environ.get("LATENT_BIN") or shutil.which(Path(target) / "release" / "latent")
    if not found:
        pytest.skip("no command `latent` in target/release: cargo build --release")
    return str(found)
