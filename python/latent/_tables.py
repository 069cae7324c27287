"""Tables of mixed columns: frames in, frames of the same columns and dtypes out (docs/tables.md says how they are modelled)."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from . import _data, _frames, _latent
from ._estimators import Array, Conditions, Estimator, seed_of
from ._progress import Event

try:
    from typing import Self
except ImportError:  # Python 3.10
    from typing import TypeVar

    Self = TypeVar("Self")  # type: ignore[misc, assignment]


class TableVAE(Estimator):
    """A model of a whole table: numbers, categories, booleans, dates and gaps, each column told by the others and by a code.

    X is a frame of pandas or polars, anything else with `__arrow_c_stream__`, an array of numbers, or a path as `latent train
    --data` takes it. Samples come as such a frame. Parameters as `Autoencoder`.
    """

    _preset = "table"

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = False
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        return tags

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        conditions: Conditions | None = None,
        on_epoch: Callable[[Event], object] | None = None,
        init_from: str | os.PathLike[str] | None = None,
    ) -> Self:
        """Learns P(row). There are no `conditions` here: any column may be given when rows are drawn."""
        if conditions:
            raise ValueError("a table is told nothing beside its rows: make it a column, and give it to sample(conditions=…)")
        self.kinds_: dict[str, dict[str, Any]] = {}
        return super().fit(X, on_epoch=on_epoch, init_from=init_from)

    def _own_settings(self) -> dict[str, Any]:
        return {"data.columns": self.kinds_} if getattr(self, "kinds_", None) else {}

    def _read(
        self, X: Any, y: Any = None, conditions: Conditions | None = None, *, reset: bool = False
    ) -> tuple[_latent.Rows, np.dtype[Any]]:
        frame = self._framed(X, reset)
        own = _frames.schema_of(frame)
        given = frame.dtype if isinstance(frame, np.ndarray) else np.dtype(np.float64)
        if reset:
            self.schema_ = own
            self.layout_, self.frame_, self.dtype_ = "table", None, given
        # A frame of another library has the same words.
        columns = [column for column in own.columns if column.name in self._names()]
        # A fit of its own wants no column of the fit before.
        modelled = [] if reset else self._modelled()
        absent = [name for name in modelled if name not in {column.name for column in columns}]
        if absent:
            raise ValueError(f"there is no column {absent[0]!r}, which the model was fitted on: it wants {', '.join(self._names())}")
        words = _frames.words_of(frame, _frames.Schema(own.library, columns))
        if reset:
            self.kinds_ = _kinds(own, words)
        return _latent.Rows.of_words(words), given

    def _framed(self, X: Any, reset: bool) -> Any:
        """X as a frame, or as an array of numbers."""
        frame = _frames.as_frame(X)
        if frame is None:
            return validate_data(
                self, X, reset=reset, dtype="numeric", ensure_all_finite="allow-nan", ensure_min_samples=2 if reset else 1
            )
        validate_data(self, frame, reset=reset, skip_check_array=True)
        return frame

    def _names(self) -> list[str]:
        return [column.name for column in self.schema_.columns]

    def _modelled(self) -> list[str]:
        """Columns that rows must have."""
        if not hasattr(self, "model_"):
            return []
        about = _latent.columns(self.model_) or []
        return [name for name, kind, _, _ in about if kind not in ("constant", "identifier")]

    def _adopt(self, model: _latent.Model, known: bool) -> None:
        self.model_ = model
        if known:
            return
        about = _latent.columns(model)
        if about is None:
            raise ValueError("this model is not one of a table of mixed columns: latent.load gives it as what it is")
        self.schema_ = _guessed(about)
        self.layout_, self.frame_, self.dtype_ = "table", None, np.dtype(np.float64)
        self.n_features_in_ = len(about)
        self.feature_names_in_ = np.array([name for name, *_ in about], dtype=object)

    def sample(
        self,
        n_samples: int = 1,
        *,
        conditions: Mapping[str, Any] | str | None = None,
        random_state: Any = None,
        observe: str | None = None,
    ) -> Any:
        """New rows; with `conditions` such as {"age": (30, 40), "sex": ["Male", "Female"], "income": ">50K"} rows that meet
        them: a tuple is a range (None leaves a side open), a list a choice. A text is read as that of `latent sample --where`.

        Codes are weighed by how well they fit the conditions; where few carry the rows, a warning says so.
        """
        check_is_fitted(self, "model_")
        if n_samples < 1:
            raise ValueError(f"n_samples is {n_samples}: give at least 1")
        if observe not in (None, "draw"):
            raise ValueError("a row of a table is drawn: observe='draw' is all there is")
        seed = seed_of(self.random_state if random_state is None else random_state)
        text = conditions if isinstance(conditions, str) else _text(conditions or {}, self.schema_)
        columns, effective = _latent.draw_rows(self.model_, int(n_samples), seed, text)
        if effective is not None and (effective < 30 or effective < 0.1 * n_samples):
            warnings.warn(
                f"{text}: {effective:.0f} codes carry the {n_samples} rows, which resemble each other more than they should: "
                "ask for less at once",
                stacklevel=2,
            )
        return _frames.frame_from(columns, self.schema_)

    def impute(self, X: Any, *, passes: int = 3, random_state: Any = None) -> Any:
        """X with its gaps drawn from what the model says of them given the other cells of their row: draws, not means.

        Everything else, dtypes and index too, stays as it is. Several `random_state` give several tables, whose spread is the
        uncertainty. A gap of a column that the model does not hold (one value, identifiers) stays one.
        """
        check_is_fitted(self, "model_")
        if not 1 <= passes <= 1000:
            raise ValueError(f"passes is {passes}: give 1 to 1000")
        rows, _ = self._read(X)
        seed = seed_of(self.random_state if random_state is None else random_state)
        columns = _latent.fill_rows(self.model_, rows, passes, seed)
        frame = self._framed(X, reset=False)
        return _frames.filled(frame, columns, _frames.schema_of(frame))

    def inverse_transform(self, X: Any, y: Any = None) -> Any:
        """Rows drawn from p(x|z) at codes [n, latent]."""
        check_is_fitted(self, "model_")
        z = np.ascontiguousarray(check_array(X, dtype=np.float32))
        return _frames.frame_from(_latent.decode_rows(self.model_, z, self.model_.seed), self.schema_)

    def reconstruct(self, X: Any, y: Any = None, *, conditions: Conditions | None = None) -> Any:
        """Each row through its code and back: what the code alone holds of it."""
        check_is_fitted(self, "model_")
        return _frames.frame_from(_latent.reconstruct_rows(self.model_, self._read(X)[0]), self.schema_)

    def score_samples(
        self, X: Any, y: Any = None, *, conditions: Conditions | None = None, draws: int = 100
    ) -> npt.NDArray[np.float64]:
        """log P(row) of each row in nats, from below by `draws` importance samples: a density in the units of numbers times
        probabilities of all else. Gaps count for nothing."""
        return super().score_samples(X, draws=draws)

    def transform(self, X: Any, y: Any = None, *, conditions: Conditions | None = None) -> Array:
        """The codes of rows: the centre of q(z|x), [n, latent]."""
        return super().transform(X)


def _kinds(schema: _frames.Schema, words: list[_frames.Words]) -> dict[str, dict[str, Any]]:
    """What the dtypes say of columns, for the engine to take them so; an empty word alone is a gap."""
    found: dict[str, dict[str, Any]] = {}
    for column, (name, known, _) in zip(schema.columns, words):
        own: dict[str, Any] = {"missing": [""]}
        # One value in all rows is a constant, whatever its dtype.
        varies = sum(word != "" for word in known) > 1
        kind = {"category": "category", "bool": "category", "float": "number", "date": "date", "time": "date"}.get(column.kind)
        if kind is not None and varies:
            own["kind"] = kind
        found[name] = own
    return found


def _text(conditions: Mapping[str, Any], schema: _frames.Schema) -> str:
    """Conditions as `latent sample --where` has them, values written as the columns are."""
    kinds = {column.name: column.kind for column in schema.columns}

    def word(name: str, value: Any) -> str:
        return _frames.written(kinds.get(name, "text"), value)

    def one(name: str, value: Any) -> str:
        if isinstance(value, tuple):
            if len(value) != 2:
                raise ValueError(f"the condition {name}={value!r}: a range is (least, greatest)")
            value = "..".join("" if side is None else word(name, side) for side in value)
        elif isinstance(value, (list, set)):
            value = "|".join(word(name, choice) for choice in value)
        else:
            value = word(name, value)
        return f'{name} = "{value}"' if "," in value else f"{name} = {value}"

    return ", ".join(one(str(name), value) for name, value in conditions.items())


def _guessed(about: list[tuple[str, str, bool, bool]]) -> _frames.Schema:
    """The dtypes of a table that came from a file: what pandas, or else polars, would make of it."""
    try:
        import pandas as library
    except ImportError:
        import polars as library
    is_pandas = library.__name__ == "pandas"
    columns = []
    for name, kind, whole, has_gaps in about:
        if kind == "number" and whole:
            dtype = ("Int64" if has_gaps else np.dtype(np.int64)) if is_pandas else library.Int64
            columns.append(_frames.Column(name, library.Int64Dtype() if dtype == "Int64" else dtype, "int"))
        elif kind == "number":
            columns.append(_frames.Column(name, np.dtype(np.float64) if is_pandas else library.Float64, "float"))
        else:
            # Dates keep the words of the file.
            columns.append(_frames.Column(name, np.dtype(object) if is_pandas else library.String, "text"))
    return _frames.Schema(library.__name__, columns)
