"""The figures that the tests of crates/latent/src/evaluate (logistic, latents, compare) hold as constants.

python bench/latents.py     needs numpy, scipy, scikit-learn
"""

import numpy as np
from scipy import integrate, stats
from sklearn.linear_model import LogisticRegression


def logistic():
    t = np.arange(120.0)
    c = t % 3
    x = np.stack([np.sin(1.7 * t) + 0.8 * c, np.cos(2.3 * t) - 0.5 * c, np.sin(0.9 * t) * np.cos(1.1 * t)], 1)
    fit = LogisticRegression(C=1.0, tol=1e-12, max_iter=10_000).fit(x, c)
    print("logistic", np.round(np.concatenate([fit.coef_, fit.intercept_[:, None]], 1), 8).tolist())
    print("logistic right", int((fit.predict(x) == c).sum()))


def imq(dims, variance, shift, scale):
    """E C/(C + |d|^2), d ~ N(shift, variance I), by C ∫ exp(-tC) E exp(-t |d|^2) dt."""
    c = 2 * dims * scale
    f = lambda t: c * np.exp(-t * c) * (1 + 2 * t * variance) ** (-dims / 2) * np.exp(
        -t * shift @ shift / (1 + 2 * t * variance))
    return integrate.quad(f, 0, np.inf, epsabs=1e-13, epsrel=1e-12)[0]


def mmd():
    """N(m, s^2 I) against N(0, I) in 3 dimensions, kernel summed over the scales of the Wasserstein autoencoder."""
    m, s2 = np.array([0.5, 0.0, -0.3]), 0.64
    total = 0.0
    for scale in [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0]:
        total += imq(3, 2 * s2, 0 * m, scale) + imq(3, 2.0, 0 * m, scale) - 2 * imq(3, 1 + s2, m, scale)
    print("mmd", repr(total))


def two_sample():
    """Bayes-optimal accuracy: N(m, I) against N(0, I) is Phi(|m|/2); N(0, s^2 I_d) against N(0, I_d) by chi-square."""
    print("shift", stats.norm.cdf(1.0 / 2))
    d, s2 = 4, 0.36
    cut = d * np.log(1 / s2) / (1 / s2 - 1)
    print("scale", 0.5 * (stats.chi2.cdf(cut / s2, d) + stats.chi2.sf(cut, d)))


def welch():
    a, b = np.array([1.2, 1.9, 1.4, 2.1, 1.7]), np.array([2.4, 2.0, 2.9])
    print("welch", stats.ttest_ind(a, b, equal_var=False))
    print("t tails", [float(2 * stats.t.sf(t, v)) for t, v in [(2.0, 3.0), (0.5, 1.0), (4.2, 17.3), (30.0, 2.5)]])
    print("paired", stats.ttest_rel(np.array([1.0, 2.0, 4.0, 3.5]), np.array([0.7, 1.8, 3.1, 3.6])))


if __name__ == "__main__":
    np.set_printoptions(precision=10)
    logistic(), mmd(), two_sample(), welch()
