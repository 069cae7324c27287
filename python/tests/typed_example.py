"""The example of docs/python.md, as a type checker sees it."""

from typing import Any

import numpy as np
import numpy.typing as npt

import latent

X: npt.NDArray[np.float32] = np.random.default_rng(0).normal(size=(500, 8)).astype(np.float32)


def heard(epoch: dict[str, Any]) -> None:
    print(epoch["epoch"], epoch["validation"])


vae = latent.VAE(latent_dim=2, minutes=2, train__batch=64).fit(X, on_epoch=heard)
Z: npt.NDArray[Any] = vae.transform(X)
X2 = vae.inverse_transform(Z)
new = vae.sample(100)
scores: npt.NDArray[np.float64] = vae.score_samples(X)
vae.save("run")
again = latent.load("run")
table = latent.TableVAE(epochs=1).fit("people.csv")
rows = table.sample(10, conditions={"age": (30, 40)})
figure: latent.Figure = vae.plot_codes(X)
found: latent.Evaluation = latent.evaluate(X, new)
print(found["frechet"].value, [preset.name for preset in latent.presets()])
typical = vae.fit_sampler(X, sampler="gaussian-mixture", settings={"components": 5}).sample(100, temperature=0.7)
vae.export_onnx("encoder.onnx", "decoder.onnx", "sampler.onnx")
even = table.sample(10, balance="income")
verdict: latent.Judgement = latent.judge("people.csv", "rows.csv", test="more.csv", target="income")
print(verdict.figures, verdict.findings[0]["headline"])
