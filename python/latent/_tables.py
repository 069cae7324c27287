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
from ._samplers import how_of

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
        conditions: Mapping[Any, Any] | str | None = None,
        random_state: Any = None,
        observe: str | None = None,
        sampler: str | None = None,
        temperature: float = 1.0,
        truncation: float | None = None,
        of_class: str | None = None,
        guidance: float = 1.0,
        balance: Any = None,
    ) -> Any:
        """New rows; with `conditions` such as {"age": (30, 40), "sex": ["Male", "Female"], "income": ">50K"} rows that meet
        them: a tuple is a range (None leaves a side open), a list a choice, None a gap, and values are taken as they are, whatever
        letters they hold. A text is read as that of `latent sample --where`. `balance` is a column of which each value has as many
        rows.

        Codes are weighed by how well they fit the conditions; where few carry the rows, a warning says so. The further arguments
        are those of `Autoencoder.sample`, for rows without conditions.
        """
        check_is_fitted(self, "model_")
        if n_samples < 1:
            raise ValueError(f"n_samples is {n_samples}: give at least 1")
        if observe not in (None, "draw"):
            raise ValueError("a row of a table is drawn: observe='draw' is all there is")
        how = how_of(temperature, truncation, of_class, guidance)
        if how is not None and (conditions or balance is not None):
            raise ValueError("rows that meet conditions are drawn as they are: leave out temperature, truncation, of_class and guidance")
        text, asked = (conditions, []) if isinstance(conditions, str) else ("", _asked(conditions or {}, self.schema_))
        columns, thin = _latent.draw_rows(
            self.model_,
            int(n_samples),
            seed_of(self.random_state if random_state is None else random_state),
            asked,
            text,
            None if balance is None else str(balance),
            self._sampler(sampler),
            how,
        )
        for conditions_met, rows, effective in thin:
            warnings.warn(
                f"{conditions_met}: {effective:.0f} codes carry the {rows} rows, which resemble each other more than they should: "
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

    def inverse_transform(self, X: Any, y: Any = None, *, conditions: Conditions | None = None) -> Any:
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


class TVAE(TableVAE):
    """The usual autoencoder of tables, each column by itself given the code (Xu et al., arXiv 1907.00503). As `TableVAE`."""

    _preset = "tvae"


class TabSynVAE(TableVAE):
    """The autoencoder of TabSyn, a transformer over columns (Zhang et al., arXiv 2310.09656). As `TableVAE`."""

    _preset = "tabsyn-vae"


class HIVAE(TableVAE):
    """HI-VAE: gaps are left out of encoder and likelihood (Nazábal et al., arXiv 1807.03653). As `TableVAE`."""

    _preset = "hi-vae"


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


#: What a cell may be: whether from the first word to the second; else the first. None is a gap, or an open side.
_Cell = tuple[bool, "str | None", "str | None"]


def _asked(conditions: Mapping[Any, Any], schema: _frames.Schema) -> list[tuple[str, list[_Cell]]]:
    """Conditions as the engine has them: of each column what its cells may be, values written as the column's are."""
    known = {column.name: column for column in schema.columns}

    def cells(name: str, value: Any) -> list[_Cell]:
        # One that is not there is refused by the engine, which names the nearest.
        column = known.get(name, _frames.Column(name, None, "text", name))
        if isinstance(value, tuple):
            if len(value) != 2:
                raise ValueError(f"the condition {name}={value!r}: a range is (least, greatest)")
            least, greatest = (_side(column, side) for side in value)
            return [(True, least, greatest)]
        if isinstance(value, (list, set, frozenset)):
            return [cell for choice in value for cell in cells(name, choice)]
        return [(False, None if _frames.is_gap(value) else _frames.written(column, value), None)]

    return [(str(name), cells(str(name), value)) for name, value in conditions.items()]


def _side(column: _frames.Column, value: Any) -> str | None:
    """One end of a range; None where it is open."""
    if value is None or (isinstance(value, (float, np.floating)) and np.isinf(value)):
        return None
    if _frames.is_gap(value):
        raise ValueError(f"a range of column {column.name!r} ends in {value!r}: give None to leave a side open")
    return _frames.written(column, value)


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
            columns.append(_frames.Column(name, library.Int64Dtype() if dtype == "Int64" else dtype, "int", name))
        elif kind == "number":
            columns.append(_frames.Column(name, np.dtype(np.float64) if is_pandas else library.Float64, "float", name))
        else:
            # Dates keep the words of the file.
            columns.append(_frames.Column(name, np.dtype(object) if is_pandas else library.String, "text", name))
    return _frames.Schema(library.__name__, columns)
