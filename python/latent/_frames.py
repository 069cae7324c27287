"""Frames of pandas and polars as columns of words, and back with their dtypes.

The engine reads a mixed table as words, as a csv file has them: each different word once, and which of them each row has. So a
column is factorised by its own library, its different values are written as words, and words become values of its dtype again.

Anything else that speaks the Arrow PyCapsule interface (`__arrow_c_stream__`: pyarrow, duckdb, …) is read through polars or
pyarrow, whichever is there: reading the capsule ourselves would be some hundred lines of unsafe code for nothing more.
"""

from __future__ import annotations

import datetime
import zoneinfo
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

#: A column as the engine has it: name, different words ("" for a gap), the place of each row's.
Words = tuple[str, list[str], npt.NDArray[np.uint32]]


class Column(NamedTuple):
    """What a column was: its name and dtype, and how its values are read and written."""

    name: str
    dtype: Any
    kind: str
    #: The name as the frame has it, which may be a number.
    label: Any


class Schema(NamedTuple):
    """What a frame was, so that others can be made like it."""

    library: str
    columns: list[Column]

    def only(self, names: list[str]) -> Schema:
        """The columns of these names, in their order here."""
        return Schema(self.library, [column for column in self.columns if column.name in names])


def as_frame(X: Any) -> Any:
    """A frame of pandas or polars; other tables of Arrow through a library that is there."""
    library = type(X).__module__.split(".")[0]
    if library in ("pandas", "polars") and hasattr(X, "columns") and hasattr(X, "dtypes"):
        return X
    if hasattr(X, "__arrow_c_stream__"):
        try:
            import polars

            return polars.DataFrame(X)
        except ImportError:
            pass
        try:
            import pyarrow

            return pyarrow.table(X).to_pandas()
        except ImportError:
            raise ValueError(
                f"a {type(X).__name__} is read through Arrow, which needs polars or pyarrow: pip install polars"
            ) from None
    return None


def schema_of(frame: Any) -> Schema:
    """The dtypes of a frame; what has no place in a table of words is refused by name."""
    library = type(frame).__module__.split(".")[0]
    kind = _pandas_kind if library == "pandas" else _polars_kind
    names = _names(frame)
    if library == "numpy":
        return Schema(library, [Column(name, frame.dtype, "float", name) for name in names])
    if len(set(names)) != len(names):
        raise ValueError(f"two columns have one name: {names}")
    columns = zip(names, _series(frame), frame.columns)
    return Schema(library, [Column(name, series.dtype, kind(name, series), label) for name, series, label in columns])


def _names(frame: Any) -> list[str]:
    """The names of columns; those of an array are made up, as scikit-learn's."""
    if isinstance(frame, np.ndarray):
        return [f"x{at}" for at in range(frame.shape[1])]
    return [str(name) for name in frame.columns]


def _series(frame: Any) -> list[Any]:
    if isinstance(frame, np.ndarray):
        return [frame[:, at] for at in range(frame.shape[1])]
    if type(frame).__module__.split(".")[0] == "pandas":
        return [frame.iloc[:, at] for at in range(frame.shape[1])]
    return [frame[name] for name in frame.columns]


def _refused(name: str, what: object) -> ValueError:
    return ValueError(
        f"column {name!r} holds {what}, which has no place in a table of numbers, words, categories, booleans and dates: "
        "cast or drop it"
    )


def _pandas_kind(name: str, series: Any) -> str:
    import pandas

    types = pandas.api.types
    dtype = series.dtype
    if isinstance(dtype, pandas.CategoricalDtype):
        return "category"
    if types.is_bool_dtype(dtype):
        return "bool"
    if types.is_integer_dtype(dtype):
        return "int"
    if types.is_float_dtype(dtype):
        return "float"
    if types.is_datetime64_any_dtype(dtype):
        return "time"
    if types.is_timedelta64_dtype(dtype) or types.is_complex_dtype(dtype):
        raise _refused(name, dtype)
    some = series.dropna()
    if len(some) == 0 or all(isinstance(value, str) for value in some):
        return "text"
    if all(isinstance(value, (bool, np.bool_)) for value in some):
        return "bool"
    if all(type(value) is datetime.date for value in some):
        return "date"
    raise _refused(name, sorted({type(value).__name__ for value in some}))


def _polars_kind(name: str, series: Any) -> str:
    import polars

    dtype = series.dtype
    if dtype == polars.Boolean:
        return "bool"
    if dtype.is_integer():
        return "int"
    if dtype in (polars.Float32, polars.Float64):
        return "float"
    if dtype == polars.Date:
        return "date"
    if dtype == polars.Datetime:
        return "time"
    if dtype == polars.String or dtype == polars.Null:
        return "text"
    if dtype in (polars.Categorical, polars.Enum):
        return "category"
    raise _refused(name, dtype)


