#!/usr/bin/env python3
"""Models × samplers × seeds from one TOML file, resumable, to the tables of docs/results.

    bench/leaderboard/run.py bench/leaderboard/fashion.toml [WORK]

Trains each model with each seed for the same budget, epochs, or minutes that are made steps once (a few steps of each model
are timed in one sitting on a machine that does nothing else, and kept in leaderboard/PLAN/steps.json: every seed takes as
many, whatever the machine), fits the samplers (`fit-sampler` chooses one on validation rows), judges every run on test rows by `latent evaluate`, and holds each method against the plan's reference over their seeds
(`latent compare --by-seed --against`: seed variance pooled over methods, Holm), or, with one seed, compares the runs over
their rows. Seeds that are there whole are compared before all are. Written are the plan's page (leaderboard.md) and, where the plan asks for them, the tables of judged.md and first-runs.md, between
their marks. What was judged stays beside the pages, in leaderboard/PLAN/NAME-seedN (what the run was, its figures, what
`fit-sampler` chose), so the command may be stopped at any time and given again, on another machine too; a folder that is
deleted there is done anew. WORK (default runs/leaderboard) holds the runs; the command is target/release/latent, or $LATENT;
pages are in docs/results, or $PAGES.
"""

import csv
import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

LATENT = os.environ.get("LATENT", "target/release/latent")
PAGES = Path(os.environ.get("PAGES", "docs/results"))

# Seconds that a model's steps are timed for at least, where the plan has minutes.
TIMED = 4

# What the leaderboard shows: section, measure, heading.
COLUMNS = [
    ("likelihood", "elbo", "ELBO"),
    ("likelihood", "iw_5000", "IW-5000"),
    ("latents", "active_units", "active units"),
    ("latents", "two_sample_accuracy", "prior told apart"),
    ("reconstruction", "mse", "squared error"),
    ("samples", "frechet:posterior", "Fréchet, draws of q"),
    ("samples", "frechet:prior", "Fréchet, prior"),
    ("samples", "frechet:chosen", "Fréchet, chosen sampler"),
    ("samples", "closed:chosen", "closed"),
]


