"""What notebooks show: pictures, reports, numbers."""

import numpy as np
import pytest

import latent


def test_pictures(circle, squares, tmp_path):
    vae = latent.VAE(epochs=1, latent_dim=2, progress=False).fit(squares)
    for figure in (vae.plot_codes(squares), vae.plot_codes(squares, np.arange(120) % 3), vae.plot_samples(4)):
        assert figure._repr_png_().startswith(b"\x89PNG") and figure.svg.startswith("<svg")
    figure.save(str(tmp_path / "codes.svg"))
    table = latent.VAE(epochs=1, latent_dim=3, progress=False).fit(circle)
    assert "principal component" in table.plot_codes(circle).svg
    with pytest.raises(ValueError, match="picture"):
        table.plot_samples(4)


def test_a_report(circle, tmp_path):
    vae = latent.VAE(epochs=2, latent_dim=2, progress=False).fit(circle)
    report = vae.report(circle, path=tmp_path / "run")
    assert (tmp_path / "run" / "report.html").read_text() == report.page
    assert report._repr_html_().startswith("<iframe srcdoc=")
    assert "<html" in vae.report(circle).page
    with pytest.raises((ValueError, FileNotFoundError)):
        vae.report()


def test_distances_of_samples(circle):
    rng = np.random.default_rng(0)
    same = latent.evaluate(circle[:150], circle[150:])
    other = latent.evaluate(circle[:150], circle[150:] + rng.normal(size=(150, 3)) * [300, 3, 3])
    assert other["frechet"].value > 5 * same["frechet"].value
    assert same["c2st"].low < 0.5 + 0.1 and other["c2st"].value > 0.8
    assert "standardised columns" in repr(same) and same._repr_html_().startswith("<table>")
    assert same["frechet"].n == 150


def test_runs_are_compared(circle, tmp_path):
    with pytest.raises(FileNotFoundError, match="latent evaluate"):
        (tmp_path / "a").mkdir()
        (tmp_path / "b").mkdir()
        latent.compare([tmp_path / "a", tmp_path / "b"])
