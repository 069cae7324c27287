#!/usr/bin/env python3
"""Rows that meet a condition, against rejection: ten conditions of decreasing frequency on Adult, to docs/results/tables.md.

    VENV/bin/python bench/tables/conditions.py DATA [WORK] [--count 2000] [--pool 300000] [--reference sdv]

WORK holds the model of run.py (adult/latent-1). The oracle: POOL rows of the same model without a condition, of which those are
kept that meet it. `latent sample --where` makes COUNT rows; a column's distance is the total variation (ten bins of the kept
rows' quantiles where it is a number), the figure is the mean over the columns that the condition leaves free. Beside it
is what chance gives: the distance of as many rows drawn from the kept ones, with replacement, to the kept ones. Seconds of
rejection are those of as many rows as hold COUNT that meet the condition. With `--reference sdv` SDV's Gaussian copula is fitted and
asked for the same rows by `sample_from_conditions`, which takes no ranges: those cells are empty.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

import data
from run import PAGE, latent, read

MARKS = "<!-- written by bench/tables/conditions.py -->", "<!-- end of conditions -->"
# What `--where` is given, and the same of a frame of rows.
CONDITIONS = [
    ("sex = Female", lambda t: t["sex"] == "Female"),
    ("income = >50K", lambda t: t["income"] == ">50K"),
    ("education = Bachelors", lambda t: t["education"] == "Bachelors"),
    ("income = >50K, sex = Female", lambda t: (t["income"] == ">50K") & (t["sex"] == "Female")),
    ("age = 65..90", lambda t: t["age"].between(65, 90)),
    ("native-country = Mexico", lambda t: t["native-country"] == "Mexico"),
    ("education = Doctorate", lambda t: t["education"] == "Doctorate"),
    ("marital-status = Widowed, sex = Male", lambda t: (t["marital-status"] == "Widowed") & (t["sex"] == "Male")),
    ("education = Doctorate, sex = Female", lambda t: (t["education"] == "Doctorate") & (t["sex"] == "Female")),
    ("occupation = Tech-support, age = 55..90, income = >50K",
     lambda t: (t["occupation"] == "Tech-support") & t["age"].between(55, 90) & (t["income"] == ">50K")),
]


def bins(real, categories, column):
    """How a column is counted: its values, or ten bins at the quantiles of the kept rows."""
    if column in categories:
        return lambda t: t[column].astype(str).value_counts(normalize=True)
    edges = np.unique(np.quantile(real[column], np.linspace(0, 1, 11)))[1:-1]
    return lambda t: pd.Series(np.searchsorted(edges, t[column])).value_counts(normalize=True)


def distance(kept, made, categories, free):
    """The mean total variation over the free columns, in per cent."""
    all = []
    for column in free:
        count = bins(kept, categories, column)
        all.append(0.5 * count(kept).subtract(count(made), fill_value=0).abs().sum())
    return 100 * float(np.mean(all))


def timed(*words):
    begun = time.time()
    said = latent(*words)
    return time.time() - begun, said


def copula(train, categories):
    """SDV's Gaussian copula on the training table."""
    from sdv.metadata import Metadata
    from sdv.single_table import GaussianCopulaSynthesizer

    metadata = Metadata()
    metadata.add_table("table")
    for column in train:
        metadata.add_column(column, table_name="table", sdtype="categorical" if column in categories else "numerical")
    model = GaussianCopulaSynthesizer(metadata)
    model.fit({"table": train})
    return model


def asked_of_sdv(model, condition, count):
    from sdv.sampling import Condition

    pairs = dict(part.split(" = ") for part in condition.split(", "))
    if any(".." in value for value in pairs.values()):
        return None
    begun = time.time()
    model.sample_from_conditions([Condition(num_rows=count, column_values=pairs)])
    return time.time() - begun


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path, nargs="?", default=Path("runs/tables"))
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--pool", type=int, default=300_000)
    parser.add_argument("--reference", default="")
    asked = parser.parse_args()
    folder = data.prepare("adult", asked.data, asked.work)
    categories = (folder / "categories.txt").read_text().split(",")
    train, model = read(folder / "train.csv"), asked.work / "adult/latent-1/model"
    if not (model / "model.safetensors").exists():
        sys.exit(f"{model} holds no model: bench/tables/run.py DATA WORK --methods latent --sets adult --seeds 1 trains it")
    work = asked.work / "conditions"
    work.mkdir(exist_ok=True)
    pool = work / "pool.csv"
    if not pool.exists():
        seconds, _ = timed("sample", model, "--count", asked.pool, "--seed", 77, "--out", pool)
        (work / "pool.txt").write_text(f"{seconds}")
    per_row = float((work / "pool.txt").read_text()) / asked.pool
    rows, rng = read(pool), np.random.default_rng(1)
    other = copula(train, categories) if asked.reference == "sdv" else None
    lines = [
        "| condition | of training rows % | of the model's rows % | distance to rejection % | by chance % | s | rejection, s | SDV, s |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for at, (condition, meets) in enumerate(CONDITIONS):
        cell = work / f"{at}.json"
        if not cell.exists():
            out = work / f"{at}.csv"
            seconds, _ = timed("sample", model, "--count", asked.count, "--where", condition, "--seed", 1, "--out", out, "--force")
            made, kept = read(out), rows[meets(rows)]
            if not meets(made).all():
                sys.exit(f"{condition}: {int((~meets(made)).sum())} rows do not meet it")
            named = [part.split(" = ")[0] for part in condition.split(", ")]
            free = [column for column in train if column not in named]
            chance = [distance(kept, kept.iloc[rng.integers(0, len(kept), asked.count)], categories, free) for _ in range(5)]
            found = dict(
                real=100 * float(meets(train).mean()), model=100 * len(kept) / len(rows), kept=len(kept),
                distance=distance(kept, made, categories, free), chance=float(np.mean(chance)), seconds=seconds,
                rejection=asked.count / max(len(kept), 1) * len(rows) * per_row,
                sdv=asked_of_sdv(other, condition, asked.count) if other else None,
            )
            cell.write_text(json.dumps(found))
        f = json.loads(cell.read_text())
        sdv = "" if f["sdv"] is None else f"{f['sdv']:.1f}"
        lines.append(
            f"| `{condition}` | {f['real']:.2f} | {f['model']:.2f} ({f['kept']}) | {f['distance']:.2f} | {f['chance']:.2f} "
            f"| {f['seconds']:.1f} | {f['rejection']:.1f} | {sdv} |"
        )
        print(lines[-1], flush=True)
    text = PAGE.read_text()
    before, rest = text.split(MARKS[0], 1)
    temporary = PAGE.with_suffix(".tmp")
    temporary.write_text(before + MARKS[0] + "\n\n" + "\n".join(lines) + "\n\n" + MARKS[1] + rest.split(MARKS[1], 1)[1])
    temporary.rename(PAGE)


if __name__ == "__main__":
    main()
