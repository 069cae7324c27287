"""Models that are trained already, as fitted estimators: run folders, and published models."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import _latent
from ._estimators import Autoencoder, Estimator
from ._samplers import Samplers
from ._settings import toml
from ._tables import TableVAE


def load(path: str | os.PathLike[str], *, device: str = "cpu") -> Estimator:
    """Loads a run folder or a model file, of the command or of `save`, as a fitted estimator: a `TableVAE` where it is one of a
    table of mixed columns, else an `Autoencoder`. It draws from the sampler that `latent fit-sampler` chose, if one was fitted."""
    loaded = _fitted(_latent.Model.load(os.fspath(path), device=device), device)
    loaded.samplers_ = Samplers.of_run(path if os.path.isdir(path) else Path(path).parent)
    return loaded


def import_weights(
    path: str | os.PathLike[str],
    *,
    mapping: str | None = None,
    preset: str = "vae",
    data: str | os.PathLike[str] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Estimator:
    """A published model from a safetensors file, as `latent import`: `mapping` is whose it is (found out unless given), `preset`
    what it was trained by, `data` what it was trained on, if that is here. Without it samples are 8-bit images, 0 to 255."""
    assignments = [f"{key.replace('__', '.')}={toml(value)}" for key, value in (settings or {}).items()]
    source = None if data is None else os.fspath(data)
    return _fitted(_latent.Model.imported(os.fspath(path), assignments, mapping, preset, source), "cpu")


def _fitted(model: _latent.Model, device: str) -> Estimator:
    """An estimator of a model that is trained already."""
    preset = next((line[10:-1] for line in model.run.splitlines() if line.startswith('preset = "')), None)
    is_table = _latent.columns(model) is not None
    loaded: Estimator = (
        TableVAE(random_state=model.seed, device=device)
        if is_table
        else Autoencoder(preset, random_state=model.seed, device=device)
    )
    loaded.seed_ = model.seed
    loaded._adopt(model, known=False)
    loaded.history_, loaded.notes_ = model.log(), []
    return loaded