def _word(column: Column) -> Callable[[Any], str]:
    """How a value is written."""
    short = _short(column.dtype)

    def number(value: Any) -> str:
        # As few digits as tell it from its neighbours of that precision.
        text = repr(float(value)) if short is None else str(short(value))
        return text[:-2] if text.endswith(".0") else text

    def time(value: Any) -> str:
        if getattr(value, "tzinfo", None) is not None:
            value = value.astimezone(datetime.timezone.utc)
        return str(value.strftime("%Y-%m-%d %H:%M:%S.%f"))

    words: dict[str, Callable[[Any], str]] = {
        "float": number,
        "time": time,
        "date": lambda value: str(value.isoformat()),
        "bool": lambda value: "true" if value else "false",
    }
    return words.get(column.kind, lambda value: str(value))


def _short(dtype: Any) -> Callable[[Any], Any] | None:
    """The type of numbers that have fewer digits than Python's."""
    name = str(dtype).lower()
    return np.float32 if name == "float32" else np.float16 if name == "float16" else None


def written(column: Column, value: Any) -> str:
    """A value that a person gives of a column; texts are taken as they are, dates as ISO has them, times without a zone in the
    column's."""
    if isinstance(value, (bool, np.bool_)) and column.kind != "category":
        return "true" if value else "false"
    if isinstance(value, np.datetime64):
        value = value.astype("datetime64[us]").item()
    try:
        if column.kind == "time":
            return _word(column)(_in_zone(column, value))
        return value if isinstance(value, str) else _word(column)(value)
    except (ValueError, TypeError, AttributeError) as error:
        kinds = {"time": "time", "date": "date", "float": "number", "int": "number"}
        what = f"{value!r} is no {kinds.get(column.kind, column.kind)}, and column {column.name!r} holds such"
        raise ValueError(f"{what}: {error}" if isinstance(error, _Zoned) else what) from None


class _Zoned(ValueError):
    """A time with a zone for a column without one."""


def _in_zone(column: Column, value: Any) -> datetime.datetime:
    """A time of the column's zone, or of none where it has none."""
    if isinstance(value, str):
        value = datetime.datetime.fromisoformat(value)
    elif not isinstance(value, datetime.datetime):
        value = datetime.datetime.combine(value, datetime.time())
    zone = getattr(column.dtype, "tz", None) or getattr(column.dtype, "time_zone", None)
    if zone is None and value.tzinfo is not None:
        raise _Zoned("its times have no zone; give one without")
    if zone is not None and value.tzinfo is None:
        if isinstance(zone, str):
            zone = zoneinfo.ZoneInfo(zone)
        # Zones of pytz know their own offsets only so.
        value = zone.localize(value) if hasattr(zone, "localize") else value.replace(tzinfo=zone)
    return value  # type: ignore[no-any-return]


def is_gap(value: Any) -> bool:
    """Whether a person means an empty cell: None, NaN, NaT, NA, an empty text."""
    if value is None or (isinstance(value, str) and value == ""):
        return True
    if isinstance(value, (float, np.floating)):
        return bool(np.isnan(value))
    return type(value).__name__ in ("NaTType", "NAType") or (isinstance(value, np.datetime64) and bool(np.isnat(value)))


def words_of(frame: Any, schema: Schema) -> list[Words]:
    """The columns of a frame as words; those that the schema has, in its order."""
    by_name = dict(zip(_names(frame), _series(frame)))
    found = []
    for column in schema.columns:
        name = column.name
        if name not in by_name:
            raise ValueError(f"the frame has no column {name!r}, which the model knows: it has {', '.join(by_name)}")
        values, of = _factorised(by_name[name], schema.library)
        if column.kind == "float" and any(np.isinf(value) for value in values):
            raise ValueError(f"column {name!r} holds infinity: give a number, or leave it empty")
        word = _word(column)
        words = [word(value) for value in values]
        # Values that are written alike are one word; an empty text is a gap.
        unique: dict[str, int] = {}
        places = np.array([unique.setdefault(text, len(unique)) for text in words] + [0], dtype=np.int64)
        if (of < 0).any():
            places[-1] = unique.setdefault("", len(unique))
        found.append((name, list(unique), np.ascontiguousarray(places[of], dtype=np.uint32)))
    return found


def _factorised(series: Any, library: str) -> tuple[list[Any], npt.NDArray[np.int64]]:
    """Different values in the order in which they came, and each row's place among them: −1 for a gap."""
    if library == "numpy":
        values, of = np.unique(series, return_inverse=True)
        gap = np.isnan(values.astype(float))
        return list(values[~gap]), np.where(gap[of], -1, of)
    if library == "pandas":
        import pandas

        of, values = pandas.factorize(series)
        return list(values), np.asarray(of, dtype=np.int64)
    import polars

    name = "value"
    if series.dtype.is_float():
        series = series.fill_nan(None)
    series = series.alias(name)
    distinct = series.drop_nulls().unique(maintain_order=True)
    places = polars.DataFrame({name: distinct, "place": np.arange(len(distinct), dtype=np.int64)})
    joined = polars.DataFrame({name: series, "row": np.arange(len(series))}).join(places, on=name, how="left").sort("row")
    return distinct.to_list(), joined["place"].fill_null(-1).to_numpy()


