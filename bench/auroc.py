#!/usr/bin/env python3
"""The expected figures of crates/latent/tests/oracles/anomaly.rs: AUROC by scikit-learn, its variance by DeLong's
structural components over all pairs (no sorting, no ranks).

    python3 bench/auroc.py        # needs numpy and scikit-learn
"""

import numpy as np
from sklearn.metrics import roc_auc_score

foreign = np.array([(i * 37 % 101) // 5 + 4 for i in range(60)], float)
own = np.array([(i * 53 % 97) // 5 for i in range(83)], float)

pairs = (foreign[:, None] > own) + 0.5 * (foreign[:, None] == own)
area = roc_auc_score(np.r_[np.ones(60), np.zeros(83)], np.r_[foreign, own])
assert abs(area - pairs.mean()) < 1e-12
error = np.sqrt(pairs.mean(1).var(ddof=1) / 60 + pairs.mean(0).var(ddof=1) / 83)
logit, reach = np.log(area / (1 - area)), 1.959963984540054 * error / (area * (1 - area))
low, high = 1 / (1 + np.exp(-(logit - reach))), 1 / (1 + np.exp(-(logit + reach)))
print(f"ties: {(foreign[:, None] == own).sum()} of {pairs.size} pairs")
print(f"area {area:.15f}  error {error:.15f}  interval {low:.15f} {high:.15f}")
