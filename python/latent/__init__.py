"""Generative autoencoders: learn P(X) through a latent variable, sample from it, judge it.

    import latent
    vae = latent.VAE(latent_dim=16, minutes=2).fit(X)
    Z = vae.transform(X); X2 = vae.inverse_transform(Z); new = vae.sample(100)
    vae.score_samples(X)                         # log P(x) from below, in nats
    vae.save("run"); latent.load("run")          # the run folder of the command `latent`

Every estimator is a scikit-learn estimator over one engine: the same data, settings and seed give the same weights, bit for bit,
as `latent train`.
"""

from ._estimators import Autoencoder
from ._judge import Judgement, judge
from ._latent import Figure, LatentError, __version__, devices
from ._load import import_weights, load
from ._presets import (
    AAE,
    AE,
    AnnealedVAE,
    BetaTCVAE,
    BetaVAE,
    BitAE,
    CIWAE,
    ConditionalVAE,
    DIPVAEI,
    DIPVAEII,
    FactorVAE,
    IAFVAE,
    IWAE,
    InfoVAE,
    LinearVAE,
    MIWAE,
    PIWAE,
    SigmaVAE,
    SlicedWAE,
    VAE,
    VQVAE,
    VampVAE,
    WAE,
    WAEGAN,
)
from ._runs import Comparison, Evaluation, Report, compare, evaluate
from ._settings import presets, settings
from ._tables import HIVAE, TVAE, TableVAE, TabSynVAE

__all__ = [
    "AAE",
    "AE",
    "CIWAE",
    "DIPVAEI",
    "DIPVAEII",
    "HIVAE",
    "IAFVAE",
    "IWAE",
    "MIWAE",
    "PIWAE",
    "TVAE",
    "VAE",
    "VQVAE",
    "WAE",
    "WAEGAN",
    "AnnealedVAE",
    "Autoencoder",
    "BetaTCVAE",
    "BetaVAE",
    "BitAE",
    "Comparison",
    "ConditionalVAE",
    "Evaluation",
    "FactorVAE",
    "Figure",
    "InfoVAE",
    "Judgement",
    "LatentError",
    "LinearVAE",
    "Report",
    "SigmaVAE",
    "SlicedWAE",
    "TabSynVAE",
    "TableVAE",
    "VampVAE",
    "__version__",
    "compare",
    "devices",
    "evaluate",
    "import_weights",
    "judge",
    "load",
    "presets",
    "settings",
]
