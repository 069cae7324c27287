"""The same data and network by latent and by pythae, in one script: lines, seconds, peak memory, import time, held-out ELBO.

    python bench/python/against.py FASHION_MNIST_FOLDER          # both; each in a process of its own
    python bench/python/against.py FASHION_MNIST_FOLDER latent   # one of them

60,000 images of 28×28 as floats in [0, 1], Bernoulli cross-entropy, 784-400-20, batch 128, Adam at 1e-3, five epochs. pythae and
torch live in the environment that this runs in; what is not installed is told and passed over. The ELBO is that of the test
images, in nats, over one draw a row. Latent holds 600 of the images out to keep the best weights, which pythae here does not.
"""

import tempfile
import gzip
import inspect
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np


def images(folder: str, part: str) -> np.ndarray:
    path = next(Path(folder).glob(f"{part}-images-idx3-ubyte*"))
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rb") as file:
        return np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28).astype(np.float32) / 255


def by_latent(train, test):
    import latent

    vae = latent.VAE(latent_dim=20, epochs=5, random_state=0, validation=0.01, progress=False)
    vae.fit(train)
    return vae


def elbo_of_latent(vae, test) -> float:
    mean, deviation = vae.posterior(test)
    z = mean + deviation * np.random.default_rng(0).standard_normal(mean.shape, np.float32)
    rate = 0.5 * (mean**2 + deviation**2 - 1 - 2 * np.log(deviation)).sum(1)
    return float(np.mean(log_likelihood(vae.inverse_transform(z), test) - rate))


def by_pythae(train, test):
    import torch
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.pipelines import TrainingPipeline
    from pythae.trainers import BaseTrainerConfig

    class Encoder(BaseEncoder):
        def __init__(self):
            super().__init__()
            self.hidden = torch.nn.Sequential(torch.nn.Linear(784, 400), torch.nn.ReLU())
            self.mean, self.log_variance = torch.nn.Linear(400, 20), torch.nn.Linear(400, 20)

        def forward(self, x):
            h = self.hidden(x.flatten(1))
            return ModelOutput(embedding=self.mean(h), log_covariance=self.log_variance(h))

    class Decoder(BaseDecoder):
        def __init__(self):
            super().__init__()
            self.layers = torch.nn.Sequential(
                torch.nn.Linear(20, 400), torch.nn.ReLU(), torch.nn.Linear(400, 784), torch.nn.Sigmoid()
            )

        def forward(self, z):
            return ModelOutput(reconstruction=self.layers(z).reshape(-1, 1, 28, 28))

    torch.manual_seed(0)
    config = VAEConfig(input_dim=(1, 28, 28), latent_dim=20, reconstruction_loss="bce")
    model = VAE(config, encoder=Encoder(), decoder=Decoder())
    training = BaseTrainerConfig(
        output_dir=tempfile.mkdtemp(), num_epochs=5, per_device_train_batch_size=128, learning_rate=1e-3, no_cuda=True
    )
    TrainingPipeline(training_config=training, model=model)(train_data=train[:, None])
    return model


def elbo_of_pythae(model, test) -> float:
    import torch

    with torch.no_grad():
        out = model.encoder(torch.tensor(test[:, None]))
        mean, log_variance = out.embedding.numpy(), out.log_covariance.numpy()
        z = mean + np.exp(log_variance / 2) * np.random.default_rng(0).standard_normal(mean.shape, np.float32)
        x = model.decoder(torch.tensor(z)).reconstruction.numpy()[:, 0]
    rate = 0.5 * (mean**2 + np.exp(log_variance) - 1 - log_variance).sum(1)
    return float(np.mean(log_likelihood(x, test) - rate))


def log_likelihood(p, x) -> np.ndarray:
    p = np.clip(p, 1e-7, 1 - 1e-7)
    return (x * np.log(p) + (1 - x) * np.log1p(-p)).sum((1, 2))


def lines(function) -> int:
    return sum(bool(line.strip()) for line in inspect.getsource(function).splitlines()[1:])


def one(folder: str, name: str) -> None:
    train, test = images(folder, "train"), images(folder, "t10k")
    begun = time.perf_counter()
    __import__("latent" if name == "latent" else "pythae.pipelines")
    imported = time.perf_counter() - begun
    fit, elbo = {"latent": (by_latent, elbo_of_latent), "pythae": (by_pythae, elbo_of_pythae)}[name]
    begun = time.perf_counter()
    model = fit(train, test)
    seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found = {"lines": lines(fit), "import_s": imported, "fit_s": seconds, "peak_mb": peak, "elbo": elbo(model, test)}
    print(json.dumps({name: {key: round(value, 2) for key, value in found.items()}}))


if __name__ == "__main__":
    folder, *which = sys.argv[1:]
    if which:
        one(folder, which[0])
    else:
        for name in ("latent", "pythae"):
            ended = subprocess.run([sys.executable, __file__, folder, name], capture_output=True, text=True)
            print((ended.stdout.splitlines() or [f"{name}: {(ended.stderr.splitlines() or ['?'])[-1]}"])[-1], flush=True)
