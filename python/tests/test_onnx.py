"""What is exported, run by another runtime, gives what we give."""

import json
import subprocess

import numpy as np
import pytest
from conftest import bright_squares

import latent

ort = pytest.importorskip("onnxruntime")


def run(model: bytes, **inputs):
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    types = {i.name: np.float64 if "double" in i.type else np.float32 for i in session.get_inputs()}
    given = {name: np.asarray(value).astype(types[name]) for name, value in inputs.items()}
    return dict(zip(names, session.run(None, given))), session.get_modelmeta().custom_metadata_map


def agree(vae, X, condition=None, told=()):
    """Encoder and decoder under onnxruntime against ours, relative to the spread of each output."""
    images = X.ndim > 2
    x = X if X.ndim != 3 else X[:, None]
    beside = {} if condition is None else {"condition": condition}
    rows = vae._read(X, list(told) or None)[0]
    mean, deviation = vae.model_.encode(rows)
    found, notes = run(vae.model_.encoder_onnx(), x=x, **beside)
    close(found["code"], mean)
    assert ("deviation" in found) == (deviation is not None)
    if deviation is not None:
        close(found["deviation"], deviation)
    if told:
        parts = [vae.model_.unrounded(mean[i : i + 1], [("label", told[i])]) for i in range(len(mean))]
        ours = np.concatenate(parts)
    else:
        ours = vae.model_.unrounded(mean, [])
    found, _ = run(vae.model_.decoder_onnx(), code=mean, **beside)
    close(found["x"].reshape(ours.shape), ours)
    assert found["x"].shape == x.shape if images else ours.shape
    # Another size of batch.
    found, _ = run(vae.model_.decoder_onnx(), code=mean[:1], **{k: v[:1] for k, v in beside.items()})
    close(found["x"].reshape(ours[:1].shape), ours[:1])
    assert json.loads(notes["latent"])["dims"] == mean.shape[1] and notes["latent_version"] == latent.__version__


def close(found, ours):
    scale = np.abs(ours).max() + 1e-9
    assert np.abs(found - ours).max() <= 1e-4 * scale, (np.abs(found - ours).max(), scale)


ACTIVATIONS = ["identity", "relu", "leaky-relu", "tanh", "sigmoid", "silu", "gelu", "softplus", "elu"]
IMAGES = {
    "linear": {"network__kind": "linear"},
    **{f"mlp {a}": {"network__kind": "mlp", "network__hidden": [12, 7], "network__activation": a} for a in ACTIVATIONS},
    "mlp norm": {"network__kind": "mlp", "network__hidden": [12], "network__batch_norm": True, "network__dropout": 0.2},
    "mlp gated": {"network__kind": "mlp", "network__hidden": [12, 7], "network__gated": True},
    "conv": {"network__kind": "conv", "network__channels": [4, 6]},
    "conv gated": {"network__kind": "conv", "network__channels": [4, 6], "network__gated": True, "network__dense": [9]},
    "conv transposed": {"network__kind": "conv", "network__channels": [4, 6], "network__up": "transposed", "network__kernel": 4},
    "conv norm": {"network__kind": "conv", "network__channels": [4, 6], "network__batch_norm": True, "network__dense": [9]},
    "dcgan": {"network__kind": "dcgan", "network__channels": [4, 6], "network__start": 3},
    "dcgan 5": {"network__kind": "dcgan", "network__channels": [4, 6], "network__start": 4, "network__kernel": 5},
    "resnet": {"network__kind": "resnet", "network__channels": [4, 6, 6], "network__hidden": 3, "network__up_kernels": [3, 5, 4]},
    "spectral": {"network__kind": "spectral-norm", "network__of": {"kind": "conv", "channels": [4, 6], "up": "transposed"}},
    "residual": {"network__kind": "residual-conv", "network__channels": [4, 6], "network__blocks": 1},
    "spatial": {"network__kind": "spatial", "network__channels": [4, 8], "posterior__latent": {"channels": 2, "factor": 2}},
    "spatial patch": {
        "network__kind": "spatial",
        "network__channels": [4, 8],
        "network__patch": 2,
        "network__shortcut": True,
        "posterior__latent": {"channels": 2, "factor": 4},
    },
    "spatial batch": {
        "network__kind": "spatial",
        "network__channels": [4, 8],
        "network__norm": "batch",
        "posterior__latent": {"channels": 2, "factor": 4},
    },
}


