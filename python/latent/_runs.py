"""What is said of samples and runs, as objects that notebooks show."""

from __future__ import annotations

import html
import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import _data, _latent


class Number(NamedTuple):
    """A number with its 95 % interval, on n rows."""

    title: str
    value: float
    low: float
    high: float
    n: int


class Evaluation(dict[str, Number]):
    """Distances of samples from real rows, by name: frechet, kid, precision, recall, density, coverage, c2st."""

    def __init__(self, features: str, numbers: Mapping[str, Number]) -> None:
        super().__init__(numbers)
        #: The features in which rows were compared: figures on others are not to be compared with these.
        self.features = features

    def __repr__(self) -> str:
        width = max(len(number.title) for number in self.values())
        lines = [f"features of {self.features}"]
        for number in self.values():
            interval = f"{number.low:.4g} to {number.high:.4g}"
            lines.append(f"{number.title:<{width}}  {number.value:.4g} ({interval}; n = {number.n})")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{html.escape(x.title)}</td><td>{x.value:.4g}</td><td>{x.low:.4g} to {x.high:.4g}</td><td>{x.n}</td></tr>"
            for x in self.values()
        )
        head = "<tr><th></th><th>value</th><th>95 % interval</th><th>rows</th></tr>"
        return f"<table><caption>features of {html.escape(self.features)}</caption>{head}{rows}</table>"


def evaluate(real: Any, fake: Any, *, layout: str = "auto", random_state: int = 1) -> Evaluation:
    """How like real rows are others? Images are compared in the features of EfficientNet-Lite0, tables in standardised columns."""

    def rows(X: Any) -> _latent.Rows:
        X = np.asarray(_data.array_of(X))
        if X.ndim < 2:
            raise ValueError(f"rows of shape {X.shape} are neither a table nor images")
        order = "table" if X.ndim == 2 else _data.layout_of(X.shape, layout)
        return _data.rows(_data.to_engine(_data.readable(X), order))

    features, found = _latent.evaluate(rows(real), rows(fake), random_state)
    return Evaluation(features, {name: Number(*rest) for name, *rest in found})


class Comparison:
    """Runs beside each other, measure by measure."""

    def __init__(self, text: str, csv: str, page: str) -> None:
        self.csv, self.page, self._text = csv, page, text

    def __repr__(self) -> str:
        return self._text

    def _repr_html_(self) -> str:
        return _framed(self.page)


def compare(runs: Iterable[str | os.PathLike[str]]) -> Comparison:
    """Compares run folders that `latent evaluate` has judged; what is marked as best is so by more than chance."""
    paths = [Path(run) for run in runs]
    if len(paths) < 2:
        raise ValueError(f"{len(paths)} runs: give at least two")
    return Comparison(*_latent.compare([(path.name, os.fspath(path)) for path in paths]))


class Report:
    """The report of a run: a page with verdicts, pictures and numbers."""

    def __init__(self, page: str) -> None:
        self.page = page

    @property
    def verdicts(self) -> list[str]:
        """The verdicts in words."""
        found = re.findall(r'<li class="verdict[^"]*">(.*?)</li>', self.page, re.DOTALL)
        return [html.unescape(re.sub(r"<[^>]+>", "", verdict)).strip() for verdict in found]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the page."""
        Path(path).write_text(self.page, encoding="utf-8")

    def __repr__(self) -> str:
        return f"<latent.Report of {len(self.page)} bytes of HTML>"

    def _repr_html_(self) -> str:
        return _framed(self.page)


def report_of(
    model: _latent.Model, rows: _latent.Rows | None, path: str | os.PathLike[str] | None
) -> Report:
    """Draws the report in a run folder of the model."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "run" if path is None else Path(path)
        if not (folder / "model.safetensors").exists():
            model.save(os.fspath(folder))
        page = model.report(os.fspath(folder), rows)
        return Report(Path(page).read_text(encoding="utf-8"))


def _framed(page: str) -> str:
    """A page inside a page, so that their styles stay apart."""
    return f'<iframe srcdoc="{html.escape(page)}" style="width:100%;height:640px;border:0"></iframe>'
