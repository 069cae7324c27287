"""Constants of the tests of crates/latent/src/evaluate/tables, from the implementations that papers use.

    pip install numpy pandas scikit-learn==1.9.1 sdmetrics==0.32.0
    python bench/tables/reference.py
"""

import numpy as np
import pandas as pd
from sdmetrics.column_pairs import ContingencySimilarity, CorrelationSimilarity
from sdmetrics.single_column import KSComplement, TVComplement
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score


def logistic():
    """ridge.rs"""
    i = np.arange(60)
    x = np.c_[np.sin(1.7 * i), 3 * np.cos(2.3 * i)]
    y = x[:, 0] + 0.5 * x[:, 1] + np.sin(0.9 * i) > 0.3
    fit = LogisticRegression(tol=1e-10, max_iter=10_000).fit(x, y)
    print("logistic", fit.decision_function(x[:3]).tolist())


def tables(n, phase):
    """Two tables by formula, as protocol.rs has them: two numbers, two categories."""
    i = np.arange(n)
    a = np.sin(1.7 * i + phase) + 0.3 * np.sin(0.31 * i)
    b = np.round(4 * a + 3 * np.cos(2.3 * i)) + 20 * phase * (i % 7 == 0)
    c = np.array(["x", "y", "z", "w"])[(np.floor(3 * np.abs(np.sin(0.9 * i + phase)) + (a > 0.4))).astype(int) % 4]
    d = np.where(np.cos(1.1 * i) + a > 0.2, "yes", "no")
    return pd.DataFrame(dict(a=a, b=b, c=c, d=d))


def protocol():
    """protocol.rs: shape and trend as TabSyn's code has them."""
    real, fake = tables(400, 0.0), tables(300, 0.25)
    for column in real:
        metric = KSComplement if column in "ab" else TVComplement
        print("shape", column, 1 - metric.compute(real[column], fake[column]))
    names = list(real)
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            if a in "ab" and b in "ab":
                value = 1 - CorrelationSimilarity.compute(real[[a, b]], fake[[a, b]])
            else:
                r, f = real[[a, b]].copy(), fake[[a, b]].copy()
                for column in (a, b):
                    if column in "ab":
                        for table in (r, f):
                            table[column] = np.digitize(table[column], np.histogram_bin_edges(table[column], 10)).astype(str)
                value = 1 - ContingencySimilarity.compute(r, f, num_rows_subsample=None)
            print("trend", a, b, value)


def trees():
    """protocol.rs: boosted trees learn `d` of one table and are asked on another."""
    real, held = tables(2000, 0.0), tables(1500, 0.03)
    inputs = lambda table: np.c_[table["a"], table["b"], pd.Categorical(table["c"], ["x", "y", "z", "w"]).codes]
    fit = HistGradientBoostingClassifier(early_stopping=False, categorical_features=[2])
    fit.fit(inputs(real), real["d"] == "yes")
    print("trees", roc_auc_score(held["d"] == "yes", fit.decision_function(inputs(held))))


def fidelity():
    """protocol.rs: α-precision and β-recall as synthcity's AlphaPrecision, "naive", on min-max and one-hot columns."""
    real, fake = tables(300, 0.0), tables(300, 0.25)
    low, high = real[["a", "b"]].min(), real[["a", "b"]].max()

    def points(table):
        numbers = ((table[["a", "b"]] - low) / (high - low)).to_numpy()
        return np.c_[numbers, *(table["c"] == level for level in "xyzw"), *(table["d"] == level for level in ("yes", "no"))]

    x, s = points(real), points(fake)
    far = lambda p, q: np.sqrt(((p[:, None] - q[None]) ** 2).sum(-1))
    to_real = far(x, x) + np.diag(np.full(len(x), np.inf))
    nearest_real, nearest_fake = to_real.min(1), far(x, s)
    depth = np.linalg.norm(s[nearest_fake.argmin(1)] - s.mean(0), axis=1)
    alphas = np.linspace(0, 1, 30)
    radii = np.quantile(np.linalg.norm(x - x.mean(0), axis=1), alphas)
    precision = [(np.linalg.norm(s - x.mean(0), axis=1) <= r).mean() for r in radii]
    recall = [((nearest_fake.min(1) <= nearest_real) & (depth <= r)).mean() for r in np.quantile(depth, alphas)]
    score = lambda curve: 1 - np.abs(alphas - curve).sum() / alphas.sum()
    from_fake = far(s, x)
    print("fidelity", score(np.array(precision)), score(np.array(recall)), (from_fake.min(1) > nearest_real[from_fake.argmin(1)]).mean())


for constants in (logistic, protocol, trees, fidelity):
    constants()
