"""Every estimator is one of scikit-learn's: its own checks, and its tools."""

import pickle
import threading
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import latent

#: Short enough for some fifty fits; the papers' widths and days would test nothing more.
QUICK = {"epochs": 2, "network__hidden": [8], "progress": False, "latent_dim": 2}
IMAGES = {"epochs": 2, "latent_dim": 2, "progress": False}
EVERY = [
    latent.Autoencoder(epochs=2, progress=False),
    latent.AE(**QUICK),
    latent.VAE(**QUICK),
    latent.BetaVAE(**IMAGES),
    latent.AnnealedVAE(**IMAGES),
    latent.BetaTCVAE(**IMAGES),
    latent.FactorVAE(**IMAGES),
    latent.DIPVAEI(**IMAGES),
    latent.DIPVAEII(**IMAGES),
    latent.InfoVAE(**QUICK),
    latent.SigmaVAE(**IMAGES),
    latent.LinearVAE(**IMAGES),
    latent.VampVAE(**QUICK, prior__components=4),
    latent.IAFVAE(epochs=2, progress=False, network__hidden=[8], posterior__hidden=[8], posterior__context=4),
    latent.IWAE(**QUICK),
    latent.MIWAE(**QUICK),
    latent.PIWAE(**QUICK),
    latent.CIWAE(**QUICK),
    latent.WAE(**IMAGES),
    latent.WAEGAN(**IMAGES),
    latent.SlicedWAE(**QUICK),
    latent.AAE(**QUICK),
    latent.VQVAE(**IMAGES, posterior__codes=4),
    latent.BitAE(**QUICK),
    latent.TableVAE(**IMAGES, network__width=8, likelihood__width=8),
    latent.TVAE(**IMAGES),
    latent.TabSynVAE(epochs=2, progress=False),
    latent.HIVAE(**IMAGES),
]


@parametrize_with_checks(EVERY)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


def test_every_class_is_checked():
    classes = {getattr(latent, name) for name in latent.__all__ if isinstance(getattr(latent, name), type)}
    estimators = {one for one in classes if hasattr(one, "fit")}
    # A conditional model is told the class in transform too, which no transformer of scikit-learn is.
    assert estimators - {type(one) for one in EVERY} == {latent.ConditionalVAE}


def test_every_preset_has_a_class_or_is_named_in_the_documentation():
    said = (Path(__file__).parents[2] / "docs" / "python.md").read_text()
    classes = {getattr(latent, name) for name in latent.__all__ if isinstance(getattr(latent, name), type)}
    own = {one._preset for one in classes if hasattr(one, "_preset")}
    names = {preset.name for preset in latent.presets()}
    assert own - {None} <= names
    assert all(f"`{name}`" in said for name in names - own), names - own
    assert all(f"`{one.__name__}`" in said for one in classes if hasattr(one, "fit"))


def test_pipeline_grid_search_and_scores(circle):
    pipeline = Pipeline([("scale", StandardScaler()), ("vae", latent.VAE(**{**QUICK, "random_state": 0}))])
    grid = {"vae__latent_dim": [1, 2], "vae__train__batch": [32]}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(circle)
    assert search.best_params_["vae__train__batch"] == 32
    assert search.best_estimator_.transform(circle).shape == (300, search.best_params_["vae__latent_dim"])
    assert np.isfinite(cross_val_score(pipeline, circle, cv=2)).all()


def test_clone_takes_settings_and_no_model(circle):
    vae = latent.VAE(**QUICK, train__batch=16).fit(circle)
    twin = clone(vae)
    assert twin.get_params() == vae.get_params() and not hasattr(twin, "model_")
    assert "train__batch=16" in repr(vae)


def test_a_pickle_holds_the_model_file_and_no_code(circle, tmp_path):
    vae = latent.VAE(**QUICK, random_state=3).fit(circle)
    data = pickle.dumps(vae)
    assert vae.model_.to_bytes() in data
    joblib.dump(vae, tmp_path / "vae.joblib")
    for twin in [pickle.loads(data), joblib.load(tmp_path / "vae.joblib")]:
        assert np.array_equal(twin.transform(circle), vae.transform(circle))
        assert np.array_equal(twin.sample(5), vae.sample(5))


def test_joblib_threads_and_processes(circle):
    fit = joblib.delayed(lambda seed: latent.VAE(**QUICK, random_state=seed).fit(circle).model_.to_bytes())
    apart = [latent.VAE(**QUICK, random_state=seed).fit(circle).model_.to_bytes() for seed in (0, 1)]
    for how in ("threading", "loky"):
        assert joblib.Parallel(n_jobs=2, backend=how)(fit(seed) for seed in (0, 1)) == apart


def test_two_threads_give_what_each_gives_alone(circle):
    def fit(seed):
        return latent.VAE(**{**QUICK, "epochs": 20}, random_state=seed).fit(circle).model_.to_bytes()

    alone, together = {seed: fit(seed) for seed in (1, 2)}, {}
    threads = [threading.Thread(target=lambda s=s: together.update({s: fit(s)})) for s in (1, 2)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert together == alone


def test_it_finds_what_pca_finds():
    """On the data of a linear model the linear VAE's codes span the principal plane (Lucas et al. 2019)."""
    rng = np.random.default_rng(2)
    X = rng.normal(size=(600, 2)) @ rng.normal(size=(2, 6)) * 3 + 0.1 * rng.normal(size=(600, 6))
    vae = latent.LinearVAE(latent_dim=2, epochs=200, random_state=0, progress=False, train__optimizer__learning_rate=0.02).fit(X)
    ours, theirs = vae.reconstruct(X), PCA(2).fit(X)
    theirs = theirs.inverse_transform(theirs.transform(X))
    assert np.mean((ours - X) ** 2) < 0.02 * X.var()
    assert np.mean((ours - theirs) ** 2) < 0.02 * X.var()


@pytest.mark.parametrize("state", [np.random.RandomState(4), np.random.default_rng(4), 4, np.int64(4), None])
def test_random_states(circle, state):
    assert latent.VAE(**QUICK, random_state=state).fit(circle).transform(circle).shape == (300, 2)
