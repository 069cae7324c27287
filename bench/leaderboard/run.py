#!/usr/bin/env python3
"""Models × samplers × seeds from one TOML file, resumable, to docs/results/leaderboard.md.

    bench/leaderboard/run.py bench/leaderboard/fashion.toml [WORK]

Trains each model with each seed for the same number of epochs, fits the samplers, judges every run by `latent evaluate`,
and compares the methods over their seeds (`latent compare --by-seed`: Welch's t, Holm-corrected), or, with one seed, the
runs over their rows. What is there already is kept, so the command
may be stopped at any time and given again. WORK (default runs/leaderboard) holds the runs; the command is
target/release/latent, or $LATENT.
"""

import csv
import os
import subprocess
import sys
import tomllib
from pathlib import Path

LATENT = os.environ.get("LATENT", "target/release/latent")
PAGE = Path("docs/results/leaderboard.md")

# What the table shows: section, measure, heading.
COLUMNS = [
    ("likelihood", "elbo", "ELBO"),
    ("likelihood", "iw_5000", "IW-5000"),
    ("latents", "active_units", "active units"),
    ("reconstruction", "mse", "squared error"),
    ("samples", "frechet:reconstruction", "Fréchet, reconstruction"),
    ("samples", "frechet:prior", "Fréchet, prior"),
]


def latent(*words, allowed=()):
    """Runs the command; a failure whose message has one of `allowed` is no failure."""
    done = subprocess.run([LATENT, *map(str, words)], stderr=subprocess.PIPE, text=True)
    if done.returncode and not any(word in done.stderr for word in allowed):
        sys.exit(f"latent {' '.join(map(str, words))}\n{done.stderr}")
    return done.returncode == 0


def make(plan, model, seed, run):
    """One run: trained, its samplers fitted, judged. Each part is done once."""
    if not (run / "model.safetensors").exists():
        words = ["train", "--out", run, "--resume", "--no-report", "--seed", seed, "--data", plan["data"]]
        words += ["--epochs", plan["epochs"]]
        if "preset" in model:
            words += ["--preset", model["preset"]]
        for setting in model.get("set", []):
            words += ["--set", setting]
        latent(*words)
    for sampler in plan["samplers"]:
        if not (run / f"samplers/{sampler}.safetensors").exists():
            words = ["fit-sampler", run, "--sampler", sampler, "--seed", seed, "--rows", plan["fit_rows"]]
            # Samplers of bits are not for real codes, nor the other way round.
            latent(*words, allowed=["bits", "real"])
    if not (run / "evaluation.json").exists():
        ask = plan["evaluate"]
        words = ["evaluate", run, "--sections", ",".join(ask["sections"]), "--seed", seed]
        latent(*words, "--minutes", ask["minutes"], "--samples", ask["samples"])


def number(cell):
    value, low, high = (float(cell[key] or "nan") for key in ("value", "low", "high"))
    half = (high - low) / 2
    digits = 1 if abs(value) >= 10 else 3
    text = f"{value:.{digits}f}" + (f" ± {half:.{digits}f}" if half == half and half > 0 else "")
    return f"**{text}**" if cell["best"] == "true" else text


def page(plan, names, cells):
    """The table: a row a method; the best fitted sampler by its Fréchet distance beside the prior."""
    found = {(c["section"], c["measure"], c["run"]): c for c in cells}
    seeds = len(plan["seeds"])
    over = f"over {seeds} training seeds" if seeds > 1 else "over rows, for these trained models: one seed says little about methods"
    heading = [title for _, _, title in COLUMNS] + ["Fréchet, best sampler", "sampler"]
    lines = [
        "# Leaderboard",
        "",
        f"{plan['title']}: {plan['epochs']} epochs of training each; intervals (95 %) and tests are {over}, the best in bold where its "
        "difference from every other is significant (Holm). Likelihoods of different base measures are not ranked, and a Bernoulli "
        "cross-entropy of grey values or a model without a rate has none (–). Fréchet distances are on EfficientNet-Lite0 features, "
        f"sets of {plan['evaluate']['samples']} rows, samplers fitted on {plan['fit_rows']} codes.",
        "",
        "| model | " + " | ".join(heading) + " |",
        "| --- |" + " ---: |" * (len(heading) - 1) + " --- |",
    ]
    for name in names:
        row = [number(found[key]) if (key := (s, m, name)) in found else "–" for s, m, _ in COLUMNS]
        fitted = [
            (float(c["value"]), c["measure"].split(":")[1], c)
            for c in cells
            if c["run"] == name and c["measure"].startswith("frechet:") and c["value"]
            if c["measure"].split(":")[1] not in ("prior", "reconstruction", "held-out")
        ]
        row += [number(min(fitted)[2]), min(fitted)[1]] if fitted else ["–", "–"]
        lines.append(f"| {name} | " + " | ".join(row) + " |")
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    lines += ["", f"`bench/leaderboard/run.py`, commit {commit}, {os.cpu_count()} threads."]
    return "\n".join(lines) + "\n"


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    plan = tomllib.loads(Path(sys.argv[1]).read_text())
    work = Path(sys.argv[2] if len(sys.argv) == 3 else "runs/leaderboard")
    runs = [(m, seed, work / f"{m['name']}-seed{seed}") for seed in plan["seeds"] for m in plan["model"]]
    for index, (model, seed, run) in enumerate(runs):
        print(f"{index + 1} of {len(runs)}: {model['name']}, seed {seed}", flush=True)
        make(plan, model, seed, run)
    table = work / "compared.csv"
    by_seed = ["--by-seed"] if len(plan["seeds"]) > 1 else []
    latent("compare", *by_seed, "--force", "--csv", table, *(run for _, _, run in runs))
    cells = [{**cell, "run": cell["run"].rsplit("-seed", 1)[0]} for cell in csv.DictReader(table.open())]
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page(plan, [m["name"] for m in plan["model"]], cells))
    print(PAGE)


if __name__ == "__main__":
    main()
