#!/usr/bin/env python3
"""Expectation maximisation of a mixture of normals by scikit-learn, from a given start: the figures of the test
`twelve_steps_end_where_scikit_learn_does` in crates/latent/src/generate/sampler/em.rs.

    python bench/gmm.py

The points come from the same formulas as there. Needs numpy and scikit-learn.
"""

import warnings

import numpy as np
from sklearn.mixture import GaussianMixture

i = np.arange(300)
u = np.mod((i + 1) * 0.7548776662466927, 1.0)
v = np.mod((i + 1) * 0.5698402909980532, 1.0)
radius = np.sqrt(-2 * np.log(np.maximum(u, 1e-12)))
a, b = radius * np.cos(2 * np.pi * v), radius * np.sin(2 * np.pi * v)
centres = np.array([[0.0, 0.0], [3.0, 1.0], [-1.0, 4.0]])[i % 3]
x = (centres + np.stack([0.8 * a + 0.2 * b, 0.5 * b], 1)).astype(np.float32).astype(np.float64)

warnings.simplefilter("ignore")
mixture = GaussianMixture(
    3,
    tol=0.0,
    max_iter=12,
    reg_covar=1e-6,
    weights_init=[0.5, 0.3, 0.2],
    means_init=[[0.5, -0.5], [2.0, 2.0], [-2.0, 3.0]],
    precisions_init=np.stack([np.eye(2)] * 3),
).fit(x)
print(f"steps {mixture.n_iter_}")
print(f"mean log-likelihood {mixture.score(x):.12f}")
print("weights", ", ".join(f"{w:.12f}" for w in mixture.weights_))
