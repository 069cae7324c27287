#!/usr/bin/env python3
"""Gaps that are filled in: Adult with 30 % of its cells taken out, to docs/results/tables.md.

    VENV/bin/python bench/tables/gaps.py DATA [WORK] [--draws 20] [--rows 4000]        # numpy, pandas, scikit-learn

Two ways of taking out: completely at random (mcar), and dependent on what stays (mar: a cell of the columns that lose some is empty
with a probability that rises with age, and is higher for men; age, sex and income stay). Each method learns from the table with
holes alone and fills in ROWS of its rows DRAWS times, and all of them once:

- latent: `latent train --preset table` on the table with holes, `latent impute`.
- IterativeImputer of scikit-learn with its Bayesian ridge, draws of its posterior, categories in the order of their names (rounded).
- forest: IterativeImputer with extremely randomised trees, as MissForest does: one table, no draws.
- median, most frequent.

Numbers: the root mean squared error of the mean of the draws, over the column's deviation, mean over columns. Categories: how often the
most frequent draw is wrong, %. Cover: how often the middle 90 % of the draws of a number hold what was taken out, and how wide
they are in deviations. Likeness: shape and trend error of the filled table (%, one draw) to the table without holes. Utility: AUC
for income on the test rows of boosted trees that learned from the filled table.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingClassifier
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, SimpleImputer
from sklearn.metrics import roc_auc_score

import data
from run import PAGE, latent, read

MARKS = "<!-- written by bench/tables/gaps.py -->", "<!-- end of gaps -->"
NAMES = dict(
    whole="nothing taken out", latent="latent", ridge="IterativeImputer, Bayesian ridge, draws", forest="IterativeImputer, trees",
    simple="median, most frequent",
)


def holes(train, how, rng):
    """Which cells are taken out, about 30 % of those that may be."""
    if how == "mcar":
        out = rng.random(train.shape) < 0.3
        out[:, list(train).index("income")] = False
        return out
    age = train["age"].rank(pct=True).to_numpy()
    share = 0.1 + 0.3 * age + 0.1 * (train["sex"] == "Male").to_numpy()
    out = rng.random(train.shape) < share[:, None]
    for stays in ("age", "sex", "income"):
        out[:, list(train).index(stays)] = False
    return out


class Codes:
    """Categories as numbers, and back."""

    def __init__(self, train, categories):
        self.columns = list(train)
        self.words = {name: sorted(train[name].astype(str).unique()) for name in categories}

    def to(self, table):
        coded = {}
        for name in self.columns:
            if name in self.words:
                place = {word: at for at, word in enumerate(self.words[name])}
                coded[name] = table[name].astype(object).map(lambda word: place.get(str(word), np.nan)).astype(float)
            else:
                coded[name] = pd.to_numeric(table[name], errors="coerce").astype(float)
        return pd.DataFrame(coded)

    def back(self, numbers):
        table = {}
        for at, name in enumerate(self.columns):
            column = numbers[:, at]
            if name in self.words:
                words = np.array(self.words[name], dtype=object)
                table[name] = words[np.clip(np.rint(column).astype(int), 0, len(words) - 1)]
            else:
                table[name] = np.rint(column)
        return pd.DataFrame(table)


def filled(method, torn, codes, folder, asked):
    """DRAWS tables of the first ROWS rows, one of all, and the seconds it took to learn and to fill."""
    begun = time.time()
    if method == "latent":
        holes, some, run = folder / "holes.csv", folder / "some.csv", folder / "run"
        torn.to_csv(holes, index=False)
        torn.head(asked.rows).to_csv(some, index=False)
        if not (run / "model.safetensors").exists():
            latent("train", "--preset", "table", "--data", holes, "--out", run, "--set", "data.test=0.0", "--no-report", "--resume")
        latent("impute", run, "--data", some, "--out", folder / "draw.csv", "--draws", asked.draws, "--force")
        latent("impute", run, "--data", holes, "--out", folder / "all.csv", "--force")
        draws = [read(folder / f"draw-{at}.csv") for at in range(1, asked.draws + 1)]
        return draws, read(folder / "all.csv"), time.time() - begun
    coded = codes.to(torn).to_numpy()
    if method == "ridge":
        imputer = IterativeImputer(sample_posterior=True, max_iter=10, random_state=1, min_value=np.nanmin(coded, 0), max_value=np.nanmax(coded, 0))
    elif method == "forest":
        trees = ExtraTreesRegressor(n_estimators=30, min_samples_leaf=5, random_state=1, n_jobs=2)
        imputer = IterativeImputer(trees, max_iter=5, random_state=1)
    else:
        words = [name in codes.words for name in codes.columns]
        both = np.empty_like(coded)
        for at, is_word in enumerate(words):
            strategy = "most_frequent" if is_word else "median"
            both[:, [at]] = SimpleImputer(strategy=strategy).fit_transform(coded[:, [at]])
        whole = codes.back(both)
        return [whole.head(asked.rows)], whole, time.time() - begun
    whole = imputer.fit_transform(coded)
    times = asked.draws if method == "ridge" else 1
    draws = [codes.back(imputer.transform(coded[: asked.rows]) if times > 1 else whole[: asked.rows]) for _ in range(times)]
    return draws, codes.back(whole), time.time() - begun


def utility(table, test, codes):
    x, y = codes.to(table.drop(columns="income").assign(income="?")), table["income"] == ">50K"
    to, truth = codes.to(test.assign(income="?")), test["income"] == ">50K"
    names = [name for name in codes.columns if name != "income"]
    model = HistGradientBoostingClassifier(max_iter=150, random_state=1).fit(x[names], y)
    return roc_auc_score(truth, model.predict_proba(to[names])[:, 1])


def judged(train, torn, out, draws, whole, test, codes, folder, categories):
    """The figures of one method."""
    rows, errors, wrong, cover, width = len(draws[0]), [], [], [], []
    for at, name in enumerate(train):
        lost = out[:rows, at]
        if not lost.any():
            continue
        truth = train[name].to_numpy()[:rows][lost]
        if name in categories:
            votes = pd.DataFrame({i: draw[name].astype(str).to_numpy()[lost] for i, draw in enumerate(draws)})
            wrong.append(float((votes.mode(axis=1)[0].to_numpy() != truth.astype(str)).mean()))
            continue
        values = np.array([pd.to_numeric(draw[name]).to_numpy()[lost] for draw in draws], dtype=float)
        spread = float(train[name].std())
        errors.append(float(np.sqrt(np.mean((values.mean(0) - truth) ** 2))) / spread)
        if len(draws) > 1:
            low, high = np.quantile(values, [0.05, 0.95], axis=0)
            cover.append(float(((truth >= low) & (truth <= high)).mean()))
            width.append(float(np.mean(high - low)) / spread)
    made, real = folder / "filled.csv", folder / "whole.csv"
    whole[list(train)].to_csv(made, index=False)
    train.to_csv(real, index=False)
    numbers = [name for name in train if name not in categories]
    words = ["judge", real, made, "--numbers", ",".join(numbers), "--categories", ",".join(categories), "--rows", 1000, "--no-baselines"]
    report = json.loads(latent(*words, "--json").splitlines()[-1])["report"]
    figures = {figure["name"]: figure["value"] for figure in report["figures"]}
    mean = lambda values: float(np.mean(values)) if values else None
    return dict(
        error=mean(errors), wrong=mean(wrong), cover=mean(cover), width=mean(width), shape=figures["shape"], trend=figures["trend"],
        trees=figures["detection_trees"], utility=utility(whole, test, codes),
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path, nargs="?", default=Path("runs/tables"))
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--methods", default="simple,ridge,forest,latent")
    parser.add_argument("--ways", default="mcar,mar")
    asked = parser.parse_args()
    source = data.prepare("adult", asked.data, asked.work)
    train, test = read(source / "train.csv"), read(source / "test.csv")
    categories = (source / "categories.txt").read_text().split(",")
    codes = Codes(train, categories)
    lines = []
    for way in asked.ways.split(","):
        out = holes(train, way, np.random.default_rng(1))
        torn = train.astype(object).mask(out, "")
        lines += [
            f"**{way.upper()}**, {100 * out.mean():.0f} % of all cells:", "",
            "| method | numbers, RMSE/σ | categories wrong % | cover of 90 % | width/σ | shape % | trend % | trees AUC | utility AUC | s |",
            "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        ]
        for method in ["whole", *asked.methods.split(",")]:
            folder = asked.work / "gaps" / way / method
            cell = folder / "judged.json"
            if not cell.exists():
                folder.mkdir(parents=True, exist_ok=True)
                if method == "whole":
                    found = dict(utility=utility(train, test, codes))
                else:
                    draws, whole, seconds = filled(method, torn, codes, folder, asked)
                    found = judged(train, torn, out, draws, whole, test, codes, folder, categories) | dict(seconds=seconds)
                cell.write_text(json.dumps(found))
            f = json.loads(cell.read_text())
            text = lambda key, digits, scale=1: "" if f.get(key) is None else f"{scale * f[key]:.{digits}f}"
            lines.append(
                f"| {NAMES[method]} | {text('error', 3)} | {text('wrong', 1, 100)} | {text('cover', 3)} | {text('width', 2)} "
                f"| {text('shape', 2)} | {text('trend', 2)} | {text('trees', 3)} | {text('utility', 4)} | {text('seconds', 0)} |"
            )
            print(way, lines[-1], flush=True)
        lines.append("")
    text = PAGE.read_text()
    before, rest = text.split(MARKS[0], 1)
    temporary = PAGE.with_suffix(".tmp")
    temporary.write_text(before + MARKS[0] + "\n\n" + "\n".join(lines) + MARKS[1] + rest.split(MARKS[1], 1)[1])
    temporary.rename(PAGE)


if __name__ == "__main__":
    main()