@pytest.mark.parametrize("name", IMAGES)
def test_networks(name):
    # 7×9: sides that no halving divides.
    X = bright_squares(60, 3, side=9)[:, :, :7]
    vae = latent.VAE(epochs=1, random_state=0, progress=False, layout="chw", **IMAGES[name])
    agree(vae.fit(X), X[:20])


POSTERIORS = {
    "point": {"preset": "ae", "network__hidden": [9]},
    "unit": {"preset": "ae", "network__hidden": [9], "posterior__unit_interval": True, "prior__kind": "uniform"},
    "bits": {"preset": "bit-ae", "network__hidden": [9], "posterior__latent": 5},
    "iaf": {"preset": "iaf-vae", "network__hidden": [9], "posterior__hidden": [11], "posterior__context": 4},
    "quantized": {"preset": "vq-vae", "posterior__codes": 8, "network__channels": [4, 8]},
    "fsq": {"preset": "fsq-vae", "posterior__levels": [4, 3], "network__channels": [4, 8]},
    "cosine": {
        "preset": "vq-vae",
        "posterior__codes": 8,
        "posterior__distance": "cosine",
        "network__channels": [4, 8],
    },
    "lfq": {"preset": "lfq-vae", "posterior__signs": 4, "network__channels": [4, 8]},
    "bsq": {"preset": "bsq-vae", "posterior__signs": 4, "network__channels": [4, 8]},
    "gumbel": {"preset": "categorical-vae", "posterior__latent": 4, "posterior__categories": 3, "network__hidden": [8]},
    "gumbel maps": {
        "network__kind": "spatial",
        "network__channels": [4, 8],
        "posterior__kind": "gumbel",
        "posterior__categories": 3,
        "posterior__latent": {"channels": 2, "factor": 4},
        "prior__kind": "categorical",
    },
    "simvq": {"preset": "simvq-vae", "posterior__codes": 8, "network__channels": [4, 8]},
    "residual": {"preset": "residual-vq-vae", "posterior__codes": 8, "network__channels": [4, 8]},
    "blocks": {
        "posterior__kind": "blocks",
        "posterior__blocks__z": {"kind": "diagonal-normal", "latent": 3},
        "posterior__blocks__b": {"kind": "bits", "latent": 2},
        "prior__kind": "blocks",
        "prior__blocks__z": {"kind": "standard-normal"},
        "prior__blocks__b": {"kind": "bits"},
    },
    "bernoulli": {"preset": "vae", "likelihood__kind": "bernoulli"},
    "full normal": {"preset": "vae", "posterior__kind": "full-normal", "posterior__latent": 4},
    "full normal, one": {"preset": "vae", "posterior__kind": "full-normal", "posterior__latent": 1},
    "planar": {"preset": "vae", "posterior__kind": "flow", "posterior__step": "planar", "posterior__steps": 3},
    "radial": {"preset": "vae", "posterior__kind": "flow", "posterior__step": "radial", "posterior__steps": 3},
    "householder": {"preset": "vae", "posterior__kind": "flow", "posterior__step": "householder", "posterior__steps": 2},
    "sylvester": {"preset": "vae", "posterior__kind": "flow", "posterior__step": "sylvester", "posterior__rank": 3},
    "sylvester, all": {"preset": "vae", "posterior__kind": "flow", "posterior__step": "sylvester", "posterior__rank": 99},
    "steps for all": {"preset": "vae", "posterior__kind": "flow", "posterior__steps": 2, "posterior__amortised": False},
    "categorical": {"preset": "vae", "likelihood__kind": "categorical"},
    "poisson": {"preset": "vae", "likelihood__kind": "poisson"},
    "laplace": {"preset": "vae", "likelihood__kind": "laplace"},
    "student": {"preset": "vae", "likelihood__kind": "student-t"},
    "log cosh": {"preset": "vae", "likelihood__kind": "log-cosh"},
    "logistic mixture": {"preset": "vae", "likelihood__kind": "logistic-mixture", "likelihood__components": 3},
    "continuous": {"preset": "vae", "likelihood__kind": "continuous-bernoulli"},
    "logistic": {"preset": "vae", "likelihood__kind": "discretised-logistic"},
    "logistic each": {"preset": "vae", "likelihood__kind": "discretised-logistic", "likelihood__per_feature": True},
    "threshold": {"preset": "vae", "data__binarize": "threshold"},
}


