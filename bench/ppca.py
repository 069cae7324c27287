#!/usr/bin/env python3
"""The maximum that a linear VAE can reach, from scikit-learn and from the closed form, side by side.

    python bench/ppca.py ../shared/data/tabular/magic04.data --components 4
    python bench/ppca.py crates/latent/assets/fashion-mnist/t10k-images-idx3-ubyte.gz --components 5

Probabilistic PCA (Tipping & Bishop 1999) with q components has the greatest mean log-likelihood

    -1/2 [D ln 2 pi + sum_{i<=q} ln lambda_i + (D - q) ln sigma^2 + D],

lambda the eigenvalues of the data's covariance, sigma^2 the mean of those after the q-th. The tests in
crates/latent/tests/oracles/linear_vae.rs train a linear VAE on the same numbers and compare with the same formula.
A table is standardised, as the library does; of idx images the first 5000 are averaged over 4x4 blocks, as the test
does. Needs numpy and scikit-learn.
"""

import argparse
import gzip

import numpy as np
from sklearn.decomposition import PCA


def table(path):
    with open(path) as file:
        rows = [line.replace("\t", ",").strip().split(",") for line in file if line.strip()]

    def numeric(row):
        try:
            return [float(value) for value in row[:-1]]
        except ValueError:
            return None

    rows = [numbers for numbers in map(numeric, rows) if numbers]
    x = np.array(rows)
    return (x - x.mean(0)) / x.std(0)


def images(path):
    with gzip.open(path) as file:
        raw = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)[:5000]
    return raw.reshape(-1, 7, 4, 7, 4).mean((2, 4)).reshape(len(raw), 49) / 64.0


def closed_form(x, q):
    d = x.shape[1]
    eigenvalues = np.sort(np.linalg.eigvalsh(np.cov(x.T, bias=True)))[::-1]
    variance = eigenvalues[q:].mean()
    logs = np.log(eigenvalues[:q]).sum() + (d - q) * np.log(variance)
    return -0.5 * (d * np.log(2 * np.pi) + logs + d)


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("data", help="a table whose last column is a class, or idx images")
parser.add_argument("--components", type=int, default=4)
arguments = parser.parse_args()
x = images(arguments.data) if arguments.data.endswith(".gz") else table(arguments.data)
ours = closed_form(x, arguments.components)
theirs = PCA(arguments.components, svd_solver="full").fit(x).score(x)
print(f"{x.shape[0]} rows of {x.shape[1]}, {arguments.components} components")
print(f"closed form          {ours:.6f} nats")
print(f"PCA.score            {theirs:.6f} nats")
print(f"difference           {abs(ours - theirs):.1e}")
