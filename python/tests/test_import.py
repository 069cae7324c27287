"""Published models, imported: the same numbers as an independent forward pass of the authors' network."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

import latent

WEIGHTS = Path(os.environ.get("LATENT_WEIGHTS", Path(__file__).parents[3] / "shared" / "data" / "weights"))


def arrays(path):
    import json

    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header.pop("__metadata__", None)
    start = 8 + size
    return {
        name: np.frombuffer(data[start + a : start + b], np.float32).reshape(about["shape"])
        for name, about in header.items()
        for a, b in [about["data_offsets"]]
    }


def there(path):
    if not path.exists():
        pytest.skip(f"{path} is not here: set LATENT_WEIGHTS to the folder of published weights")
    return path


@pytest.mark.parametrize("name", ["VAE_mnist", "VAE_dsprites", "VAE_celeba", "btcvae_celeba"])
def test_published_models_give_the_golden_numbers(name, tmp_path):
    weights = there(WEIGHTS / "disentangling-vae" / f"{name}.safetensors")
    golden = arrays(there(WEIGHTS / "golden" / f"{name}.safetensors"))
    vae = latent.import_weights(weights)
    X = golden["input"] * np.float32(255)
    mean, deviation = vae.posterior(X if X.shape[1] == 3 else X[:, 0])
    assert np.abs(mean - golden["mu"]).max() <= 1e-3
    assert np.abs(2 * np.log(deviation) - golden["logvar"]).max() <= 1e-3
    decoded = vae.model_.unrounded(np.ascontiguousarray(golden["mu"]), []) / 255
    assert np.abs(decoded.reshape(golden["recon_from_mu"].shape) - golden["recon_from_mu"]).max() <= 1e-3
    vae.save(tmp_path / "run")
    again = latent.load(tmp_path / "run")
    assert again.sample(2).shape == vae.sample(2).shape and again.sample(2).dtype == np.uint8


def test_the_command_writes_the_same_run(command, tmp_path):
    weights = there(WEIGHTS / "disentangling-vae" / "VAE_mnist.safetensors")
    for words in (["import", str(weights), "--out", "run"], ["sample", "run", "--count", "4", "--out", "four.png"]):
        subprocess.run([command, *words], cwd=tmp_path, check=True, capture_output=True)
    assert latent.load(tmp_path / "run").model_.to_bytes() == latent.import_weights(weights).model_.to_bytes()


def written(path, **shapes):
    """A safetensors file of zeros."""
    import json

    header, at = {}, 0
    for name, shape in shapes.items():
        size = 4 * int(np.prod(shape))
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(at))


def test_what_is_no_such_model_is_refused_with_the_reason(tmp_path):
    written(tmp_path / "other.safetensors", **{"a.weight": (2, 3)})
    with pytest.raises((ValueError, latent.LatentError), match="no mapping knows.*encoder.conv1.weight"):
        latent.import_weights(tmp_path / "other.safetensors")
    shapes = {"encoder.conv1.weight": (32, 1, 4, 4), "encoder.mu_logvar_gen.weight": (20, 256)}
    written(tmp_path / "part.safetensors", **shapes)
    with pytest.raises(latent.LatentError, match="is missing"):
        latent.import_weights(tmp_path / "part.safetensors")
    (tmp_path / "model.pt").write_bytes(b"PK\x03\x04" + bytes(60))
    with pytest.raises(latent.LatentError, match="runs code.*save_file"):
        latent.import_weights(tmp_path / "model.pt")
    with pytest.raises(FileNotFoundError):
        latent.import_weights(tmp_path / "nowhere.safetensors")
    with pytest.raises(ValueError, match="disentangling-vae"):
        latent.import_weights(tmp_path / "part.safetensors", mapping="disentangling-va")
