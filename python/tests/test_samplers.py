"""Samplers fitted on codes: drawn from as the command draws, kept by runs and pickles, guided, and exported."""

import pickle
import subprocess

import numpy as np
import pytest

import latent

QUICK = {"latent_dim": 2, "epochs": 30, "random_state": 0, "progress": False}


@pytest.fixture(scope="module")
def fitted(circle):
    vae = latent.VAE(**QUICK).fit(circle)
    return vae.fit_sampler(circle, sampler="gaussian-mixture", settings={"components": 5})


def test_a_sampler_is_drawn_from_in_the_priors_place(fitted, circle):
    assert [row.sampler for row in fitted.samplers_.table].count("gaussian-mixture") == 1
    assert "gaussian-mixture" in repr(fitted.samplers_)
    new, prior = fitted.sample(200, sampler="gaussian-mixture"), fitted.sample(200, sampler="prior")
    assert not np.array_equal(new, prior)
    before = latent.VAE(**QUICK).fit(circle)
    assert np.array_equal(prior, before.sample(200)), "the prior is what it was without a sampler"
    assert not np.array_equal(fitted.sample(50, temperature=0.5), fitted.sample(50))
    with pytest.raises(ValueError, match="fit_sampler"):
        before.sample(2, sampler="maf")
    with pytest.raises((ValueError, latent.LatentError), match="latent fit-sampler"):
        fitted.sample(2, sampler="maf")
    with pytest.raises((ValueError, latent.LatentError), match="guided"):
        fitted.sample(2, guidance=2.0)
    assert latent.VAE(**QUICK).fit(circle).samplers_ is None


def test_runs_pickles_and_the_command_draw_the_same(fitted, command, tmp_path):
    fitted.save(tmp_path / "run")
    ours = fitted.sample(20, random_state=3)
    assert np.array_equal(pickle.loads(pickle.dumps(fitted)).sample(20, random_state=3), ours)
    again = latent.load(tmp_path / "run")
    assert np.array_equal(again.sample(20, random_state=3), ours)
    words = "sample run --count 20 --seed 3 --out new.npy"
    subprocess.run([command, *words.split()], cwd=tmp_path, check=True, capture_output=True)
    assert np.array_equal(np.load(tmp_path / "new.npy"), ours)


def test_a_decoder_learns_on_as_by_the_command(squares, command, tmp_path):
    np.save(tmp_path / "squares.npy", squares)
    vae = latent.VAE(**QUICK).fit(tmp_path / "squares.npy").fit_sampler(sampler="normal")
    vae.save(tmp_path / "run")
    origin = np.zeros((1, 2))
    codes, before, decoded = vae.transform(squares), vae.sample(20), vae.inverse_transform(origin)
    assert vae.refine(steps=60, random_state=3) is vae
    assert np.array_equal(vae.transform(squares), codes), "codes stay"
    assert not np.array_equal(vae.inverse_transform(origin), decoded), "the decoder moved"
    assert not np.array_equal(vae.sample(20), before)
    vae.save(tmp_path / "again")
    assert np.array_equal(latent.load(tmp_path / "again").sample(20), vae.sample(20))
    words = "refine run --steps 60 --seed 3"
    subprocess.run([command, *words.split()], cwd=tmp_path, check=True, capture_output=True)
    assert np.array_equal(latent.load(tmp_path / "run").sample(20), vae.sample(20))


def test_what_cannot_be_refined_says_why(fitted, squares, circle):
    with pytest.raises(ValueError, match="critic sees patches of images"):
        fitted.refine(circle)
    ae = latent.VAE(**QUICK).fit(squares)
    for wrong in ({"steps": 0}, {"minutes": -1.0}, {"weight": 0.0}):
        with pytest.raises(ValueError, match="give a positive number"):
            ae.refine(squares, **wrong)
    with pytest.raises(ValueError, match="not the rows that the model was fitted on"):
        ae.refine(squares[:, :4, :4])


def test_other_rows_are_refused(fitted, circle):
    with pytest.raises(ValueError, match="not the rows that the model was fitted on"):
        fitted.fit_sampler(circle * 2 + 1, sampler="normal")
    with pytest.raises((ValueError, latent.LatentError), match="gaussian"):
        fitted.fit_sampler(circle, sampler="gausian-mixture")
    with pytest.raises(ValueError, match="auto fits several"):
        fitted.fit_sampler(circle, settings={"components": 3})


def test_guidance_as_the_command_has_it(squares, command, tmp_path):
    y = np.array(["left", "right"])[np.arange(120) % 2]
    X = squares.copy()
    X[y == "right"] = 255 - X[y == "right"]
    cvae = latent.ConditionalVAE(epochs=2, latent_dim=2, random_state=0, progress=False).fit(X, y)
    cvae.fit_sampler(X, y, sampler="flow-matching", settings={"steps": 60, "hidden": [16]})
    how = {"conditions": {"label": "left"}, "random_state": 1, "sampler": "flow-matching"}
    draws = [cvae.sample(6, **how, guidance=w) for w in (0.0, 1.0, 3.0)]
    assert not np.array_equal(draws[0], draws[2])
    assert np.array_equal(draws[1], cvae.sample(6, **how))
    cvae.save(tmp_path / "run")
    words = "sample run --count 6 --seed 1 --condition label=left --sampler flow-matching --guidance 3 --out new.npy"
    subprocess.run([command, *words.split()], cwd=tmp_path, check=True, capture_output=True)
    assert np.array_equal(np.load(tmp_path / "new.npy").reshape(draws[2].shape), draws[2])
