"""Presets under the names that people look for: each class is one preset of the engine.

Where a paper has a weight of its own (γ, λ, β), it is a setting: ``FactorVAE(settings={"objective.terms.total-correlation.weight": 10})``;
`latent.settings()` lists them, ``latent presets factor-vae`` shows those of a preset.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ._estimators import Estimator


class AE(Estimator):
    """Plain autoencoder: no prior on the codes (Hinton & Salakhutdinov 2006). Parameters as `Autoencoder`."""

    _preset = "ae"


class VAE(Estimator):
    """Variational autoencoder (Kingma & Welling, arXiv 1312.6114). Parameters as `Autoencoder`."""

    _preset = "vae"


class BetaVAE(Estimator):
    """β-VAE: the rate weighs `beta` (Higgins et al., ICLR 2017). Further parameters as `Autoencoder`."""

    _preset = "beta-vae"

    def __init__(
        self,
        *,
        beta: float = 4.0,
        latent_dim: int | None = None,
        epochs: float | None = None,
        minutes: float | None = None,
        validation: float = 0.1,
        random_state: Any = None,
        layout: str = "auto",
        device: str = "cpu",
        progress: bool | str = "auto",
        settings: Mapping[str, Any] | None = None,
        **keys: Any,
    ) -> None:
        self.beta = beta
        super().__init__(
            latent_dim=latent_dim,
            epochs=epochs,
            minutes=minutes,
            validation=validation,
            random_state=random_state,
            layout=layout,
            device=device,
            progress=progress,
            settings=settings,
            **keys,
        )

    def _own_settings(self) -> dict[str, Any]:
        return {"objective.terms.rate.weight": float(self.beta)}


class AnnealedVAE(Estimator):
    """β-VAE with a capacity that grows over training (Burgess et al., arXiv 1804.03599). Parameters as `Autoencoder`."""

    _preset = "annealed-vae"


class BetaTCVAE(Estimator):
    """β-TCVAE: the total correlation of the codes weighs β (Chen et al., arXiv 1802.04942). Parameters as `Autoencoder`."""

    _preset = "beta-tc-vae"


class FactorVAE(Estimator):
    """FactorVAE: a critic measures the total correlation of the codes (Kim & Mnih, arXiv 1802.05983). Parameters as `Autoencoder`."""

    _preset = "factor-vae"


class DIPVAEI(Estimator):
    """DIP-VAE-I: the covariance of the means pulled to the identity (Kumar et al., arXiv 1711.00848). Parameters as `Autoencoder`."""

    _preset = "dip-vae-i"


class DIPVAEII(Estimator):
    """DIP-VAE-II: the covariance of the codes pulled to the identity (Kumar et al., arXiv 1711.00848). Parameters as `Autoencoder`."""

    _preset = "dip-vae-ii"


class InfoVAE(Estimator):
    """InfoVAE: MMD of the codes beside the rate (Zhao et al., arXiv 1706.02262). Parameters as `Autoencoder`."""

    _preset = "info-vae"


class SigmaVAE(Estimator):
    """σ-VAE: the decoder's σ is the optimal one (Rybkin et al., arXiv 2006.13202). Parameters as `Autoencoder`."""

    _preset = "sigma-vae"


class LinearVAE(Estimator):
    """Linear VAE: at its optimum probabilistic PCA (Lucas et al., arXiv 1911.02469). Parameters as `Autoencoder`."""

    _preset = "linear-vae"


class VampVAE(Estimator):
    """VAE with a VampPrior (Tomczak & Welling, arXiv 1705.07120). Parameters as `Autoencoder`."""

    _preset = "vamp-vae"


class IAFVAE(Estimator):
    """VAE whose posterior is an inverse autoregressive flow (Kingma et al., arXiv 1606.04934). Parameters as `Autoencoder`."""

    _preset = "iaf-vae"


class ConditionalVAE(Estimator):
    """Conditional VAE: told the class of each row, y (Sohn et al., NeurIPS 2015). Parameters as `Autoencoder`."""

    _preset = "conditional-vae"


class IWAE(Estimator):
    """Importance-weighted autoencoder (Burda et al., arXiv 1509.00519). Parameters as `Autoencoder`."""

    _preset = "iwae"


class MIWAE(Estimator):
    """The mean of several importance-weighted bounds (Rainforth et al., arXiv 1802.04537). Parameters as `Autoencoder`."""

    _preset = "miwae"


class PIWAE(Estimator):
    """Encoder and decoder each on a bound of its own (Rainforth et al., arXiv 1802.04537). Parameters as `Autoencoder`."""

    _preset = "piwae"


class CIWAE(Estimator):
    """Half the importance-weighted bound, half the ELBO (Rainforth et al., arXiv 1802.04537). Parameters as `Autoencoder`."""

    _preset = "ciwae"


class WAE(Estimator):
    """Wasserstein autoencoder by MMD (Tolstikhin et al., arXiv 1711.01558). Parameters as `Autoencoder`."""

    _preset = "wae-mmd"


class WAEGAN(Estimator):
    """Wasserstein autoencoder by a critic (Tolstikhin et al., arXiv 1711.01558). Parameters as `Autoencoder`."""

    _preset = "wae-gan"


class SlicedWAE(Estimator):
    """Sliced Wasserstein autoencoder (Kolouri et al., arXiv 1804.01947). Parameters as `Autoencoder`."""

    _preset = "sliced-wae"


class AAE(Estimator):
    """Adversarial autoencoder (Makhzani et al., arXiv 1511.05644). Parameters as `Autoencoder`."""

    _preset = "aae"


class VQVAE(Estimator):
    """Vector-quantised autoencoder (van den Oord et al., arXiv 1711.00937). Parameters as `Autoencoder`."""

    _preset = "vq-vae"


class BitAE(Estimator):
    """Autoencoder whose code is bits (Bengio et al., arXiv 1308.3432). Parameters as `Autoencoder`."""

    _preset = "bit-ae"