@pytest.mark.parametrize("name", POSTERIORS)
def test_posteriors_and_likelihoods(name, squares):
    ae = latent.Autoencoder(epochs=1, random_state=0, progress=False, **POSTERIORS[name]).fit(squares)
    agree(ae, squares[:30])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tables_with_offsets_and_columns_that_never_change(circle, dtype):
    X = np.column_stack([circle + 1e4, np.full(300, 7.5), circle[:, 0] ** 2]).astype(dtype)
    vae = latent.VAE(epochs=1, random_state=0, progress=False).fit(X)
    agree(vae, X[:50])
    found, notes = run(vae.model_.decoder_onnx(), code=vae.transform(X[:3]))
    assert np.all(found["x"][:, 3] == 7.5) and json.loads(notes["x"])["shape"] == [5]


def test_conditions(squares):
    y = [str(i % 3) for i in range(len(squares))]
    cvae = latent.ConditionalVAE(epochs=1, random_state=0, progress=False).fit(squares, y)
    classes = cvae.model_.conditions[0][1]
    condition = np.array([[float(c == label) for c in classes] for label in y])
    agree(cvae, squares[:20], condition[:20], y[:20])


def test_channels_that_follow_each_other():
    X = bright_squares(60, 3)
    vae = latent.VAE(epochs=1, random_state=0, progress=False, layout="chw", likelihood__kind="logistic-mixture", likelihood__components=2)
    agree(vae.fit(X), X[:20])


def test_every_posterior_and_likelihood_has_a_graph_or_is_refused_here():
    tried = [settings.get(f"{axis}__kind") for settings in POSTERIORS.values() for axis in ("posterior", "likelihood")]
    # By presets above, or by default; mixed tables are refused.
    tried += ["point", "bits", "gumbel", "iaf", "quantized", "fsq", "lfq", "simvq", "residual", "blocks", "diagonal-normal", "normal", "mixed", "factorised"]
    for axis in ("posterior", "likelihood"):
        kinds = {setting.kind for setting in latent.settings(axis) if setting.kind}
        assert kinds and kinds <= set(tried), kinds - set(tried)


SAMPLERS = {
    "prior": {},
    "normal": {},
    "gaussian-mixture": {"components": 4},
    "kernel-density": {},
    "real-nvp": {"steps": 30, "layers": 4, "hidden": [16]},
    "two-stage": {"steps": 30, "hidden": [16]},
}


def agrees_with_its_graph(vae, name):
    sampler = vae._sampler(name) or latent._latent.Sampler.load(vae.model_, "nowhere", "prior")
    noise = dict(sampler.noise(vae.model_, 60, 5))
    found, notes = run(sampler.onnx(vae.model_), **noise)
    close(found["code"], sampler.draw(vae.model_, 60, 5))
    said = json.loads(notes["sampler"])
    assert said["kind"] == name and [source["name"] for source in said["noise"]] == list(noise)
    # A code for the decoder's graph.
    run(vae.model_.decoder_onnx(), code=found["code"][:3])


