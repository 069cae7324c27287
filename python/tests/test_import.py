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


def written(path, given=None, dtype="F32", **shapes):
    """A safetensors file of these arrays, or of zeros."""
    import json

    header, at, numbers = {}, 0, b""
    arrays = given or {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    for name, array in arrays.items():
        data = array.astype(np.float32 if dtype == "F32" else np.float16).tobytes()
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [at, at + len(data)]}
        at, numbers = at + len(data), numbers + data
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + numbers)


def made_up(channels, large, width=6, hidden=10, dims=3):
    """The arrays of a model of disentangling-vae of small widths, at random."""
    last = ["conv_64"] if large else []
    shapes = {f"encoder.{name}.weight": (width, width, 4, 4) for name in ["conv1", "conv2", "conv3", *last]}
    shapes["encoder.conv1.weight"] = (width, channels, 4, 4)
    shapes |= {f"decoder.{name}.weight": (width, width, 4, 4) for name in [*(["convT_64"] if large else []), "convT1", "convT2"]}
    shapes["decoder.convT3.weight"] = (width, channels, 4, 4)
    flat = width * 16
    dense = {"encoder.lin1": (hidden, flat), "encoder.lin2": (hidden, hidden), "encoder.mu_logvar_gen": (2 * dims, hidden)}
    dense |= {"decoder.lin1": (hidden, dims), "decoder.lin2": (hidden, hidden), "decoder.lin3": (flat, hidden)}
    shapes |= {f"{name}.weight": shape for name, shape in dense.items()}
    rng = np.random.default_rng(3)
    arrays = {name: rng.normal(0, 0.15, shape).astype(np.float32) for name, shape in shapes.items()}
    for name, shape in shapes.items():
        outputs = shape[1] if "convT" in name else shape[0]
        arrays[name.replace("weight", "bias")] = rng.normal(0, 0.1, outputs).astype(np.float32)
    return arrays


def down(x, w, b):
    """A convolution of 4×4, stride 2, padding 1."""
    x = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (4, 4), axis=(2, 3))[:, :, ::2, ::2]
    return np.einsum("nchwij,ocij->nohw", windows, w) + b[:, None, None]


def up(x, w, b):
    """Its transpose."""
    n, _, h, v = x.shape
    y = np.zeros((n, w.shape[1], 2 * h + 2, 2 * v + 2), np.float64)
    for i in range(4):
        for j in range(4):
            y[:, :, i : i + 2 * h : 2, j : j + 2 * v : 2] += np.einsum("nchw,co->nohw", x, w[:, :, i, j])
    return y[:, :, 1:-1, 1:-1] + b[:, None, None]


def theirs(a, x):
    """The authors' network in numpy: μ, ln σ², and the decoded μ."""

    def layer(kind, name, x):
        w, b = (a[f"{name}.{part}"].astype(np.float64) for part in ("weight", "bias"))
        return kind(x, w, b)

    def relu(x):
        return np.maximum(x, 0)

    def dense(x, w, b):
        return x @ w.T + b

    large = "encoder.conv_64.weight" in a
    for name in ["conv1", "conv2", "conv3", *(["conv_64"] if large else [])]:
        x = relu(layer(down, f"encoder.{name}", x))
    width = x.shape[1]
    x = x.reshape(len(x), -1)
    for name in ("lin1", "lin2"):
        x = relu(layer(dense, f"encoder.{name}", x))
    heads = layer(dense, "encoder.mu_logvar_gen", x)
    # Side by side for each dimension.
    mu, logvar = heads[:, ::2], heads[:, 1::2]
    y = mu
    for name in ("lin1", "lin2", "lin3"):
        y = relu(layer(dense, f"decoder.{name}", y))
    y = y.reshape(len(y), width, 4, 4)
    for name in [*(["convT_64"] if large else []), "convT1", "convT2"]:
        y = relu(layer(up, f"decoder.{name}", y))
    return mu, logvar, 1 / (1 + np.exp(-layer(up, "decoder.convT3", y)))


@pytest.mark.parametrize("channels, large", [(1, False), (1, True), (3, True)])
def test_the_mapping_puts_every_array_in_its_place(channels, large, tmp_path):
    arrays = made_up(channels, large)
    written(tmp_path / "theirs.safetensors", arrays)
    vae = latent.import_weights(tmp_path / "theirs.safetensors")
    side = 64 if large else 32
    X = np.random.default_rng(5).integers(0, 256, (4, channels, side, side), dtype=np.uint8)
    mu, logvar, decoded = theirs(arrays, X / 255)
    mean, deviation = vae.posterior(X if channels == 3 else X[:, 0])
    assert np.abs(mean - mu).max() < 1e-4 and np.abs(2 * np.log(deviation) - logvar).max() < 1e-4
    ours = vae.model_.unrounded(mean, []) / 255
    assert np.abs(ours.reshape(decoded.shape) - decoded).max() < 1e-4
    assert np.ptp(mu) > 0.05 and np.ptp(decoded) > 0.01, "numbers that would tell a wrong place"


def test_settings_that_the_mapping_says_itself_are_refused(command, tmp_path):
    written(tmp_path / "theirs.safetensors", made_up(1, False))
    for key in ("network.hidden", "likelihood.kind", "posterior.latent", "decoder.activation"):
        with pytest.raises(ValueError, match=f"{key}.*leave it out"):
            latent.import_weights(tmp_path / "theirs.safetensors", settings={key: 4})
    vae = latent.import_weights(tmp_path / "theirs.safetensors", settings={"train.batch": 17})
    assert "batch = 17" in vae.model_.run
    words = ["import", "theirs.safetensors", "--out", "run", "--set", "network.kernel=3"]
    said = subprocess.run([command, *words], cwd=tmp_path, capture_output=True, text=True)
    assert said.returncode != 0 and "network.kernel" in said.stderr and not (tmp_path / "run").exists()


def test_errors_of_files_are_true_and_early(command, tmp_path):
    written(tmp_path / "whole.safetensors", made_up(1, False))
    data = (tmp_path / "whole.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(latent.LatentError, match="copy it again") as refusal:
        latent.import_weights(tmp_path / "cut.safetensors")
    assert "train anew" not in str(refusal.value)
    written(tmp_path / "half.safetensors", made_up(1, False), dtype="F16")
    with pytest.raises(latent.LatentError, match="F16.*float()"):
        latent.import_weights(tmp_path / "half.safetensors")
    words = ["import", "whole.safetensors", "--out", "run"]
    subprocess.run([command, *words], cwd=tmp_path, check=True, capture_output=True)
    # Before the file is read: what is no file of weights is not noticed.
    (tmp_path / "none.safetensors").write_bytes(b"none")
    said = subprocess.run([command, "import", "none.safetensors", "--out", "run"], cwd=tmp_path, capture_output=True, text=True)
    assert said.returncode != 0 and "holds a run already" in said.stderr


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
