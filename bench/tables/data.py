"""The tables of the protocol that TabSyn, TabDiff and EF-VFM share: columns by kind, the split into training and test rows.

Adult keeps its official split. The others are cut 90/10 after a shuffle with seed 1234; where a category is missing from
the training rows, with the next seed. "?" is a category of its own; a numeric gap becomes the column's mean.
"""

from pathlib import Path

import numpy as np
import pandas as pd

ADULT = (
    "age workclass fnlwgt education education-num marital-status occupation relationship race sex capital-gain "
    "capital-loss hours-per-week native-country income"
).split()
MAGIC = "Length Width Size Conc Conc1 Asym M3Long M3Trans Alpha Dist class".split()

# File, numeric columns, target (all others are categories): places as in the authors' Info files.
TABLES = {
    "adult": dict(numbers=[0, 2, 4, 10, 11, 12], target=14),
    "default": dict(numbers=[0, 4, *range(11, 23)], target=23),
    "shoppers": dict(numbers=list(range(10)), target=17),
    "magic": dict(numbers=list(range(10)), target=10),
    # Reduced: without the hour of each row, which the authors' file has as four columns.
    "beijing": dict(numbers=[0, 1, 2, 3, 5, 6, 7], target=0),
}


def whole(name, source):
    """All rows that are split; None for Adult, which comes split."""
    if name == "default":
        return pd.read_csv(source / "uci_credit_default_lf.csv").drop(columns="ID")
    if name == "shoppers":
        return pd.read_csv(source / "online_shoppers_intention.csv")
    if name == "beijing":
        return pd.read_csv(source / "beijing_pm25.csv").drop(columns="date").dropna()
    return pd.read_csv(source / "magic04.data", sep="\t", header=None, names=MAGIC)


def split(table, categories):
    """The authors' loop: each further seed shuffles what the last one left."""
    count = int(len(table) * 0.9)
    order, seed = np.arange(len(table)), 1234
    while True:
        np.random.seed(seed)
        np.random.shuffle(order)
        train, test = table.iloc[order[:count]], table.iloc[order[count:]]
        if all(set(train[c]) == set(table[c]) for c in categories):
            return train, test
        seed += 1


def load(name, source):
    """Training rows, test rows, names of the categories, name of the target."""
    how = TABLES[name]
    if name == "adult":
        read = lambda file: pd.read_csv(source / file, header=None, names=ADULT, skipinitialspace=True, keep_default_na=False)
        train, test = read("adult-train.csv"), read("adult-test.csv")
        test["income"] = test["income"].str.rstrip(".")
    else:
        train = whole(name, source)
    categories = [c for i, c in enumerate(train.columns) if i not in how["numbers"]]
    if name != "adult":
        train, test = split(train, categories)
    numbers = [c for c in train.columns if c not in categories]
    means = train[numbers].mean()
    parts = [part.fillna(means).reset_index(drop=True) for part in (train, test)]
    return *parts, categories, train.columns[how["target"]]


def prepare(name, source, to):
    """Writes train.csv, test.csv, categories.txt and target.txt below `to`/NAME, once."""
    folder = Path(to) / name
    if not (folder / "target.txt").exists():
        folder.mkdir(parents=True, exist_ok=True)
        train, test, categories, target = load(name, Path(source))
        train.to_csv(folder / "train.csv", index=False)
        test.to_csv(folder / "test.csv", index=False)
        (folder / "categories.txt").write_text(",".join(categories))
        (folder / "target.txt").write_text(target)
    return folder