def latent(*words, allowed=()):
    """Runs the command; a failure whose message has one of `allowed` is no failure."""
    done = subprocess.run([LATENT, *map(str, words)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode and not any(word in done.stderr for word in allowed):
        sys.exit(f"latent {' '.join(map(str, words))} ended with {done.returncode}\n{done.stderr}")
    return done.returncode == 0


def training(plan, model, seed, run):
    """The words that train a model, but for how long."""
    words = ["train", "--out", run, "--resume", "--no-report", "--seed", seed, "--data", plan["data"]]
    if "preset" in model:
        words += ["--preset", model["preset"]]
    if "limit" in plan:
        words += ["--set", f"data.limit={plan['limit']}"]
    for setting in [*plan.get("set", []), *model.get("set", [])]:
        words += ["--set", setting]
    return words


def timed(plan, model, work):
    """Steps that the plan's minutes have, by how much longer many steps take than a few: reading data doesn't count."""
    run = work / f"timed-{model['name']}"

    def seconds(steps):
        shutil.rmtree(run, ignore_errors=True)
        begun = time.monotonic()
        latent(*training(plan, model, 1, run), "--set", f"train.steps={steps}")
        return time.monotonic() - begun

    few, many = 10, 40
    least, most = seconds(few), seconds(many)
    while most - least < TIMED:
        many *= 4
        most = seconds(many)
    return max(1, int(60 * plan["minutes"] * (many - few) / (most - least)))


def budget(plan, models, kept, work):
    """What each model's training is given, as words of `train`."""
    if "epochs" in plan:
        return {model["name"]: ["--epochs", plan["epochs"]] for model in models}
    path = kept / "steps.json"
    steps = json.loads(path.read_text()) if path.exists() else {}
    for model in models:
        if model["name"] not in steps:
            steps[model["name"]] = timed(plan, model, work)
            kept.mkdir(parents=True, exist_ok=True)
            path.with_suffix(".part").write_text(json.dumps(steps, indent=1) + "\n")
            path.with_suffix(".part").rename(path)
            print(f"{model['name']}: {steps[model['name']]} steps", flush=True)
    return {name: ["--set", f"train.steps={count}"] for name, count in steps.items()}


def make(plan, model, seed, run, given):
    """One run: trained, its samplers fitted, judged. Each part is done once."""
    if not (run / "model.safetensors").exists():
        latent(*training(plan, model, seed, run), *given)
    for sampler in plan["samplers"]:
        if not (run / f"samplers/{sampler}.safetensors").exists():
            words = ["fit-sampler", run, "--sampler", sampler, "--seed", seed, "--rows", plan["fit_rows"]]
            # Samplers of bits are not for real codes, nor the other way round.
            latent(*words, allowed=["bits", "real"])
    if not (run / "evaluation.json").exists():
        ask = plan["evaluate"]
        words = ["evaluate", run, "--sections", ",".join(ask["sections"]), "--seed", seed]
        latent(*words, "--minutes", ask["minutes"], "--samples", ask["samples"])


def keep(run, cell, plan):
    """What the pages are made of: no weights, and rows only where runs are compared over them."""
    names = ["run.toml", "samplers/chosen.toml"] + ["evaluation-rows.csv"] * (len(plan["seeds"]) == 1)
    for name in names:
        (cell / name).parent.mkdir(parents=True, exist_ok=True)
        if (run / name).exists():
            shutil.copy(run / name, cell / name)
    # It says that a cell is done, and so comes last, and whole.
    shutil.copy(run / "evaluation.json", cell / "evaluation.part")
    (cell / "evaluation.part").rename(cell / "evaluation.json")


def chosen(run):
    """What `fit-sampler` chose on validation rows."""
    path = run / "samplers/chosen.toml"
    return tomllib.loads(path.read_text())["chosen"] if path.exists() else "prior"


def number(value, low, high, mark=""):
    half = (high - low) / 2
    if value != value:
        return "–"
    digits = max(0, min(6, 1 - magnitude(half))) if half == half and half > 0 else (1 if abs(value) >= 10 else 3)
    text = f"{value:.{digits}f}".replace("-", "−")
    return text + (f" ± {half:.{digits}f}" if half == half and half > 0 else "") + mark


def magnitude(x):
    """⌊log₁₀ x⌋"""
    return int(f"{x:e}".split("e")[1])


def of_cell(cell):
    value, low, high = (float(cell[key] or "nan") for key in ("value", "low", "high"))
    best = " **best**" if cell["best"] == "true" else ""
    return number(value, low, high, {"true": " +", "false": " −"}.get(cell.get("differs"), best))


def commit():
    found = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    return f"commit {found or 'unknown'}, {os.cpu_count()} threads"


def leaderboard(plan, models, cells, runs, steps):
    """The page: a row a method, with what `fit-sampler` chose on validation rows."""
    found = {(c["section"], c["measure"], c["run"]): c for c in cells}
    seeds = len(plan["seeds"])
    if seeds > 1:
        over = (
            f"Means over {seeds} training seeds; intervals (95 %) and tests are over seeds, with the variance of seeds pooled "
            f"over the methods. Each method is held against `{plan['reference']}` and no other: + is better than it and − worse "
            "at 5 % (t test, Holm-corrected over the methods)."
        )
    else:
        over = (
            "Intervals (95 %) and tests are over rows, for these trained models: one seed says little about methods. Best: its "
            "difference from every other is significant (Holm)."
        )
    rows = f"{plan['limit']} rows" if "limit" in plan else "all rows"
    timed = ["steps"] if "minutes" in plan else []
    if timed:
        budget = (
            f"{plan['minutes']:g} minutes of training each, which were made steps once, on a machine that did nothing else "
            "(*steps*, of the batch that the preset has)"
        )
    else:
        budget = f"{plan['epochs']} epochs of training each"
    lines = [
        f"# {plan.get('heading', 'Leaderboard')}",
        "",
        f"{plan['title']}, {rows}, {budget}. {over} Likelihoods of different base measures are "
        "not ranked, and a Bernoulli cross-entropy of grey values or a model without a rate has none (–).",
        "",
        f"Fréchet distances are on EfficientNet-Lite0 features, sets of {plan['evaluate']['samples']} rows. The chosen sampler is "
        f"what `fit-sampler` chose on validation rows among those fitted on {plan['fit_rows']} codes (of each seed; its name "
        "stands last); *closed* is the share of the way from the prior to decoded draws of q(z|x), the floor of any sampler, that "
        "it goes. *Prior told apart* is how often a classifier tells codes of the prior from draws of q (½: not at all).",
        "",
        "| model | " + " | ".join([*timed, *(title for _, _, title in COLUMNS)]) + " | sampler |",
        "| --- |" + " ---: |" * len([*timed, *COLUMNS]) + " --- |",
    ]
    for model in models:
        row = [f"{steps[model]:,}"] if timed else []
        row += [of_cell(found[key]) if (key := (s, m, model)) in found else "–" for s, m, _ in COLUMNS]
        names = sorted({chosen(run) for m, _, run in runs if m["name"] == model})
        lines.append(f"| {model} | " + " | ".join(row) + f" | {', '.join(names)} |")
    lines += ["", f"`bench/leaderboard/run.py`, {commit()}."]
    return "\n".join(lines) + "\n"


def measures(run):
    """Every measure of a run by section and name."""
    sections = json.loads((run / "evaluation.json").read_text())["sections"]
    return {(s["name"], m["name"]): m for s in sections for m in s["measures"]}


def of_measure(m):
    if m is None:
        return "–"
    value, low, high = (float("nan") if m[key] is None else m[key] for key in ("value", "low", "high"))
    return number(value, low, high)


def samplers_table(plan, runs):
    """judged.md: sets × models, of the first seed, with the interval of each over rows."""
    wanted = plan["judged"]["models"]
    of = {m["name"]: (run, measures(run)) for m, seed, run in runs if seed == plan["seeds"][0] and m["name"] in wanted}
    sets = [("held-out", "held-out rows themselves"), ("posterior", "decoded draws of q, the floor"), ("prior", "prior")]
    names = {key[1].split(":")[1] for _, m in of.values() for key in m if key[1].startswith("frechet:")}
    sets += [(name, name) for name in sorted(names - {name for name, _ in sets} - {"chosen"})]
    lines = [
        f"{plan['title']}, {plan['epochs']} epochs each, seed {plan['seeds'][0]}, sets of {plan['evaluate']['samples']} rows, "
        f"samplers fitted on {plan['fit_rows']} codes; ± are 95 % intervals over rows. *Closed* is the share of the way from the "
        "prior to the floor, with the interval of that ratio (infinitesimal jackknife).",
        "",
        "| set | " + " | ".join(f"`{name}` | closed" for name in of) + " |",
        "| --- |" + " ---: | ---: |" * len(of),
    ]
    for name, words in sets:
        row = [words]
        for _, m in of.values():
            row += [of_measure(m.get(("samples", f"frechet:{name}"))), ""]
            if ("samples", f"closed:{name}") in m:
                row[-1] = of_measure(m[("samples", f"closed:{name}")])
        lines.append("| " + " | ".join(row) + " |")
    best = ", ".join(f"{chosen(run)} for `{name}`" for name, (run, _) in of.items())
    return lines + ["", f"Chosen by `fit-sampler` on validation rows: {best}. {commit()}."]


def first_runs_table(plan, runs, cells):
    """first-runs.md: what each run is and its bounds on test rows, over seeds."""
    found = {(c["section"], c["measure"], c["run"]): c for c in cells}
    lines = [
        f"{plan['epochs']} epochs each, {len(plan['seeds'])} seeds; means over test rows and seeds, ± over seeds.",
        "",
        "| run | what | ELBO, or distortion + rate where there is no density, nats | IW-5000, nats | squared error |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    for model in plan["first_runs"]["models"]:
        what = next(m.get("about", "") for m, _, _ in runs if m["name"] == model)
        row = []
        for section, options in [("likelihood", ("elbo", "loss")), ("likelihood", ("iw_5000",)), ("reconstruction", ("mse",))]:
            keys = [(section, name, model) for name in options if (section, name, model) in found]
            row.append(of_cell({**found[keys[0]], "differs": "", "best": ""}) if keys else "–")
        lines.append(f"| {model} | {what} | " + " | ".join(row) + " |")
    return lines + ["", f"`bench/leaderboard/run.py`, {commit()}."]


def fill(page, block, lines):
    """Puts lines between the marks of a block, which must be there."""
    path = PAGES / page
    text = path.read_text()
    begin, end = f"<!-- {block}: written by bench/leaderboard/run.py -->", f"<!-- end of {block} -->"
    if begin not in text or end not in text:
        sys.exit(f"{path} has no block {block!r}")
    before, after = text.split(begin)[0], text.split(end)[1]
    path.write_text(f"{before}{begin}\n\n" + "\n".join(lines) + f"\n\n{end}{after}")
    print(path)


def compared(runs, how, table):
    """The cells of `latent compare`, each with the method that its run is of."""
    latent("compare", *how, "--force", "--csv", table, *(run for _, _, run in runs))
    return [{**cell, "run": cell["run"].rsplit("-seed", 1)[0]} for cell in csv.DictReader(table.open())]


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    plan = tomllib.loads(Path(sys.argv[1]).read_text())
    work = Path(sys.argv[2] if len(sys.argv) == 3 else "runs/leaderboard")
    kept = PAGES / "leaderboard" / Path(sys.argv[1]).stem
    runs = [(m, seed, kept / f"{m['name']}-seed{seed}") for seed in plan["seeds"] for m in plan["model"]]
    missing = [one for one in runs if not (one[2] / "evaluation.json").exists()]
    print(f"{len(runs) - len(missing)} of {len(runs)} runs are there already", flush=True)
    given = budget(plan, plan["model"], kept, work)
    begun = time.monotonic()
    for index, (model, seed, cell) in enumerate(missing):
        minutes = (time.monotonic() - begun) / 60
        left = f", about {minutes / index * (len(missing) - index):.0f} minutes left" if index else ""
        print(f"{index + 1} of {len(missing)}: {model['name']}, seed {seed}{left}", flush=True)
        run = work / cell.name
        make(plan, model, seed, run, given[model["name"]])
        keep(run, cell, plan)
        if index + 1 == len(missing) or missing[index + 1][1] != seed:
            pages(plan, [one for one in runs if one[1] in plan["seeds"][: plan["seeds"].index(seed) + 1]], kept, work)
    if not missing:
        pages(plan, runs, kept, work)


def pages(plan, runs, kept, work):
    """The pages of the seeds that are there whole."""
    plan = {**plan, "seeds": sorted({seed for _, seed, _ in runs})}
    listed = [one for one in runs if not one[0].get("beside")]
    several = len(plan["seeds"]) > 1
    work.mkdir(parents=True, exist_ok=True)
    cells = compared(listed, ["--by-seed", "--against", plan["reference"]] if several else [], work / "compared.csv")
    PAGES.mkdir(parents=True, exist_ok=True)
    page = PAGES / plan.get("page", "leaderboard.md")
    names = [m["name"] for m in plan["model"] if not m.get("beside")]
    steps = json.loads((kept / "steps.json").read_text()) if "minutes" in plan else {}
    page.write_text(leaderboard(plan, names, cells, listed, steps))
    print(page)
    if "judged" in plan:
        fill("judged.md", "samplers", samplers_table(plan, runs))
    if "first_runs" in plan:
        own = [one for one in runs if one[0]["name"] in plan["first_runs"]["models"]]
        cells = compared(own, ["--by-seed"] if several else [], work / "first-runs.csv")
        fill("first-runs.md", "first runs", first_runs_table(plan, own, cells))


if __name__ == "__main__":
    main()