def frame_from(columns: list[Words], schema: Schema) -> Any:
    """A frame like the one that the schema is of, from words."""
    known = {column.name: column for column in schema.columns}
    series = {name: series_from(known[name], schema.library, words, of) for name, words, of in columns if name in known}
    order = [column.name for column in schema.columns if column.name in series]
    if schema.library == "numpy":
        return np.column_stack([series[name] for name in order])
    if schema.library == "pandas":
        import pandas

        frame = pandas.DataFrame({name: series[name] for name in order})
        return frame.set_axis([known[name].label for name in order], axis=1)
    import polars

    return polars.DataFrame([series[name] for name in order])


def _value(column: Column) -> Callable[[str], Any]:
    """How a word is read."""

    def time(word: str) -> Any:
        value = datetime.datetime.fromisoformat(word)
        zone = getattr(column.dtype, "tz", None) or getattr(column.dtype, "time_zone", None)
        return value.replace(tzinfo=datetime.timezone.utc) if zone else value

    values: dict[str, Callable[[str], Any]] = {
        "int": lambda word: int(float(word)) if "e" in word or "." in word else int(word),
        "float": float,
        "bool": lambda word: word == "true",
        "date": datetime.date.fromisoformat,
        "time": time,
    }
    return values.get(column.kind, str)


def series_from(column: Column, library: str, words: list[str], of: npt.NDArray[np.uint32]) -> Any:
    """One column of the frame's dtype: its different values are made once, and taken by place."""
    value = _value(column)
    values = [None if word == "" else value(word) for word in words]
    if library == "numpy":
        numbers = np.array([np.nan if one is None else one for one in values])
        return (np.round(numbers) if column.dtype.kind in "iu" else numbers).astype(column.dtype)[of]
    if library == "pandas":
        import pandas

        dtype = column.dtype
        if isinstance(dtype, pandas.CategoricalDtype):
            # Categories that are no text are found by how they are written.
            of_word = {str(category): category for category in dtype.categories}
            _are_categories(column, words, list(of_word))
            values = [None if word == "" else of_word[word] for word in words]
        zone = getattr(dtype, "tz", None)
        if column.kind == "time":
            distinct = pandas.Series(pandas.to_datetime(values, utc=zone is not None))
            distinct = (distinct.dt.tz_convert(zone) if zone is not None else distinct).astype(dtype)
        else:
            if None in values and column.kind in ("int", "bool") and isinstance(dtype, np.dtype) and dtype != object:
                raise ValueError(f"column {column.name!r} is {dtype}, which knows no gaps, and has one")
            distinct = pandas.Series(values, dtype=object).astype(dtype)
        taken = distinct.take(np.asarray(of, dtype=np.int64)).reset_index(drop=True)
        return taken.rename(column.name)
    import polars

    zone = getattr(column.dtype, "time_zone", None)
    if column.kind == "time" and zone is not None:
        made = polars.Series(column.name, values, dtype=polars.Datetime(column.dtype.time_unit, "UTC"))
        distinct = made.dt.convert_time_zone(zone)
    else:
        if isinstance(column.dtype, polars.Enum):
            _are_categories(column, words, column.dtype.categories.to_list())
        distinct = polars.Series(column.name, values, dtype=column.dtype)
    return distinct.gather(np.asarray(of, dtype=np.int64))


def _are_categories(column: Column, words: list[str], known: list[str]) -> None:
    """Refuses words that the dtype of a column has no category for."""
    foreign = [word for word in words if word != "" and word not in known]
    if foreign:
        raise ValueError(
            f"column {column.name!r}: the model draws {foreign[0]!r}, which is no category of this frame's dtype ({', '.join(known)}): "
            "give the column the categories that the model was fitted on"
        )


def gaps(series: Any, library: str) -> npt.NDArray[np.bool_]:
    """Which cells are empty."""
    if library == "numpy":
        return np.asarray(np.isnan(np.asarray(series, dtype=float)), dtype=bool)
    if library == "pandas":
        return np.asarray(series.isna(), dtype=bool)
    empty = series.is_null()
    if series.dtype.is_float():
        empty = empty | series.is_nan().fill_null(False)
    return np.asarray(empty.to_numpy(), dtype=bool)


def filled(frame: Any, columns: list[Words], schema: Schema) -> Any:
    """A frame with its gaps filled from words of whole columns; every other cell, and its index, as it is."""
    known = {column.name: column for column in schema.columns}
    made = {name: series_from(known[name], schema.library, words, of) for name, words, of in columns}
    result = frame if schema.library == "polars" else frame.copy()
    for name, series in zip(_names(frame), _series(frame)):
        other = made.get(name)
        empty = gaps(series, schema.library)
        if other is None or not empty.any():
            continue
        if schema.library == "numpy":
            result[empty, int(name[1:])] = other[empty]
        elif schema.library == "pandas":
            other.index = series.index
            result[series.name] = series.where(~empty, other).astype(series.dtype)
        else:
            import polars

            result = result.with_columns(series.zip_with(polars.Series(~empty), other))
    return result
