#!/usr/bin/env python3
"""Members of four papers in one model, and what each of them brings, to docs/results/combination.md.

    bench/combination.py DATA [WORK] [--epochs 10] [--seeds 3]        # DATA: a folder of idx files, such as Fashion-MNIST's

One network, one budget; each row has one member more than the row above, the last all of them. Judged by the importance-weighted
bound on held-out rows, binarised once. What is there already is kept (WORK, default runs/combination), so that the command may be
stopped and given again. The command is target/release/latent, or $LATENT; the page is in docs/results, or $PAGES.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import fmean, stdev

LATENT = os.environ.get("LATENT", "target/release/latent")
PAGE = Path(os.environ.get("PAGES", "docs/results")) / "combination.md"
MARKS = "<!-- written by bench/combination.py -->", "<!-- end -->"

NET = [
    "likelihood={kind='bernoulli'}", "network={kind='mlp', hidden=[300, 300], activation='identity', gated=true}",
    "data.limit=20000", "data.binarize=dynamic", "train.batch=100", "train.optimizer.learning_rate=1e-3", "train.schedule={kind='cosine', warmup=200}",
]
DIAGONAL = "posterior={kind='diagonal-normal', latent=40}"
FLOW = "posterior={kind='iaf', steps=2, hidden=[320], context=64, base={kind='diagonal-normal', latent=40}}"
NORMAL, LEARNED = "prior={kind='standard-normal'}", "prior={kind='real-nvp', layers=4, hidden=[128, 128]}"
TERMS = "objective.terms={distortion={}, rate={}}"
IMPORTANCE = "objective.estimator={kind='importance', draws=5}"
LANDING = "objective.estimator={kind='importance', draws=5, gradient='sticking-the-landing'}"
ROWS = [
    ("vae", "VAE", [DIAGONAL, NORMAL]),
    ("prior", "and a prior of four affine couplings (RealNVP)", [DIAGONAL, LEARNED]),
    ("iaf", "and two steps of inverse autoregressive flow", [FLOW, LEARNED]),
    ("iwae", "and the importance-weighted bound, k = 5", [FLOW, LEARNED, IMPORTANCE]),
    ("landing", "and the gradient that sticks the landing", [FLOW, LEARNED, LANDING]),
]


def latent(*words):
    done = subprocess.run([LATENT, *map(str, words)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"latent {' '.join(map(str, words))} ended with {done.returncode}\n{done.stderr}")


def figures(data, run, settings, epochs, seed):
    """Both bounds of one run, which is made where it is not there."""
    if not (run / "model.safetensors").exists():
        words = ["train", "--out", run, "--resume", "--no-report", "--data", data, "--seed", seed, "--epochs", epochs]
        latent(*words, *(part for one in [*NET, TERMS, *settings] for part in ("--set", one)))
    if not (run / "evaluation.json").exists():
        latent("evaluate", run, "--sections", "likelihood", "--minutes", 1)
    sections = json.loads((run / "evaluation.json").read_text())["sections"]
    measures = {m["name"]: m["value"] for s in sections if s["name"] == "likelihood" for m in s["measures"]}
    return measures["iw_5000"], measures["elbo"]


def mean(values):
    spread = f" ± {stdev(values):.2f}" if len(values) > 1 else ""
    return f"{fmean(values):.2f}{spread}".replace("-", "−")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("work", nargs="?", type=Path, default=Path("runs/combination"))
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    lines = [
        f"{asked.epochs} epochs, {asked.seeds} {'seed' if asked.seeds == 1 else 'seeds'}; ± is the deviation over seeds.", "",
        "| model | log P(x) ≥ (IW-5000), nats | ELBO, nats |", "| --- | ---: | ---: |",
    ]
    for name, title, settings in ROWS:
        found = [
            figures(asked.data, asked.work / f"{name}-seed{seed}", settings, asked.epochs, seed)
            for seed in range(1, asked.seeds + 1)
        ]
        bounds, elbos = zip(*found)
        lines.append(f"| {title} | {mean(bounds)} | {mean(elbos)} |")
        print(lines[-1], flush=True)
    text = PAGE.read_text()
    before, after = text.split(MARKS[0])[0], text.split(MARKS[1])[1]
    PAGE.write_text(f"{before}{MARKS[0]}\n\n" + "\n".join(lines) + f"\n\n{MARKS[1]}{after}")


if __name__ == "__main__":
    main()
