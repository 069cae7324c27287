"""What all estimators are: scikit-learn's methods over the engine; and `Autoencoder`, which takes any preset.

What is no parameter of the signature is set by key, two underscores for each dot: ``VAE(train__batch=64)``. `latent.settings()`
lists the keys. Presets under names of their own: `_presets`; tables of mixed columns: `_tables`.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from . import _data, _latent
from ._progress import Event, Listener, StopTraining, is_watched
from ._runs import Report, report_of
from ._samplers import Judged, Samplers, how_of
from ._settings import toml

try:
    from typing import Self
except ImportError:  # Python 3.10
    from typing import TypeVar

    Self = TypeVar("Self")  # type: ignore[misc, assignment]

Array = npt.NDArray[Any]
Conditions = Mapping[str, Any]

#: Presets whose model is told the class of each row.
TOLD_THE_CLASS = ("conditional-vae",)


class _Given(NamedTuple):
    """Settings as they were given: the dict, and those that were arguments."""

    settings: Any
    keys: dict[str, Any]


class Estimator(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """What all estimators are."""

    _preset: ClassVar[str | None] = None

    model_: _latent.Model
    history_: list[Event]
    notes_: list[str]
    seed_: int
    n_features_in_: int
    samplers_: Samplers | None

    def __init__(
        self,
        *,
        latent_dim: int | None = None,
        epochs: float | None = None,
        minutes: float | None = None,
        validation: float = 0.1,
        random_state: Any = None,
        layout: str = "auto",
        device: str = "cpu",
        progress: bool | str = "auto",
        settings: Mapping[str, Any] | None = None,
        **keys: Any,
    ) -> None:
        self.latent_dim = latent_dim
        self.epochs = epochs
        self.minutes = minutes
        self.validation = validation
        self.random_state = random_state
        self.layout = layout
        self.device = device
        self.progress = progress
        for name in keys:
            # scikit-learn's check gives every name of the signature, that of the rest too.
            if not _is_key(name) and name != "keys":
                raise TypeError(
                    f"{type(self).__name__} has no parameter {name!r}; its parameters are "
                    f"{', '.join(self._get_param_names())}, and any setting by its key, such as train__batch "
                    "(latent.settings() lists them)"
                )
        given = {name: value for name, value in keys.items() if _is_key(name)}
        self.settings = _Given(settings, given) if given else settings

    # scikit-learn knows parameters by the signature alone, and keeps nothing else of an estimator: settings that are given as
    # arguments stand beside the dict of that name.

    def _by_key(self) -> dict[str, Any]:
        """Settings by key, dots as two underscores."""
        own = self.settings
        settings, keys = (own.settings, own.keys) if isinstance(own, _Given) else (own, {})
        if not isinstance(settings, (Mapping, type(None))):
            raise ValueError(f"settings is {settings!r}: give a dict of keys, such as {{'train.batch': 64}}")
        return {str(name).replace(".", "__"): value for name, value in {**(settings or {}), **keys}.items()}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters by name, each setting that was given as an argument as one."""
        params: dict[str, Any] = super().get_params(deep=deep)
        if isinstance(self.settings, _Given):
            params.update(settings=self.settings.settings, **self.settings.keys)
        return params

    def set_params(self, **params: Any) -> Self:
        """Sets parameters and settings by name."""
        keys = {name: value for name, value in params.items() if _is_key(name)}
        before = self.settings.keys if isinstance(self.settings, _Given) else {}
        if isinstance(self.settings, _Given):
            self.settings = self.settings.settings
        try:
            super().set_params(**{name: value for name, value in params.items() if name not in keys and name != "keys"})
        finally:
            if before or keys:
                self.settings = _Given(self.settings, {**before, **keys})
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.three_d_array = True
        tags.target_tags.required = self._is_told_the_class()
        return tags

    # What the engine is asked for.

    def _the_preset(self) -> str | None:
        return self._preset

    def _own_settings(self) -> dict[str, Any]:
        """Settings that stand for parameters of the class."""
        return {}

    def _is_told_the_class(self) -> bool:
        try:
            named = self._by_key().get("data__condition")
        except ValueError:
            named = None
        return self._the_preset() in TOLD_THE_CLASS if named is None else "label" in named

    def _assignments(self, in_memory: bool) -> list[str]:
        asked: dict[str, Any] = {}
        if in_memory:
            # The rows are for training: what is held out for a test is the caller's own business.
            asked["data.validation"] = self.validation
            asked["data.test"] = 0.0
        if self.latent_dim is not None:
            asked["posterior.latent"] = self.latent_dim
        own = {name.replace("__", "."): value for name, value in self._by_key().items()}
        if self.epochs is not None:
            if "train.steps" not in own:
                # A preset may count steps; epochs then count in their place.
                asked["train.steps"] = 0
            asked["train.epochs"] = self.epochs
        if self.minutes is not None:
            asked["train.minutes"] = self.minutes
        asked["seed"] = self.seed_
        asked.update(self._own_settings())
        asked.update(own)
        return [f"{key}={toml(value)}" for key, value in asked.items()]

    # Rows.

    def _read(
        self, X: Any, y: Any = None, conditions: Conditions | None = None, *, reset: bool = False
    ) -> tuple[_latent.Rows, np.dtype[Any]]:
        """The engine's rows, and the type that they came in."""
        X = _data.array_of(X)
        frame = _data.frame_of(X)
        if frame is None and _axes(X) > 2:
            X = check_array(X, allow_nd=True, dtype="numeric", order="C", ensure_min_samples=2 if reset else 1)
            layout = _data.layout_of(X.shape, self.layout if reset else self.layout_)
            if reset:
                self.layout_ = layout
                self.n_features_in_ = int(np.prod(X.shape[1:]))
        else:
            X = validate_data(self, X, reset=reset, dtype="numeric", order="C", ensure_min_samples=2 if reset else 1)
            layout = "table"
            if reset:
                self.layout_ = layout
        if reset:
            self.frame_ = frame
            self.dtype_ = X.dtype
        given = X.dtype
        X = _data.to_engine(_data.readable(X), layout)
        columns = None
        if layout == "table" and getattr(self, "feature_names_in_", None) is not None:
            columns = [str(name) for name in self.feature_names_in_]
        labels = None
        if self._is_told_the_class():
            if y is None:
                raise ValueError(
                    f"{type(self).__name__} is told the class of each row, and requires y to be passed, but the target "
                    "y is None: give the classes as y"
                )
            labels = [str(label) for label in np.asarray(y).tolist()]
        told = [(name, np.asarray(values, dtype=float).tolist()) for name, values in (conditions or {}).items()]
        return _data.rows(X, columns, labels, told), given

    def _shown(self, values: Array) -> Any:
        """What the engine gives, as the user had it."""
        values = _data.to_user(values, self.layout_).astype(self.dtype_, copy=False)
        return _data.framed(self.frame_, values)

    def _codes_dtype(self, given: np.dtype[Any]) -> type[np.floating[Any]]:
        return np.float64 if given == np.float64 else np.float32

    # The methods.

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        conditions: Conditions | None = None,
        on_epoch: Callable[[Event], object] | None = None,
        init_from: str | os.PathLike[str] | None = None,
    ) -> Self:
        """Learns P(X).

        X is an array or a frame [n, features], images [n, h, w], [n, c, h, w] or [n, h, w, c], a tensor of torch, or what
        `latent train --data` takes: a folder, a file, a name. `validation` of the rows are held out for early stopping.
        y is read where the model is told the class of each row; `conditions` are further numbers by name.
        `on_epoch` hears a dict after each validation; where it returns False, training stops. `init_from` is a run to start from.

        Ctrl-C stops after the step under way: the model is that of the best weights so far, and KeyboardInterrupt is raised.
        """
        seed = seed_of(self.random_state)
        self.seed_ = seed
        if _data.is_path(X):
            data: Any = os.fspath(X)
            settings = self._assignments(in_memory=False)
        else:
            data, _ = self._read(X, y, conditions, reset=True)
            settings = self._assignments(in_memory=True)
        if conditions:
            names = (["label"] if self._is_told_the_class() else []) + list(conditions)
            settings.append(f"data.condition={toml(names)}")
        bar = is_watched() if self.progress == "auto" else bool(self.progress)
        listener = Listener(on_epoch, bar)
        try:
            model, failure = _latent.fit(
                data,
                settings,
                preset=self._the_preset(),
                device=self.device,
                init_from=None if init_from is None else os.fspath(init_from),
                tell=listener,
            )
        finally:
            listener.close()
        self._adopt(model, known=not _data.is_path(X))
        self.history_, self.notes_ = listener.history, listener.notes
        if failure is not None and not isinstance(failure, StopTraining):
            raise failure
        return self

    def _adopt(self, model: _latent.Model, known: bool) -> None:
        self.model_, self.samplers_ = model, None
        if known:
            return
        # What an array would have said.
        self.dtype_ = np.dtype(model.dtype)
        self.n_features_in_ = int(np.prod(model.shape))
        self.layout_ = {1: "table", 2: "hw", 3: "chw"}[len(model.shape)]
        self.frame_ = None
        if model.columns:
            self.feature_names_in_ = np.array(model.columns, dtype=object)

    @property
    def _n_features_out(self) -> int:
        return self.model_.dims

    def transform(self, X: Any, y: Any = None, *, conditions: Conditions | None = None) -> Array:
        """The codes of rows: the centre of q(z|x), [n, latent]. In double precision for rows in double precision."""
        check_is_fitted(self, "model_")
        rows, given = self._read(X, y, conditions)
        return self.model_.encode(rows)[0].astype(self._codes_dtype(given), copy=False)

    def posterior(self, X: Any, y: Any = None, *, conditions: Conditions | None = None) -> tuple[Array, Array | None]:
        """The centre of q(z|x) and its deviation, [n, latent] each; None where it has none."""
        check_is_fitted(self, "model_")
        return self.model_.encode(self._read(X, y, conditions)[0])

    def inverse_transform(self, X: Any, y: Any = None, *, conditions: Conditions | None = None) -> Any:
        """The mean of p(x|z) at codes [n, latent], in the units, the type and the order of axes of the data.

        y are the classes, where the model is told them, `conditions` what else it is told: one for all, or one a row.
        """
        check_is_fitted(self, "model_")
        z = np.ascontiguousarray(check_array(X, dtype=np.float32))
        told = dict(conditions or {})
        if self._is_told_the_class():
            if y is None and "label" not in told:
                raise ValueError("this model is told the class of each row: give the classes as y")
            if y is not None:
                told["label"] = y
        if not told:
            return self._shown(self.model_.decode(z))
        each = {str(name): np.broadcast_to(np.asarray(value, dtype=object), (len(z),)) for name, value in told.items()}
        rows = [[(name, str(values[i])) for name, values in each.items()] for i in range(len(z))]
        return self._shown(np.concatenate([self.model_.decode(z[i : i + 1], conditions=rows[i]) for i in range(len(z))]))

    def reconstruct(self, X: Any, y: Any = None, *, conditions: Conditions | None = None) -> Any:
        """g(f(x)) of each row."""
        check_is_fitted(self, "model_")
        return self._shown(self.model_.reconstruct(self._read(X, y, conditions)[0]))

    def sample(
        self,
        n_samples: int = 1,
        *,
        conditions: Mapping[str, Any] | None = None,
        random_state: Any = None,
        observe: str | None = None,
        sampler: str | None = None,
        temperature: float = 1.0,
        truncation: float | None = None,
        of_class: str | None = None,
        guidance: float = 1.0,
    ) -> Any:
        """New rows: a code from the sampler that `fit_sampler` judged the best, else from p(z); then the mean of p(x|z) for images and a draw
        of it for tables (`observe`). As `latent sample` draws them.

        `conditions` such as {"label": 3}; classes that are not given are drawn as the training rows had them. With
        `random_state` None the estimator's own is used: an int gives the same samples each time, as in scikit-learn.

        `sampler` is the name of one that was fitted, or "prior". A `temperature` below 1 draws more typical codes, `truncation`
        cuts their noise off. `of_class` draws codes of one class, where the sampler was fitted on labels. `guidance` above 1 makes
        stand out what tells a class or condition from others, 0 passes over it: flows alone.
        """
        check_is_fitted(self, "model_")
        if n_samples < 1:
            raise ValueError(f"n_samples is {n_samples}: give at least 1")
        seed = seed_of(self.random_state if random_state is None else random_state)
        told = [(name, str(value)) for name, value in (conditions or {}).items()]
        how = how_of(temperature, truncation, of_class, guidance)
        return self._shown(self.model_.sample(int(n_samples), seed, told, observe, self._sampler(sampler), how))

    def fit_sampler(
        self,
        X: Any = None,
        y: Any = None,
        *,
        conditions: Conditions | None = None,
        sampler: str = "auto",
        minutes: float | None = None,
        settings: Mapping[str, Any] | None = None,
        random_state: Any = None,
    ) -> Self:
        """Fits what `sample` draws codes from, on the codes of the rows that the model was fitted on (X as then; none where it was a
        path), as `latent fit-sampler`: "auto" fits several within `minutes` (2); a name, such as "gaussian-mixture" or
        "flow-matching", fits that one with its `settings`. Of all and the prior, `sample` draws from the one whose codes are told
        least from held-out ones, unless it is given another's name.

        `samplers_` shows those judged, `save` writes them into the run folder. Ctrl-C is heard when the fit is over.
        """
        check_is_fitted(self, "model_")
        seed = seed_of(self.random_state if random_state is None else random_state)
        rows = None if X is None else self._read(X, y, conditions)[0]
        table = toml({"kind": sampler, **(settings or {})})
        with tempfile.TemporaryDirectory() as run:
            if self._samplers() is not None:
                self._samplers().write(run)
            judged, failed = _latent.fit_sampler(self.model_, run, f"v = {table}", rows, minutes, seed)
            self.samplers_ = Samplers.of_run(run, [Judged(*row) for row in judged])
        for name, why in failed:
            warnings.warn(f"{name} was not fitted: {why}", stacklevel=2)
        return self

    def refine(
        self,
        X: Any = None,
        y: Any = None,
        *,
        minutes: float = 2.0,
        steps: int | None = None,
        weight: float = 0.5,
        sampler: str | None = None,
        random_state: Any = None,
    ) -> Self:
        """The decoder learns on, so that new images are sharper, as `latent refine`: from codes of the sampler that `sample` draws from,
        or of that name, against a critic of patches which sees the rows that the model was fitted on (X as then; none where it was a path).

        For `steps`, or else as many as `minutes` have; `weight` is what the critic counts. Codes and samplers stay what they are, and
        log p(x) is that of the new decoder, which was not trained for it. Images alone, and no model that is told of rows. Called
        again, it goes on. Ctrl-C leaves the model as it was.
        """
        check_is_fitted(self, "model_")
        seed = seed_of(self.random_state if random_state is None else random_state)
        rows = None if X is None else self._read(X, y, None)[0]
        codes = self._sampler(sampler) or _latent.Sampler.load(self.model_, "", "prior")
        how = (None if steps is None else int(steps), float(minutes), float(weight))
        self.model_ = _latent.refine(self.model_, codes, how, rows, seed)
        return self

    def _samplers(self) -> Any:
        return getattr(self, "samplers_", None)

    def _sampler(self, name: str | None) -> _latent.Sampler | None:
        """The sampler of that name, or else the chosen one; None for the prior."""
        if name == "prior" or (name is None and self._samplers() is None):
            return None
        if self._samplers() is None:
            raise ValueError(f"no sampler {name!r} was fitted: fit_sampler(X, sampler={name!r}) does")
        found: _latent.Sampler = self._samplers().open(self.model_, name)
        return found

    def score_samples(
        self, X: Any, y: Any = None, *, conditions: Conditions | None = None, draws: int = 100
    ) -> npt.NDArray[np.float64]:
        """log p(x) of each row in nats: a lower bound by `draws` importance samples, in the units of the data.

        A model without a density (`model_.lacks_density` says why) gives −distortion, the log-likelihood at the code. The noise
        of a row is keyed by what the row holds: a subset has the scores of the whole.
        """
        check_is_fitted(self, "model_")
        rows, _ = self._read(X, y, conditions)
        return self.model_.score(rows, draws, self.model_.seed)

    def score(self, X: Any, y: Any = None) -> float:
        """The mean of `score_samples`: what GridSearchCV maximises."""
        return float(np.mean(self.score_samples(X, y)))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a run folder, which `latent.load` and every command of `latent` read."""
        check_is_fitted(self, "model_")
        self.model_.save(os.fspath(path))
        if self._samplers() is not None:
            self._samplers().write(path)

    def export_onnx(
        self,
        encoder: str | os.PathLike[str],
        decoder: str | os.PathLike[str],
        sampler: str | os.PathLike[str] | None = None,
    ) -> None:
        """Writes x → code and code → x as ONNX files, in the units of the data, and noise → code of the sampler that `sample` draws
        from where `sampler` says where to; what has no graph is refused."""
        check_is_fitted(self, "model_")
        drawn = None
        if sampler is not None:
            drawn = (self._sampler(None) or Samplers({}).open(self.model_, "prior")).onnx(self.model_)
        self.model_.export_onnx(os.fspath(encoder), os.fspath(decoder))
        if sampler is not None and drawn is not None:
            Path(sampler).write_bytes(drawn)

    def plot_codes(self, X: Any, y: Any = None) -> _latent.Figure:
        """A map of the codes of rows, coloured by y; beyond two dimensions their first two principal components."""
        check_is_fitted(self, "model_")
        labels = None if y is None else [str(label) for label in np.asarray(y).tolist()]
        return self.model_.plot_codes(self._read(X, y)[0], labels)

    def plot_samples(self, n_samples: int = 64, *, random_state: Any = None) -> _latent.Figure:
        """A grid of new images."""
        check_is_fitted(self, "model_")
        seed = seed_of(self.random_state if random_state is None else random_state)
        return self.model_.plot_samples(n_samples, seed, sampler=self._sampler(None))

    def report(
        self, X: Any = None, y: Any = None, *, path: str | os.PathLike[str] | None = None
    ) -> Report:
        """The report of the run, with verdicts and pictures; a notebook shows it. X are the rows that it was fitted on.

        `path` is where the run folder is kept; by default it is thrown away once the page is read.
        """
        check_is_fitted(self, "model_")
        rows = None if X is None else self._read(X, y)[0]
        return report_of(self.model_, rows, path)


class Autoencoder(Estimator):
    """Any preset of the engine, or none: then likelihood and network follow from the data.

    Parameters
    ----------
    preset: a paper's settings to start from (`latent.presets()`).
    latent_dim: dimensions of the code; by default the preset's, or what suits the data.
    epochs, minutes: how long to train; by default as the preset has it.
    validation: the share of the rows that is held out for early stopping.
    random_state: what weights and noise descend from.
    layout: the order of axes of images, "chw" or "hwc", where it cannot be seen.
    device: "cpu", "auto", or a name of `latent.devices()`.
    progress: whether to show a bar; "auto" in terminals and notebooks.
    settings: any keys of `latent.settings()`, as a dict; or each as an argument, two underscores for each dot.
    """

    def __init__(
        self,
        preset: str | None = None,
        *,
        latent_dim: int | None = None,
        epochs: float | None = None,
        minutes: float | None = None,
        validation: float = 0.1,
        random_state: Any = None,
        layout: str = "auto",
        device: str = "cpu",
        progress: bool | str = "auto",
        settings: Mapping[str, Any] | None = None,
        **keys: Any,
    ) -> None:
        self.preset = preset
        super().__init__(
            latent_dim=latent_dim,
            epochs=epochs,
            minutes=minutes,
            validation=validation,
            random_state=random_state,
            layout=layout,
            device=device,
            progress=progress,
            settings=settings,
            **keys,
        )

    def _the_preset(self) -> str | None:
        return self.preset


def _is_key(name: str) -> bool:
    return "__" in name or "." in name


def _axes(X: Any) -> int:
    return int(X.ndim) if hasattr(X, "ndim") else np.asarray(X).ndim if isinstance(X, (list, tuple)) else 2


def seed_of(random_state: Any) -> int:
    """A seed of the engine from what scikit-learn takes as a random state."""
    if random_state is None:
        return int.from_bytes(os.urandom(4), "little")
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(np.iinfo(np.int32).max))
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(np.iinfo(np.int32).max))
    seed = int(random_state)
    if seed < 0:
        raise ValueError(f"random_state is {seed}: give a whole number from 0, a RandomState, or None")
    return seed
