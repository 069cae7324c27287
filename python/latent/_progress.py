"""What is heard while a model is trained: a progress bar where tqdm is there, and the caller's own function."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

Event = dict[str, Any]


def is_watched() -> bool:
    """Whether somebody looks: a terminal, or a notebook."""
    return sys.stderr.isatty() or "ipykernel" in sys.modules


class Listener:
    """Takes the engine's events."""

    def __init__(self, on_epoch: Callable[[Event], object] | None, bar: bool) -> None:
        self.notes: list[str] = []
        self.history: list[Event] = []
        self._on_epoch = on_epoch
        self._wanted = bar
        self._bar: Any = None
        self._total = 0

    def __call__(self, event: Event) -> None:
        kind = event.pop("event")
        if kind == "note":
            self.notes.append(event["text"])
        elif kind == "begin":
            self._begin(event)
        elif kind == "step":
            self._show(event)
        elif kind == "epoch":
            event["total"] = self._total
            self._show(event)
            self.history.append(event)
            if self._on_epoch is not None and self._on_epoch(dict(event)) is False:
                raise StopTraining

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()

    def _begin(self, event: Event) -> None:
        self._total = event["total"]
        if not self._wanted:
            return
        try:
            from tqdm.auto import tqdm
        except ImportError:
            return
        self._bar = tqdm(total=event["total"], initial=event["step"], unit="step", leave=False)

    def _show(self, event: Event) -> None:
        if self._bar is None:
            return
        self._bar.update(event["step"] - self._bar.n)
        for split in ("validation", "train"):
            loss = (event.get(split) or {}).get("loss")
            if loss is not None:
                self._bar.set_postfix_str(f"{split} loss {loss:.4g}", refresh=False)
                break


class StopTraining(Exception):
    """`on_epoch` returned False: training stops, and what is kept is kept."""
