"""A synthetic table beside the real one, whoever made it: `latent judge` for frames."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _data, _frames, _latent
from ._runs import _framed

#: Whole numbers of no more values than this are categories, as in files.
FEW = 10

_Columns = list[tuple[str, "npt.NDArray[np.float64] | tuple[list[str], npt.NDArray[np.uint32]]"]]


class Judgement:
    """What was found: the headline is whether boosted trees tell synthetic rows from real ones (0.5 is chance)."""

    def __init__(self, text: str, report: dict[str, Any], page: str) -> None:
        self.text, self.page = text, page
        #: All numbers, as `latent judge --json` has them.
        self.report: dict[str, Any] = report["report"]
        #: What they mean, warnings first: dicts with `tone`, `headline` and `evidence`.
        self.findings: list[dict[str, Any]] = report["findings"]

    @property
    def figures(self) -> dict[str, float]:
        """Each number by name."""
        return {figure["name"]: figure["value"] for figure in self.report["figures"]}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the page with its pictures."""
        Path(path).write_text(self.page, encoding="utf-8")

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return _framed(self.page)


def judge(
    real: Any,
    synthetic: Any,
    *,
    test: Any = None,
    target: Any = None,
    numbers: Iterable[Any] = (),
    categories: Iterable[Any] = (),
    rows: int = 10_000,
    baselines: bool = True,
    random_state: int = 1,
) -> Judgement:
    """How good is a synthetic table? `real` are the rows that its maker has learned from; no model is needed.

    Tables are frames (as `TableVAE` takes them) or paths to csv files. `test` are real rows that nobody learned from, `target` the
    column that is to be predicted, for utility. Dtypes of `real` say what columns hold; `numbers` and `categories` overrule them.
    `rows` bounds the work; without `baselines` it takes a third of the time.
    """
    if rows < 2:
        raise ValueError(f"rows is {rows}: neighbours of fewer than 2 rows are none; give some thousands")
    if target is not None and test is None:
        raise ValueError("target is for utility, which needs rows that nobody learned from: give test")
    as_numbers, as_categories = [str(name) for name in numbers], [str(name) for name in categories]
    both = [name for name in as_numbers if name in as_categories]
    if both:
        raise ValueError(f"{both[0]!r} is given to numbers and to categories: give it to one of them")
    tables = [table for table in (real, synthetic, test) if table is not None]
    work, aim = (int(rows), bool(baselines)), None if target is None else str(target)
    if all(_data.is_path(table) for table in tables):
        a, b, *c = [os.fspath(table) for table in tables]
        text, report, page = _latent.judge_files(
            a, b, c[0] if c else None, as_numbers, as_categories, aim, work, random_state
        )
        return Judgement(text, json.loads(report), page)
    if any(_data.is_path(table) for table in tables):
        raise ValueError("some tables are frames and some are files: give all as one or the other")
    frames = [_as_table(table) for table in tables]
    kinds = _kinds(frames[0], as_numbers, as_categories)
    columns = [_columns(frame, kinds) for frame in frames]
    text, report, page = _latent.judge_tables(
        columns[0], columns[1], columns[2] if len(columns) > 2 else None, aim, work, random_state
    )
    return Judgement(text, json.loads(report), page)


def _as_table(X: Any) -> Any:
    frame = _frames.as_frame(X)
    if frame is not None:
        return frame
    X = np.asarray(X)
    if X.ndim != 2 or X.dtype.kind not in "iuf":
        raise ValueError(f"a {type(X).__name__} of shape {X.shape} is no table: give a frame, an array of numbers or a path")
    return X


def _kinds(frame: Any, numbers: list[str], categories: list[str]) -> dict[str, str]:
    """The kind of each column that holds numbers, "" for categories."""
    schema = _frames.schema_of(frame)
    known = {column.name for column in schema.columns}
    for name in numbers + categories:
        if name not in known:
            raise ValueError(f"there is no column {name!r}: the columns are {', '.join(sorted(known))}")
    found: dict[str, str] = {}
    for column, (name, words, _) in zip(schema.columns, _frames.words_of(frame, schema)):
        is_few = column.kind == "int" and len([word for word in words if word]) <= FEW
        is_number = column.kind in ("float", "date", "time") or (column.kind == "int" and not is_few)
        is_number = name in numbers or (is_number and name not in categories)
        kind = "float" if column.kind not in ("date", "time") else column.kind
        found[name] = kind if is_number else ""
    return found


def _columns(frame: Any, kinds: dict[str, str]) -> _Columns:
    found: _Columns = []
    for name, words, of in _frames.words_of(frame, _frames.schema_of(frame)):
        kind = kinds.get(name, "")
        if not kind:
            found.append((name, (words, of)))
            continue
        try:
            values = np.array([_number(kind, word) for word in words], dtype=np.float64)
        except ValueError as error:
            raise ValueError(f"column {name!r} holds numbers in the real table, and here what is none: {error}") from None
        found.append((name, values[of]))
    return found


def _number(kind: str, word: str) -> float:
    if word == "":
        return float("nan")
    if kind == "float":
        return float(word)
    # Days, to which times add a share.
    when = datetime.datetime.fromisoformat(word)
    return (when - datetime.datetime(1970, 1, 1)) / datetime.timedelta(days=1)
