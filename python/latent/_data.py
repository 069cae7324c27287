"""What people hold, as the engine's rows: arrays and tensors, images in any order of axes, frames, paths.

The engine reads a C-contiguous array of float32, float64, uint8 or uint16 where it lies. Everything else is copied once: other
types, strided arrays, images with the channels last, and frames (whose columns lie apart).
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from . import _latent

#: Types that are read without a copy.
READ_AS_THEY_ARE = ("float32", "float64", "uint8", "uint16")


class Frame(NamedTuple):
    """What kind of frame rows came in, so that others can be given back like it."""

    library: str
    columns: list[Any]
    dtypes: list[Any]


def is_path(X: object) -> bool:
    """Whether the rows lie in a file or have a name."""
    return isinstance(X, (str, os.PathLike))


def frame_of(X: Any) -> Frame | None:
    """What frame this is: pandas, polars, or none."""
    library = type(X).__module__.split(".")[0]
    if library not in ("pandas", "polars") or not hasattr(X, "columns"):
        return None
    dtypes = list(X.dtypes)
    return Frame(library, list(X.columns), dtypes)


def framed(frame: Frame | None, values: npt.NDArray[Any]) -> Any:
    """Values as the frame that the model was fitted on."""
    if frame is None:
        return values
    if frame.library == "pandas":
        import pandas

        found = pandas.DataFrame(values, columns=frame.columns)
        types = {name: dtype for name, dtype in zip(frame.columns, frame.dtypes)}
        return found.astype(types)
    import polars

    columns = {name: values[:, at] for at, name in enumerate(frame.columns)}
    return polars.DataFrame(columns).cast(dict(zip(frame.columns, frame.dtypes)))


def array_of(X: Any) -> Any:
    """A tensor of torch as the numpy array that shares its memory; everything else as it is."""
    if type(X).__module__.split(".")[0] == "torch":
        return X.detach().cpu().numpy()
    return X


def readable(X: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The same in a type and an order that the engine reads; itself where it is so already."""
    if X.dtype.name not in READ_AS_THEY_ARE or not X.dtype.isnative:
        if X.dtype == np.bool_:
            X = X.astype(np.uint8)
        elif X.dtype == np.float16:
            X = X.astype(np.float32)
        else:
            X = X.astype(np.float64)
    return np.ascontiguousarray(X)


def layout_of(shape: tuple[int, ...], layout: str) -> str:
    """The order of axes of images: "hw", "chw" or "hwc"."""
    if len(shape) == 3:
        return "hw"
    if layout != "auto":
        if layout not in ("chw", "hwc"):
            raise ValueError(f"layout is {layout!r}: give 'auto', 'chw' or 'hwc'")
        return layout
    first, last = shape[1] <= 4, shape[3] <= 4
    if first and not last:
        return "chw"
    if last and not first:
        return "hwc"
    raise ValueError(
        f"images of shape {shape}: {'the second or the last' if first else 'no'} axis looks like channels (1 to 4); "
        "say which with layout='chw' or layout='hwc'"
    )


def to_engine(X: npt.NDArray[Any], layout: str) -> npt.NDArray[Any]:
    """Images with the channels first."""
    return np.ascontiguousarray(np.moveaxis(X, 3, 1)) if layout == "hwc" else X


def to_user(values: npt.NDArray[Any], layout: str) -> npt.NDArray[Any]:
    """What the engine gives ([n, h, w] or [n, c, h, w]) in the order of axes that the user has."""
    if layout in ("chw", "hwc") and values.ndim == 3:
        values = values[:, None]
    return np.moveaxis(values, 1, 3) if layout == "hwc" else values


def rows(
    X: npt.NDArray[Any],
    columns: list[str] | None = None,
    labels: list[str] | None = None,
    conditions: list[tuple[str, list[float]]] | None = None,
) -> _latent.Rows:
    """The engine's rows of an array that it can read."""
    return _latent.Rows(X, columns=columns, labels=labels, conditions=conditions)
