"""Samplers that are fitted on a model's codes, and drawn from in the prior's place: what `RUN/samplers` holds."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from . import _latent


class Judged(NamedTuple):
    """A sampler and how well its codes are told from held-out ones: accuracy of a classifier with its 95 % interval (0.5 is chance)."""

    sampler: str
    accuracy: float
    low: float
    high: float
    mmd: float
    mmd_error: float
    seconds: float


class Samplers:
    """The files of the samplers of a model, and those that are in use. A pickle holds the files."""

    def __init__(self, files: dict[str, bytes], table: list[Judged] | None = None) -> None:
        self.files = files
        #: Those judged when they were fitted, the chosen one first.
        self.table = table or []
        self._open: dict[str | None, _latent.Sampler] = {}

    @classmethod
    def of_run(cls, run: str | os.PathLike[str], table: list[Judged] | None = None) -> Samplers | None:
        """Those of a run folder, if it has any."""
        folder = Path(run) / "samplers"
        if not folder.is_dir():
            return None
        kept = [path for path in sorted(folder.iterdir()) if path.suffix in (".safetensors", ".toml")]
        return cls({path.name: path.read_bytes() for path in kept}, table) if kept else None

    def write(self, run: str | os.PathLike[str]) -> None:
        """Puts them beside the model of a run folder."""
        folder = Path(run) / "samplers"
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in self.files.items():
            (folder / name).write_bytes(data)

    def open(self, model: _latent.Model, name: str | None) -> _latent.Sampler:
        """The sampler of that name, or else the chosen one."""
        if name not in self._open:
            with tempfile.TemporaryDirectory() as run:
                self.write(run)
                self._open[name] = _latent.Sampler.load(model, run, name)
        return self._open[name]

    def __getstate__(self) -> dict[str, Any]:
        return {"files": self.files, "table": self.table, "_open": {}}

    def __repr__(self) -> str:
        if self.table:
            lines = [f"{row.sampler:20} told apart {row.accuracy:.3f} ({row.low:.3f} to {row.high:.3f})" for row in self.table]
            return "\n".join(lines)
        return f"<samplers: {', '.join(sorted(name.split('.')[0] for name in self.files if name.endswith('s')))}>"


def how_of(
    temperature: float, truncation: float | None, of_class: str | None, guidance: float
) -> tuple[float, float | None, str | None, float] | None:
    """What is asked of a draw; None for nothing."""
    if (temperature, truncation, of_class, guidance) == (1.0, None, None, 1.0):
        return None
    truncation = None if truncation is None else float(truncation)
    return float(temperature), truncation, None if of_class is None else str(of_class), float(guidance)
