"""Presets and settings, from the same source as the command's help."""

from __future__ import annotations

import json
import math
from typing import Any, NamedTuple

from . import _latent


class Preset(NamedTuple):
    """A paper's settings."""

    name: str
    about: str
    paper: str


class Setting(NamedTuple):
    """One key of a run."""

    key: str
    takes: str
    default: Any
    meaning: str
    kind: str | None


def presets() -> list[Preset]:
    """The papers that ship, as `latent presets` lists them."""
    return [Preset(*row) for row in _latent.presets()]


def settings(about: str = "") -> list[Setting]:
    """Every key that a run may have, as `latent settings` lists them: all, or those that begin with `about`.

    A key is set as a keyword argument of an estimator, with two underscores for each dot:
    ``VAE(train__batch=64, network__hidden=[200, 200])``.
    """
    found: list[Setting] = []
    for section in json.loads(_latent.settings()):
        members = [(None, section["settings"])]
        members += [(member["kind"], member["settings"]) for member in section["members"]]
        for kind, rows in members:
            for row in rows:
                key: str = row["key"]
                if about == "" or key == about or key.startswith(about + ".") or kind == about:
                    found.append(Setting(key, row["takes"], row.get("default"), row["meaning"], kind))
    if not found:
        raise ValueError(f"there is no setting {about!r}; latent.settings() lists all")
    return found


def toml(value: Any) -> str:
    """A Python value as the command would take it after `=`."""
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        value = value.item()
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if math.isnan(value):
            return "nan"
        if math.isinf(value):
            return "inf" if value > 0 else "-inf"
        return repr(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    if isinstance(value, dict):
        pairs = (f"{json.dumps(str(key))} = {toml(item)}" for key, item in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, str):
        # JSON's strings are TOML's, but for the character DEL.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    raise TypeError(f"a setting is a number, a text, a list or a dict, and {value!r} is a {type(value).__name__}")
