"""The figures that crates/latent/src/evaluate/disentanglement/tests.rs holds as constants: the published definitions
(disentanglement_lib's, arXiv 1811.12359) in numpy and scikit-learn, on made-up codes that the test makes too.

python bench/disentanglement.py     needs numpy, scipy, scikit-learn
"""

import numpy as np
from scipy.stats import entropy, spearmanr
from sklearn.ensemble import BaggingClassifier, GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import mutual_info_score
from sklearn.tree import DecisionTreeClassifier


def made(n):
    state = 12345

    def draw():
        nonlocal state
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        return state >> 33

    codes, factors = [], []
    for _ in range(n):
        v = [draw() % 3, draw() % 4, draw() % 8]
        u = [draw() / 2**31 for _ in range(4)]
        a, b, c = map(float, v)
        codes.append([a + 0.8 * u[0], c + u[1], 0.9 * b + 0.25 * c + 0.4 * u[2], np.sin(1.5 * b) + u[3]])
        factors.append(v)
    return np.array(codes).astype(np.float32).astype(np.float64).T, np.array(factors).T


def hard(n):
    """A factor a dimension under noise that hides most of it, on scales of 1, 0.3 and 3, beside one of noise alone: no score
    is near 1 here, and votes by a wrong rule get another."""
    state = 54321

    def draw():
        nonlocal state
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        return state >> 33

    codes, factors = [], []
    for _ in range(n):
        v = [draw() % 3, draw() % 4, draw() % 8]
        u = [draw() / 2**31 for _ in range(4)]
        codes.append([v[0] + 6 * u[0], 0.3 * (v[1] + 7 * u[1]), 3 * (v[2] + 16 * u[2]), u[3]])
        factors.append(v)
    return np.array(codes).astype(np.float32).astype(np.float64).T, np.array(factors).T


def discretize(target, bins=20):
    return np.stack([np.digitize(row, np.histogram(row, bins)[1][:-1]) for row in target])


def mutual(codes, factors):
    bins = discretize(codes)
    return np.array([[mutual_info_score(f, b) for f in factors] for b in bins])


def mig(m, factors):
    h = np.array([mutual_info_score(f, f) for f in factors])
    s = np.sort(m, axis=0)[::-1]
    return np.mean((s[0] - s[1]) / h)


def modularity(m):
    sq = m**2
    top = sq.max(axis=1)
    score = 1 - (sq.sum(axis=1) - top) / (top * (m.shape[1] - 1.0))
    score[top == 0] = 0
    return score.mean()


def sap(codes, factors):
    s = np.zeros((len(codes), len(factors)))
    for i, z in enumerate(codes):
        for j, f in enumerate(factors):
            cov = np.cov(z, f, ddof=1)
            s[i, j] = cov[0, 1] ** 2 / (cov[0, 0] * cov[1, 1]) if cov[0, 0] > 1e-12 else 0.0
    s = np.sort(s, axis=0)
    return np.mean(s[-1] - s[-2])


def disentangled(r):
    per_code = 1 - entropy(r.T + 1e-11, base=r.shape[1])
    return np.sum(per_code * r.sum(axis=1) / r.sum())


def complete(r):
    per_factor = 1 - entropy(r + 1e-11, base=r.shape[0])
    return np.sum(per_factor * r.sum(axis=0) / r.sum())


def trees(codes, factors, boosted):
    n = codes.shape[1] * 2 // 3
    r, accuracy = np.zeros((len(codes), len(factors))), []
    for k, f in enumerate(factors):
        if boosted:
            fit = GradientBoostingClassifier(random_state=0).fit(codes[:, :n].T, f[:n])
            r[:, k] = np.abs(fit.feature_importances_)
        else:
            base = DecisionTreeClassifier(max_depth=12, min_samples_leaf=5)
            fit = BaggingClassifier(base, n_estimators=10, random_state=0).fit(codes[:, :n].T, f[:n])
            r[:, k] = np.mean([t.feature_importances_ for t in fit.estimators_], axis=0)
        accuracy.append(np.mean(fit.predict(codes[:, n:].T) == f[n:]))
    return disentangled(r), complete(r), np.mean(accuracy)


def votes(codes, factors, rng, train=10_000, test=5_000, batch=64):
    """FactorVAE's score (Kim & Mnih) and the β-VAE score (Higgins et al.), and what wrong rules would give: the least variance
    in no units, or the greatest; signed differences of pairs, or of one pair."""
    spread = codes.var(axis=1, ddof=1)
    pools = [{v: np.flatnonzero(f == v) for v in np.unique(f)} for f in factors]
    local, x, y = [], [], []
    for i in range(train + test):
        k = rng.integers(len(factors))
        rows = rng.choice(pools[k][factors[k][rng.integers(codes.shape[1])]], batch)
        local.append(codes[:, rows].var(axis=1, ddof=1))
        first = rng.integers(codes.shape[1], size=batch)
        same = [pools[k][v] for v in factors[k][first]]
        second = np.array([rows[int(u * len(rows))] for rows, u in zip(same, rng.random(batch))])
        d = codes[:, first] - codes[:, second]
        x.append([np.abs(d).mean(axis=1), d.mean(axis=1), np.abs(d[:, 0])])
        y.append(k)
    local, x, y = np.array(local), np.array(x), np.array(y)

    def majority(j):
        table = np.zeros((len(codes), len(factors)))
        np.add.at(table, (j[:train], y[:train]), 1)
        return np.mean(table.argmax(axis=1)[j[train:]] == y[train:])

    def linear(x):
        fit = LogisticRegression(max_iter=10_000).fit(x[:train], y[:train])
        return np.mean(fit.predict(x[train:]) == y[train:])

    factor = {"score": (local / spread).argmin(1), "in no units": local.argmin(1), "greatest": (local / spread).argmax(1)}
    beta = {"score": x[:, 0], "signed": x[:, 1], "one pair": x[:, 2]}
    return {n: float(majority(j)) for n, j in factor.items()}, {n: float(linear(x)) for n, x in beta.items()}


def similarity(a, b):
    r = np.array([[abs(spearmanr(p, q).statistic) for q in b] for p in a])
    return (np.sum(r.max(axis=0) ** 2 / r.sum(axis=0)) + np.sum(r.max(axis=1) ** 2 / r.sum(axis=1))) / sum(r.shape)


def udr(models):
    return [float(np.median([similarity(a, b) for j, b in enumerate(models) if j != i])) for i, a in enumerate(models)]


if __name__ == "__main__":
    codes, factors = made(3000)
    m = mutual(codes, factors)
    print("MIG", mig(m, factors), "SAP", sap(codes, factors), "MODULARITY", modularity(m))
    r = np.array([[0.7, 0.1, 0.0], [0.2, 0.0, 0.5], [0.05, 0.6, 0.3], [0.05, 0.3, 0.2]])
    print("DISENTANGLED", disentangled(r), "COMPLETE", complete(r))
    print("FOREST", trees(codes, factors, False), "boosted", trees(codes, factors, True))
    print("VOTES", votes(codes, factors, np.random.default_rng(0)))
    for seed in range(3):
        print("VOTES, hard", seed, votes(*hard(3000), np.random.default_rng(seed)))
    z = codes[:, :1000].astype(np.float32)
    turned = np.stack([-z[2], z[0], -3 * z[1]])
    mixed = np.stack([z[0] + z[1], z[1] - np.float32(2) * z[0], z[2] + np.float32(0.5) * z[0]])
    print("UDR", udr([z[:3], turned, mixed]))
