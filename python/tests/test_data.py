"""Arrays in, arrays out: shapes, types, orders of axes, frames, tensors, paths."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from conftest import bright_squares

import latent

QUICK = {"epochs": 1, "latent_dim": 2, "random_state": 0, "progress": False}


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
def test_tables_keep_type_and_units(circle, dtype):
    X = (circle * 10).astype(dtype)
    vae = latent.VAE(**QUICK).fit(X)
    Z = vae.transform(X)
    assert Z.dtype == (np.float32 if dtype == np.float32 else np.float64 if dtype == np.float64 else Z.dtype)
    for given in (vae.inverse_transform(Z), vae.sample(40), vae.reconstruct(X)):
        assert given.dtype == dtype and given.shape[1] == 3
    assert 300 < np.abs(vae.sample(200)[:, 0]).max() < 10000


@pytest.mark.parametrize("layout", ["hw", "chw", "hwc"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_images_in_any_order_of_axes(layout, dtype):
    images = bright_squares(80, 1 if layout == "hw" else 3)
    X = {"hw": images[:, 0], "chw": images, "hwc": np.moveaxis(images, 1, 3)}[layout]
    X = X if dtype == np.uint8 else (X / 255).astype(dtype)
    vae = latent.VAE(**QUICK).fit(X)
    for given in (vae.reconstruct(X), vae.inverse_transform(vae.transform(X))):
        assert given.shape == X.shape and given.dtype == dtype
    assert vae.sample(3).shape == (3, *X.shape[1:])
    if layout == "hwc":
        same = latent.VAE(**QUICK).fit(np.ascontiguousarray(np.moveaxis(X, 3, 1)))
        assert same.model_.to_bytes() == vae.model_.to_bytes()


def test_images_whose_channels_are_anyones_guess():
    X = np.zeros((10, 3, 4, 3), np.uint8)
    with pytest.raises(ValueError, match="layout='chw' or layout='hwc'"):
        latent.VAE(**QUICK).fit(X)


def test_arrays_are_read_where_they_lie(circle):
    X = np.ascontiguousarray(circle, dtype=np.float32)
    rows = latent._latent.Rows(X)
    assert X.base is None and len(rows) == 300
    import sys

    before = sys.getrefcount(X)
    del rows
    assert sys.getrefcount(X) == before - 1, "the rows hold the array itself"
    fortran, strided = np.asfortranarray(circle), np.repeat(circle, 2, 0)[::2]
    models = {latent.VAE(**QUICK).fit(Y).model_.to_bytes() for Y in (circle, fortran, strided)}
    assert len(models) == 1, "the order in memory changes nothing"


def test_frames_come_back_as_frames(circle):
    frame = pd.DataFrame({"a": circle[:, 0], "b": circle[:, 1].astype(np.float32), "n": np.arange(300) % 7})
    for X, kind in ((frame, pd.DataFrame), (pl.from_pandas(frame), pl.DataFrame)):
        vae = latent.VAE(**QUICK).fit(X)
        new = vae.sample(50)
        assert isinstance(new, kind) and list(new.columns) == ["a", "b", "n"]
        assert [str(a) for a in new.dtypes] == [str(a) for a in X.dtypes]
        assert list(vae.feature_names_in_) == ["a", "b", "n"]
        assert list(vae.get_feature_names_out()) == ["vae0", "vae1"]
    with pytest.raises(ValueError, match="feature names"):
        vae.transform(pd.DataFrame(circle, columns=["a", "c", "n"]))
    assert isinstance(vae.set_output(transform="pandas").transform(X), pd.DataFrame)


def test_tensors_of_torch(circle):
    torch = pytest.importorskip("torch")
    X = torch.tensor(circle, dtype=torch.float32)
    a, b = latent.VAE(**QUICK).fit(X), latent.VAE(**QUICK).fit(X.numpy())
    assert a.model_.to_bytes() == b.model_.to_bytes()


def test_paths_and_names():
    vae = latent.VAE(**QUICK, data__limit=200, network__hidden=[16]).fit("embedded")
    assert vae.sample(2).shape == (2, 28, 28) and vae.sample(2).dtype == np.uint8
    assert vae.transform(np.zeros((1, 28, 28), np.uint8)).shape == (1, 2)


def test_conditions(squares):
    y = np.array(["left", "right"])[np.arange(120) % 2]
    cvae = latent.ConditionalVAE(epochs=1, random_state=0, progress=False).fit(squares, y)
    assert cvae.sample(3, conditions={"label": "left"}).shape == (3, 8, 8)
    Z = cvae.transform(squares, y)
    assert cvae.inverse_transform(Z, y).shape == squares.shape
    with pytest.raises(ValueError, match="lefft|left"):
        cvae.sample(3, conditions={"label": "lefft"})
    with pytest.raises(ValueError, match="requires y"):
        cvae.transform(squares)
    told = latent.VAE(**QUICK).fit(squares, conditions={"age": np.arange(120.0)})
    assert told.model_.conditions == [("age", [])]
    assert told.sample(2, conditions={"age": 3}).shape == (2, 8, 8)
    Z = told.transform(squares, conditions={"age": np.arange(120.0)})
    each = told.inverse_transform(Z, conditions={"age": np.arange(120.0)})
    assert np.array_equal(each[5:6], told.inverse_transform(Z[5:6], conditions={"age": 5.0}))
    with pytest.raises(ValueError, match="age"):
        told.inverse_transform(Z)


def test_scores_of_a_subset_are_those_of_the_whole(circle):
    vae = latent.VAE(**QUICK).fit(circle)
    assert np.allclose(vae.score_samples(circle)[7:9], vae.score_samples(circle[7:9]), rtol=1e-6)
    assert vae.score(circle) == pytest.approx(vae.score_samples(circle).mean())
    assert vae.model_.lacks_density is None
    plain = latent.AE(**QUICK, network__hidden=[8]).fit(circle)
    assert "point" in plain.model_.lacks_density and np.isfinite(plain.score_samples(circle)).all()
