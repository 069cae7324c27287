"""What a user would take instead, on two threads for a number of minutes: pictures out as u8 [n, h, w, channels].

    python bench/sharp/theirs.py gan|vae-mixture|rae-mixture TRAIN.npy MINUTES OUT.npy [--count 2000] [--seed 1] [--rate X]

gan: DCGAN's networks (Radford et al., arXiv 1511.06434) with the hinge loss, spectral norm in the critic, an average of the generator's
weights, and DiffAugment (Zhao et al., arXiv 2006.10738: colour, translation, cutout), as small GANs are trained on few pictures.
vae-mixture, rae-mixture: pythae's VAE and RAE_L2 with its residual networks of CelebA's benchmark, its trainer's settings (Adam,
batch 100), and its sampler, a mixture of ten normals; training ends after the epoch in which the minutes are over.
"""

import argparse
import copy
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import judge


def augmented(x):
    """Colour, translation by an eighth, cutout of a half: each picture its own, differentiable."""
    n, _, h, w = x.shape
    x = x + torch.rand(n, 1, 1, 1) - 0.5
    mean = x.mean(1, keepdim=True)
    x = (x - mean) * (2 * torch.rand(n, 1, 1, 1)) + mean
    mean = x.mean((1, 2, 3), keepdim=True)
    x = (x - mean) * (torch.rand(n, 1, 1, 1) + 0.5) + mean
    by = [torch.randint(-(side // 8), side // 8 + 1, (n, 1, 1)) for side in (h, w)]
    rows, columns = torch.arange(h)[None, :, None] + by[0] + 1, torch.arange(w)[None, None, :] + by[1] + 1
    padded = F.pad(x, (1, 1, 1, 1)).permute(0, 2, 3, 1)
    x = padded[torch.arange(n)[:, None, None], rows.clamp(0, h + 1), columns.clamp(0, w + 1)].permute(0, 3, 1, 2)
    centre = [torch.randint(0, side + 1, (n, 1, 1)) for side in (h, w)]
    hole = ((torch.arange(h)[None, :, None] - centre[0]).abs() < h // 4) & ((torch.arange(w)[None, None, :] - centre[1]).abs() < w // 4)
    return x * ~hole[:, None]


def gan(x, deadline, rate, count):
    channels, side = x.shape[1], x.shape[2]
    halvings, first = (side // 4).bit_length() - 1, side // 2 ** ((side // 4).bit_length() - 1)
    widths, codes = [256, 128, 64, 32, 16][:halvings], 100
    layers = [nn.ConvTranspose2d(codes, widths[0], first, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU()]
    for a, b in zip(widths, widths[1:]):
        layers += [nn.ConvTranspose2d(a, b, 4, 2, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
    generator = nn.Sequential(*layers, nn.ConvTranspose2d(widths[-1], channels, 4, 2, 1), nn.Tanh())
    norm, layers, inputs = nn.utils.parametrizations.spectral_norm, [], channels
    for width in reversed(widths):
        layers += [norm(nn.Conv2d(inputs, width, 4, 2, 1)), nn.LeakyReLU(0.2)]
        inputs = width
    critic = nn.Sequential(*layers, norm(nn.Conv2d(inputs, 1, first)))
    average, step = copy.deepcopy(generator), 0
    adam = [torch.optim.Adam(network.parameters(), rate, betas=(0.5, 0.999)) for network in (generator, critic)]
    while time.time() < deadline:
        real = x[torch.randint(len(x), (64,))]
        real = torch.where(torch.rand(64, 1, 1, 1) < 0.5, real, real.flip(3)) if MIRRORED else real
        fake = generator(torch.randn(64, codes, 1, 1))
        loss = F.relu(1 - critic(augmented(real))).mean() + F.relu(1 + critic(augmented(fake.detach()))).mean()
        adam[1].zero_grad(); loss.backward(); adam[1].step()
        loss = -critic(augmented(fake)).mean()
        adam[0].zero_grad(); loss.backward(); adam[0].step()
        step += 1
        with torch.no_grad():
            for p, q in zip([*average.parameters(), *average.buffers()], [*generator.parameters(), *generator.buffers()]):
                p.copy_(q) if p.dtype == torch.long else p.lerp_(q, 1 - min(0.999, (1 + step) / (10 + step)))
    print(step, "steps")
    with torch.no_grad():
        return torch.cat([average.eval()(torch.randn(100, codes, 1, 1)) for _ in range(-(-count // 100))])[:count]


def of_pythae(kind, x, deadline, rate, count, out):
    from pythae.models import RAE_L2, RAE_L2_Config, VAE, VAEConfig
    from pythae.models.nn.benchmarks.celeba import Decoder_ResNet_AE_CELEBA, Encoder_ResNet_AE_CELEBA, Encoder_ResNet_VAE_CELEBA
    from pythae.samplers import GaussianMixtureSampler, GaussianMixtureSamplerConfig
    from pythae.trainers import BaseTrainer, BaseTrainerConfig
    from pythae.trainers.training_callbacks import TrainingCallback

    class Clock(TrainingCallback):
        def on_epoch_end(self, training_config, **_):
            if time.time() > deadline:
                raise TimeoutError

    x, sizes = (x + 1) / 2, dict(input_dim=tuple(x.shape[1:]), latent_dim=64)
    if kind == "vae":
        config = VAEConfig(**sizes)
        model = VAE(config, Encoder_ResNet_VAE_CELEBA(config), Decoder_ResNet_AE_CELEBA(config))
    else:
        config = RAE_L2_Config(**sizes)
        model = RAE_L2(config, Encoder_ResNet_AE_CELEBA(config), Decoder_ResNet_AE_CELEBA(config))
    settings = BaseTrainerConfig(
        output_dir=out + ".pythae", num_epochs=10000, learning_rate=rate, per_device_train_batch_size=100,
        per_device_eval_batch_size=100, steps_saving=None, no_cuda=True, optimizer_params=None,
    )
    from pythae.data.datasets import BaseDataset
    x = torch.cat([x, x.flip(3)]) if MIRRORED else x
    data = BaseDataset(x, torch.ones(len(x)))
    trainer = BaseTrainer(model, train_dataset=data, training_config=settings, callbacks=[Clock()])
    try:
        trainer.train()
    except TimeoutError:
        pass
    model = trainer.model.eval()
    sampler = GaussianMixtureSampler(model, GaussianMixtureSamplerConfig(n_components=10))
    sampler.fit(x)
    return 2 * sampler.sample(num_samples=count, batch_size=100, return_gen=True).cpu() - 1


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("method", choices=["gan", "vae-mixture", "rae-mixture"])
parser.add_argument("train")
parser.add_argument("minutes", type=float)
parser.add_argument("out")
parser.add_argument("--count", type=int, default=2000)
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--rate", type=float)
parser.add_argument("--mirrored", action="store_true")
given = parser.parse_args()
MIRRORED = given.mirrored
torch.manual_seed(given.seed)
torch.set_num_threads(2)
images = 2 * judge.pictures(given.train) - 1
# What is left after sampling and, for pythae, fitting the mixture.
deadline = time.time() + 60 * given.minutes * 0.95
if given.method == "gan":
    made = gan(images, deadline, given.rate or 2e-4, given.count)
else:
    made = of_pythae(given.method.split("-")[0], images, deadline, given.rate or 1e-3, given.count, given.out)
np.save(given.out, ((made.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy())
