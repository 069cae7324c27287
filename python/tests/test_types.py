"""Types: the stub is the compiled module's, and what the documentation shows passes mypy --strict."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy")
HERE = Path(__file__).parent


def test_the_stub_has_not_drifted():
    run = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "latent._latent", "--concise", "--ignore-missing-stub"],
        capture_output=True,
        text=True,
        cwd=HERE,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_example_is_strictly_typed():
    run = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", str(HERE / "typed_example.py")], capture_output=True, text=True, cwd=HERE
    )
    assert run.returncode == 0, run.stdout + run.stderr
