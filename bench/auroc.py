#!/usr/bin/env python3
"""The expected figures of crates/latent/tests/oracles/anomaly.rs: AUROC by scikit-learn, its variance by DeLong's
structural components over all pairs (no sorting, no ranks), with one more component a side, half 0 and half 1.

    python3 bench/auroc.py        # needs numpy and scikit-learn
"""

import numpy as np
from sklearn.metrics import roc_auc_score

foreign = np.array([(i * 37 % 101) // 5 + 4 for i in range(60)], float)
own = np.array([(i * 53 % 97) // 5 for i in range(83)], float)

pairs = (foreign[:, None] > own) + 0.5 * (foreign[:, None] == own)
area = roc_auc_score(np.r_[np.ones(60), np.zeros(83)], np.r_[foreign, own])
assert abs(area - pairs.mean()) < 1e-12

# The added component as two of half the weight.
mean, variance = [], []
for shares in (pairs.mean(1), pairs.mean(0)):
    values, weights = np.r_[shares, 0, 1], np.r_[np.ones(shares.size), 0.5, 0.5]
    mean.append(np.average(values, weights=weights))
    variance.append(np.cov(values, aweights=weights, ddof=0) * (shares.size + 1) / shares.size / (shares.size + 1))
error = np.sqrt(sum(variance))
low, high = np.mean(mean) - 1.959963984540054 * error, np.mean(mean) + 1.959963984540054 * error
print(f"ties: {(foreign[:, None] == own).sum()} of {pairs.size} pairs")
print(f"area {area:.15f}  error {error:.15f}  interval {low:.15f} {high:.15f}")
