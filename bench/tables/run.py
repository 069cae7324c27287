#!/usr/bin/env python3
"""The protocol of the literature on Adult, Default, Shoppers, Magic and a reduced Beijing, resumable, to docs/results/tables.md.

    python -m venv VENV && VENV/bin/pip install numpy pandas          # outside of the repository; ctgan for TVAE
    VENV/bin/python bench/tables/run.py DATA [WORK] [--methods independent,copula,…] [--sets adult,…] [--tables 20] [--seeds 3]

DATA is the folder with the UCI files (names in data.py). Each method makes tables of as many rows as the training table;
`latent judge` holds each against training and test rows. Methods without a model (independent columns, Gaussian copula,
training rows drawn with replacement, one half of the training rows against the other) have one "seed". Models are trained
once a seed: `latent train --preset table` (of methods tabsyn, hivae and own the presets tabsyn-vae, hi-vae and tvae, which are not
run unless named), and SDV's TVAE at its defaults where the package ctgan is installed.

The first table of each seed is judged in full, the others for what papers average over 20: shape, trend, C2ST, trees. What
is there already is kept (WORK, default runs/tables), so the command may be stopped at any time and given again. The command
is target/release/latent, or $LATENT.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import NormalDist, fmean, stdev

import numpy as np
import pandas as pd

import data

LATENT = os.environ.get("LATENT", "target/release/latent")
PAGE = Path(os.environ.get("PAGES", "docs/results")) / "tables.md"
MARKS = "<!-- written by bench/tables/run.py -->", "<!-- end -->"
FREE = ["independent", "copula", "bootstrap", "halves"]
NAMES = dict(
    independent="independent columns", copula="Gaussian copula", bootstrap="copies of training rows",
    halves="fresh real rows (half against half)", latent="latent, preset `table`", tabsyn="latent, preset `tabsyn-vae`",
    hivae="latent, preset `hi-vae`", own="latent, preset `tvae`", tvae="TVAE (ctgan)",
)
# Presets by method, and the sampler that is drawn from where it is not the fitted one.
PRESETS = dict(latent=("table", None), tabsyn=("tabsyn-vae", None), hivae=("hi-vae", None), own=("tvae", "prior"))
# Name of the figure, heading, what papers scale it by.
FIGURES = [
    ("shape", "shape %", 1), ("trend", "trend %", 1), ("trend_common", "trend %, common edges", 1),
    ("shape_test", "shape % to test", 1), ("trend_test", "trend % to test", 1), ("detection_trees", "trees AUC", 1),
    ("detection_logistic", "C2ST", 1), ("alpha_precision", "α %", 100), ("beta_recall", "β %", 100),
    ("utility", "utility AUC", 1), ("membership", "membership AUC", 1), ("copies", "copies %", 100),
]
# TabDLM, arXiv 2602.22586 (shape, trend); C2ST as their papers print it. All on their own splits with 20 tables of one model.
PUBLISHED = {
    "adult": dict(TVAE=(14.22, 14.15, 0.632), TabDDPM=(1.75, 3.01, 0.976), TabSyn=(0.81, 1.93, 0.991), TabDiff=(0.63, 1.49, 0.995)),
    "default": dict(TVAE=(10.17, 19.50, 0.655), TabDDPM=(1.57, 4.89, 0.971), TabSyn=(1.01, 2.81, 0.983), TabDiff=(1.24, 2.55, 0.977)),
    "shoppers": dict(TVAE=(24.51, 18.67, 0.296), TabDDPM=(2.72, 6.61, 0.835), TabSyn=(1.44, 2.13, 0.966), TabDiff=(1.28, 1.74, 0.984)),
    "magic": dict(TVAE=(8.25, 5.82, 0.771), TabDDPM=(1.01, 1.70, 1.000), TabSyn=(1.03, 0.88, 0.996), TabDiff=(0.78, 0.76, 0.999)),
    "beijing": {},
}
# What papers average over.
FULL = ["adult", "default", "shoppers", "magic"]
# Rows of which the time of drawing is told.
TIMED_ROWS = 30_000
# The same rows measured independently with sdmetrics and scikit-learn (integer-coded categories): shape, trend, trees AUC,
# C2ST, utility, α, β.
KNOWN = {
    "adult": dict(independent=(0, 7.37, 0.989, 1.000), copula=(0.33, 6.72, 0.985, 1.000, 0.823, 97.3, 10.9), bootstrap=(0.365, 1.01), halves=(None, None, 0.502, 0.999, 0.927)),
    "default": dict(independent=(0, 10.95, 1.000, 1.000), copula=(0.50, 7.61, 0.995, 0.994, 0.698, 76.6, 15.3), bootstrap=(0.456, 6.81), halves=(None, None, 0.504, 0.997, 0.773)),
    "shoppers": dict(independent=(0, 5.94, 0.986, 1.000), copula=(0.69, 4.10, 0.928, 1.000, 0.805, 98.4, 29.3), bootstrap=(0.645, 1.30), halves=(None, None, 0.508, 0.997, 0.919)),
    "magic": dict(independent=(0, 12.88, 0.997, 0.998), copula=(0.69, 4.19, 0.948, 1.000, 0.851, 93.6, 16.8), bootstrap=(0.591, 1.20), halves=(None, None, 0.500, 0.998, 0.949)),
    "beijing": dict(independent=(0, 5.63, 0.982, 1.000), copula=(0.30, 2.79, 0.952, 0.990), bootstrap=(0.327, 0.345), halves=(None, None, 0.503, 0.997)),
}
KNOWN_FIGURES = ["shape", "trend", "detection_trees", "detection_logistic", "utility", "alpha_precision", "beta_recall"]


def latent(*words):
    done = subprocess.run([LATENT, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"latent {' '.join(map(str, words))} ended with {done.returncode}\n{done.stderr}")
    return done.stdout


def read(path):
    return pd.read_csv(path, keep_default_na=False)


def copula(train, categories, rng):
    """Middle ranks, categories in the order of their names; as `latent judge` has it."""
    n, scores, columns = len(train), [], []
    normal = NormalDist()
    for name in train:
        cells = train[name].astype(str) if name in categories else train[name]
        order = np.argsort(cells.to_numpy(), kind="stable")
        rank = cells.rank(method="average").to_numpy() - 0.5
        middles, place = np.unique(rank, return_inverse=True)
        scores.append(np.array([normal.inv_cdf(m / n) for m in middles])[place])
        columns.append(train[name].to_numpy()[order])
    factor = np.linalg.cholesky(np.corrcoef(scores) + 1e-9 * np.eye(len(scores)))
    z = rng.standard_normal((n, len(scores))) @ factor.T
    shares = 0.5 * (1 + np.vectorize(math.erf)(z / math.sqrt(2)))
    rows = np.minimum((shares * n).astype(int), n - 1)
    return pd.DataFrame({name: columns[j][rows[:, j]] for j, name in enumerate(train)})


def free(method, train, categories, table):
    """A table without a model; its real side where that is not the training table."""
    rng = np.random.default_rng(table)
    if method == "independent":
        return pd.DataFrame({name: rng.permutation(train[name].to_numpy()) for name in train}), None
    if method == "copula":
        return copula(train, categories, rng), None
    if method == "bootstrap":
        return train.iloc[rng.integers(0, len(train), len(train))], None
    order, half = rng.permutation(len(train)), len(train) // 2
    return train.iloc[order[:half]], train.iloc[order[half : 2 * half]]


def sampled(method, folder, run, seed, table, rows, categories):
    """A table of a model that is trained where it is not there yet; the path of its file."""
    out = run / f"table-{table}.csv"
    if out.exists():
        return out
    if method in PRESETS:
        preset, sampler = PRESETS[method]
        if not (run / "model/model.safetensors").exists():
            begun = time.time()
            words = ["train", "--preset", preset, "--data", folder / "train.csv", "--out", run / "model", "--seed", seed]
            # The test rows lie apart; validation, which chooses the weights, takes a twentieth.
            latent(*words, "--set", "data.validation=0.05", "--set", "data.test=0.0", "--resume", "--no-report")
            if sampler is None:
                latent("fit-sampler", run / "model", "--seed", seed)
            (run / "seconds.txt").write_text(f"{time.time() - begun:.0f}")
        words = ["sample", run / "model", "--count", rows, "--seed", 1000 * seed + table, "--out", out]
        latent(*words, *(["--sampler", sampler] if sampler else []))
    else:
        import torch
        from ctgan import TVAE

        saved = run / "tvae.pt"
        if not saved.exists():
            torch.manual_seed(seed)
            np.random.seed(seed)
            begun, model = time.time(), TVAE(verbose=True)
            model.fit(read(folder / "train.csv"), categories)
            model.save(saved)
            (run / "seconds.txt").write_text(f"{time.time() - begun:.0f}")
        torch.manual_seed(1000 * seed + table)
        np.random.seed(1000 * seed + table)
        TVAE.load(saved).sample(rows).to_csv(out, index=False)
    return out


def cell(name, method, seed, table, folder, work):
    """Judges one table, once."""
    run = work / name / (method if method in FREE else f"{method}-{seed}")
    file = run / f"judged-{table}.json"
    if file.exists():
        return json.loads(file.read_text())
    run.mkdir(parents=True, exist_ok=True)
    train = read(folder / "train.csv")
    categories, target = (folder / "categories.txt").read_text().split(","), (folder / "target.txt").read_text()
    real, made = folder / "train.csv", None
    if method in FREE:
        fake, other = free(method, train, categories, table)
        made = run / f"table-{table}.csv"
        fake.to_csv(made, index=False)
        if other is not None:
            real = run / f"other-{table}.csv"
            other.to_csv(real, index=False)
    else:
        made = sampled(method, folder, run, seed, table, len(train), categories)
    numbers = [column for column in train if column not in categories]
    if target in numbers:
        # No AUC of a class.
        target = None
    words = ["judge", real, made, "--test", folder / "test.csv", "--numbers", ",".join(numbers), "--categories", ",".join(categories)]
    if table:
        words += ["--rows", 1000, "--no-baselines"]
    else:
        words += ["--target", target] if target else []
        words += ["--rows", len(train), "--no-baselines"]
    report = json.loads(latent(*words, "--json").splitlines()[-1])["report"]
    found = {figure["name"]: figure["value"] for figure in report["figures"]}
    if table:
        found = {key: found[key] for key in ("shape", "trend", "trend_common", "shape_test", "trend_test", "detection_trees", "detection_logistic") if key in found}
    temporary = file.with_suffix(".tmp")
    temporary.write_text(json.dumps(found))
    temporary.rename(file)
    for made in run.glob(f"*-{table}.csv"):
        made.unlink()
    print(name, method, seed, table, {key: round(value, 4) for key, value in found.items()}, flush=True)
    return found


def timed(run):
    """The seconds that drawing 30,000 rows takes, measured once."""
    file = run / "sampling.txt"
    if not file.exists():
        begun = time.time()
        latent("sample", run / "model", "--count", TIMED_ROWS, "--seed", 1, "--out", run / "timed.csv", "--force")
        file.write_text(f"{time.time() - begun:.1f}")
        (run / "timed.csv").unlink()


def seconds(work, name, method):
    """What training, and drawing, took in each training of a method, in words."""
    runs = sorted((work / name).glob(f"{method}-*"))
    read = lambda file: [run.joinpath(file).read_text() for run in runs if (run / file).exists()]
    trained, drawn = read("seconds.txt"), read("sampling.txt")
    said = f"{NAMES[method]}: trained in {', '.join(trained)} s" if trained else ""
    return said + (f", {TIMED_ROWS:,} rows drawn in {', '.join(drawn)} s" if drawn else "")


def averages(cells):
    """Means over the full sets, where a method has all of them."""
    shown = [(key, heading, scale) for key, heading, scale in FIGURES if key != "copies"]
    lines = ["## Mean over Adult, Default, Shoppers and Magic", "", "| method | " + " | ".join(heading for _, heading, _ in shown) + " |"]
    lines += ["| --- |" + " ---: |" * len(shown)]
    for method in NAMES:
        if not all((name, method) in cells for name in FULL):
            continue
        row = []
        for key, _, scale in shown:
            of = [[cell[key] for cell in cells[name, method] if key in cell] for name in FULL]
            row.append(number([fmean(map(fmean, of))], scale) if all(of) else "")
        lines.append(f"| {NAMES[method]} | " + " | ".join(row) + " |")
    for method in PUBLISHED["adult"]:
        means = [fmean(PUBLISHED[name][method][at] for name in FULL) for at in range(3)]
        found = dict(zip(("shape", "trend", "detection_logistic"), means))
        lines.append(f"| {method}, published | " + " | ".join(f"{found[key]:.2f}" if key in found else "" for key, *_ in shown) + " |")
    return [*lines, ""]


def number(values, scale):
    """Mean ± sd over tables; over trainings where there is one value each."""
    if not values:
        return "–"
    digits = 3 if scale == 1 and max(map(abs, values)) <= 1.5 else 2 if scale == 1 else 1
    text = f"{scale * fmean(values):.{digits}f}"
    return text + (f" ± {scale * stdev(values):.{digits}f}" if len(values) > 1 else "")


def all_cells(work):
    """Everything that lies in WORK, by set and method."""
    cells = {}
    for file in sorted(work.glob("*/*/judged-*.json")):
        key = file.parts[-3], file.parts[-2].split("-")[0]
        cells.setdefault(key, []).append(json.loads(file.read_text()))
    return cells


def page(work):
    cells = all_cells(work)
    lines = [MARKS[0], "", *averages(cells)]
    for name in data.TABLES:
        methods = [method for method in NAMES if (name, method) in cells]
        if not methods:
            continue
        title = name.capitalize() + ("" if name in FULL else ", reduced: other columns than in papers")
        lines += [f"## {title}", "", "| method | " + " | ".join(heading for _, heading, _ in FIGURES) + " |"]
        lines += ["| --- |" + " ---: |" * len(FIGURES)]
        for method in methods:
            found = cells[name, method]
            shown = [number([cell[key] for cell in found if key in cell], scale) for key, _, scale in FIGURES]
            lines.append(f"| {NAMES[method]} ({len(found)}) | " + " | ".join(shown) + " |")
            known = KNOWN[name].get(method)
            if known:
                known = dict(zip(KNOWN_FIGURES, known))
                shown = ["" if known.get(key) is None else f"*{known[key]}*" for key, _, _ in FIGURES]
                lines.append("| *by sdmetrics and scikit-learn* | " + " | ".join(shown) + " |")
        for method, (shape, trend, c2st) in PUBLISHED[name].items():
            shown = dict(shape=shape, trend=trend, detection_logistic=c2st)
            lines.append(f"| {method}, published | " + " | ".join(str(shown.get(key, "")) for key, _, _ in FIGURES) + " |")
        lines.append("")
        said = [text for method in (*PRESETS, "tvae") if (text := seconds(work, name, method))]
        lines += ["; ".join(said) + ".", ""] if said else []
    lines.append(MARKS[1])
    text = PAGE.read_text()
    before, rest = text.split(MARKS[0], 1)
    after = rest.split(MARKS[1], 1)[1]
    temporary = PAGE.with_suffix(".tmp")
    temporary.write_text(before + "\n".join(lines) + after)
    temporary.rename(PAGE)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path, nargs="?", default=Path("runs/tables"))
    parser.add_argument("--methods", default=",".join([*FREE, "latent", "tvae"]))
    parser.add_argument("--sets", default=",".join(data.TABLES))
    parser.add_argument("--tables", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    for name in asked.sets.split(","):
        folder = data.prepare(name, asked.data, asked.work)
        for method in asked.methods.split(","):
            for seed in [1] if method in FREE else range(1, asked.seeds + 1):
                for table in range(asked.tables):
                    cell(name, method, seed, table, folder, asked.work)
                if method == "latent":
                    timed(asked.work / name / f"latent-{seed}")
            page(asked.work)


if __name__ == "__main__":
    main()