@pytest.fixture(scope="module")
def drawn(circle):
    return latent.VAE(latent_dim=3, epochs=3, random_state=0, progress=False, network__hidden=[9]).fit(circle)


@pytest.mark.parametrize("name", SAMPLERS)
def test_samplers(name, drawn, circle):
    if name != "prior":
        drawn.fit_sampler(circle, sampler=name, settings=SAMPLERS[name])
    agrees_with_its_graph(drawn, name)


@pytest.mark.parametrize("name", ["prior", "gaussian-mixture"])
def test_samplers_on_the_unit_interval(name, squares):
    ae = latent.Autoencoder("ae", epochs=1, random_state=0, progress=False, **{k: v for k, v in POSTERIORS["unit"].items() if k != "preset"})
    ae.fit(squares)
    if name != "prior":
        ae.fit_sampler(squares, sampler=name, settings={"components": 2})
    agrees_with_its_graph(ae, name)


def test_samplers_that_take_many_passes_are_refused(drawn, circle):
    for name, settings in (("maf", {"steps": 5, "layers": 2, "hidden": [8]}), ("flow-matching", {"steps": 5, "hidden": [8]})):
        drawn.fit_sampler(circle, sampler=name, settings=settings)
        with pytest.raises(ValueError, match=f"`{name}`.*feed-forward.*real-nvp"):
            drawn._sampler(name).onnx(drawn.model_)


def test_every_sampler_has_a_graph_or_is_refused(command):
    said = subprocess.run([command, "fit-sampler", "--help"], capture_output=True, text=True, check=True).stdout
    names = set(SAMPLERS) | {"maf", "flow-matching"}
    # On bits, indices and maps, drawn one after the other or step by step: the default refusal.
    rest = {"autoregressive", "autoregressive-bits", "flow-unet"}
    listed = {line.split()[0] for line in said.splitlines() if line.startswith("  ") and line.split()[0] in names | rest}
    assert listed == names | rest


def test_tables_of_mixed_columns_are_refused():
    import pandas as pd

    frame = pd.DataFrame({"a": np.arange(60) % 7, "b": ["x", "y", "z"] * 20})
    table = latent.TableVAE(epochs=1, progress=False, network__width=8, likelihood__width=8).fit(frame)
    for graph in (table.model_.encoder_onnx, table.model_.decoder_onnx):
        with pytest.raises(ValueError, match="mixed columns.*latent sample"):
            graph()


def test_what_draws_bits_at_random_is_refused(squares):
    vae = latent.VAE(epochs=1, progress=False, data__binarize="dynamic").fit(squares)
    with pytest.raises(ValueError, match="binarize.*decoder alone"):
        vae.model_.encoder_onnx()
    run(vae.model_.decoder_onnx(), code=np.zeros((2, vae.model_.dims)))


def test_the_command_writes_the_same_files(circle, command, tmp_path):
    vae = latent.VAE(epochs=1, random_state=0, progress=False).fit(circle)
    vae.save(tmp_path / "run")
    words = "export run --onnx f.onnx g.onnx".split()
    subprocess.run([command, *words], cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "f.onnx").read_bytes() == vae.model_.encoder_onnx()
    assert (tmp_path / "g.onnx").read_bytes() == vae.model_.decoder_onnx()
    vae.export_onnx(tmp_path / "e.onnx", tmp_path / "d.onnx", tmp_path / "p.onnx")
    words = "export run --onnx f2.onnx g2.onnx --sampler-onnx s.onnx".split()
    subprocess.run([command, *words], cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "s.onnx").read_bytes() == (tmp_path / "p.onnx").read_bytes()
    onnx = pytest.importorskip("onnx")
    for name in ("e", "d", "p"):
        model = onnx.load(tmp_path / f"{name}.onnx")
        onnx.checker.check_model(model, full_check=True)
        assert model.opset_import[0].version == 18 and model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
