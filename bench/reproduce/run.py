#!/usr/bin/env python3
"""Figures of papers, trained anew under their protocols or a stated fraction of them, to docs/results/reproduction.md.

    python3 bench/reproduce/run.py ROW [WORK] [--fraction 121/3280] [--seeds 1,2] [--arms vamp] [--minutes 8]

ROW is a row of rows.toml, `all`, or `page`, which writes the page from what is there. Each model of a row is trained with each
seed and judged; where the row has PyTorch's side (theirs.py), that is trained to the same length and judged on the same bits.

What is done is kept in docs/results/reproduction/ROW-seedN.json and not done again, unless a greater fraction is asked for: then
the runs in WORK (default runs/reproduce) go on from where they ended. A training is stopped after --minutes in all, or by
Ctrl-C, and goes on when the command is given again. What lacks its data, its preset or PyTorch is passed over with the reason.

DATA is the folder that holds mnist/ and fashion-mnist/ (default: where the command looks for them); LATENT is the command
(default target/release/latent); TORCH is a Python that has torch and numpy; PAGES is the folder of pages (default docs/results).
"""

import argparse
import csv
import datetime
import gzip
import json
import math
import os
import random
import re
import signal
import subprocess
import sys
import time
import tomllib
from fractions import Fraction
from pathlib import Path
from statistics import fmean, stdev

LATENT = os.environ.get("LATENT", "target/release/latent")
TORCH = os.environ.get("TORCH")
PAGES = Path(os.environ.get("PAGES", "docs/results"))
HERE = Path(__file__).parent
PLACES = [os.environ.get("DATA"), "/usr/share/datasets", "/usr/local/share/datasets"]
MARKS = "<!-- rows: written by bench/reproduce/run.py -->", "<!-- end of rows -->"


class Absent(Exception):
    """What a part lacks, in words."""


class Stopped(Exception):
    """How far a training has come."""


def say(words):
    print(words, flush=True)


# ---- What is run


def run(words):
    done = subprocess.run([str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, words))} ended with {done.returncode}\n{done.stderr}")
    return done.stdout


def trained(words, clock, deadline):
    """Runs a training until the deadline; seconds of all its calls are added up in the file `clock`."""
    begun = time.monotonic()
    if deadline and begun >= deadline:
        raise Stopped("no minutes are left for it")
    log = clock.with_suffix(".log").open("a")
    # In a session of its own, so that a Ctrl-C reaches it once, from here: a second one would end it at once.
    child = subprocess.Popen([str(word) for word in words], stdout=log, stderr=log, start_new_session=True)
    try:
        child.wait(deadline - begun if deadline else None)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        child.send_signal(signal.SIGINT)
        child.wait()
    with clock.open("a") as file:
        file.write(f"{time.monotonic() - begun:.1f}\n")
    if child.returncode == 130:
        raise Stopped(f"stopped; it goes on when the command is given again (log: {log.name})")
    if child.returncode:
        sys.exit(f"{' '.join(map(str, words))} ended with {child.returncode}; {log.name} says why")
    return sum(float(line) for line in clock.read_text().split())


def folder_of(name):
    """Where a data set lies."""
    for place in filter(None, PLACES):
        if (Path(place) / name).is_dir():
            return Path(place) / name
    raise Absent(f"no folder {name}/ in {', '.join(filter(None, PLACES))}: DATA says where")


def bits(source, seed, rows, work):
    """Test rows binarised once, as an idx file of zeros and ones, and which rows they are: the same for both sides."""
    path = work / f"bits-{seed}-{rows}-idx3-ubyte"
    if not path.exists():
        with gzip.open(source / "t10k-images-idx3-ubyte.gz") as file:
            levels = file.read()[16:]
        count, draw = len(levels) // 784, random.Random(seed)
        chosen = sorted(draw.sample(range(count), min(rows, count)))
        values = (levels[row * 784 + at] for row in chosen for at in range(784))
        out = bytes(255 if draw.random() * 255 < value else 0 for value in values)
        header = (2051, len(chosen), 28, 28)
        path.write_bytes(b"".join(number.to_bytes(4, "big") for number in header) + out)
    return path


# ---- A part of a cell: one model of a row, trained and judged


def length_of(row, fraction):
    """What is counted, how much of it is asked for, and how much is the whole."""
    ((unit, whole),) = row["length"].items()
    return unit, max(1, round(whole * fraction)), whole


def ours(row, arm, seed, length, at, deadline):
    """Trains and judges one of our models."""
    unit, asked, whole = length
    source = row["data"] if row["data"] == "shapes" else folder_of(row["data"])
    if run([LATENT, "presets"]).find(f"\n  {arm['preset']} ") < 0:
        raise Absent(f"this build has no preset {arm['preset']}")
    words = [LATENT, "train", "--out", at, "--resume", "--no-report", "--seed", seed, "--data", source, "--preset", arm["preset"]]
    words += ["--epochs", asked] if unit == "epochs" else ["--set", f"train.steps={asked}"]
    for setting in arm["set"]:
        words += ["--set", setting.replace("{seed}", str(seed))]
    seconds = trained(words, at.with_suffix(".seconds"), deadline)
    last = json.loads((at / "metrics.jsonl").read_text().splitlines()[-1])
    begun = time.monotonic()
    figures = judged(row, seed, asked == whole, source, at)
    return {
        "asked": asked, unit: last["epoch" if unit == "epochs" else "step"], "steps": last["step"], "figures": figures,
        "train_seconds": round(seconds), "judge_seconds": round(time.monotonic() - begun),
        "program": run([LATENT, "--version"]).strip(),
    }


def judged(row, seed, is_whole, source, at):
    ask = row["judge"]
    if "bound" in ask:
        table = at / "bound.csv"
        file = bits(source, *of_bits(row, seed, is_whole), at.parent)
        words = [LATENT, "score", at, "--data", file, "--k", ask["bound"], "--reference", 1, "--out", table, "--force"]
        run(words)
        found = [-float(line["log_p_lower"]) for line in csv.DictReader(table.open())]
        return {"nll": mean_of(found)}
    for sampler, *settings in ask.get("samplers", []):
        if not (at / f"samplers/{sampler}.safetensors").exists():
            run([LATENT, "fit-sampler", at, "--sampler", sampler, *(w for s in settings for w in ("--set", s))])
    words = [LATENT, "evaluate", at, "--sections", ",".join(ask["sections"]), "--minutes", ask["minutes"]]
    run(words + (["--samples", ask["samples"]] if "samples" in ask else []))
    found = {}
    for section in json.loads((at / "evaluation.json").read_text())["sections"]:
        for m in section["measures"] if section["name"] in ask["sections"] else []:
            found[m["name"]] = {key: m[key] for key in ("value", "low", "high") if m[key] is not None} | {"rows": m["n"]}
    return found


def mean_of(rows):
    """A mean with its standard error, and the rows themselves, so that two models can be held against each other on them."""
    return {"value": fmean(rows), "se": error_of(rows), "each": [round(row, 2) for row in rows]}


def error_of(rows):
    return stdev(rows) / math.sqrt(len(rows))


def of_bits(row, seed, is_whole):
    """The seed of the bits, and how many rows: all under the whole protocol."""
    ask = row["judge"]
    return seed if ask["bits"] == "seed" else ask["bits"], 10_000 if is_whole else ask["rows"]


def theirs(row, seed, length, at, deadline):
    """PyTorch's side to the same length, on the same bits."""
    _, asked, whole = length
    if not TORCH:
        raise Absent("TORCH names no Python that has torch and numpy")
    source, script, draws = folder_of(row["data"]), HERE / "theirs.py", row["pytorch"]["draws"]
    at.mkdir(parents=True, exist_ok=True)
    words = [TORCH, script, "train", source, at, "--draws", draws, "--epochs", asked, "--seed", seed]
    seconds = trained(words, at.with_suffix(".seconds"), deadline)
    begun = time.monotonic()
    file = bits(source, *of_bits(row, seed, asked == whole), at.parent)
    found = json.loads(run([TORCH, script, "score", at, file, "--draws", row["judge"]["bound"]]))
    return {
        "asked": asked, "epochs": found["epochs"],
        "figures": {"nll": mean_of(found["nll"])},
        "train_seconds": round(seconds), "judge_seconds": round(time.monotonic() - begun),
        "program": f"PyTorch {found['torch']}, threads: {found['threads']}",
    }


def machine():
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    name = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown")
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    return {
        "machine": f"{os.cpu_count()} threads of {name}", "load": round(os.getloadavg()[1], 1),
        "commit": commit or "unknown", "date": datetime.date.today().isoformat(),
    }


def cell_path(row, seed):
    return PAGES / "reproduction" / f"{row['name']}-seed{seed}.json"


def cell_of(row, seed):
    path = cell_path(row, seed)
    return json.loads(path.read_text()) if path.exists() else {"row": row["name"], "seed": seed, "parts": {}}


def json_of(cell):
    """Indented, with lists of numbers on one line."""
    text = json.dumps(cell, indent=1, ensure_ascii=False)
    return re.sub(r"\[[-0-9.,\s]*\]", lambda found: re.sub(r"\s+", " ", found[0]), text)


def parts_of(row):
    return [*row["arm"], *(["pytorch"] if "pytorch" in row else [])]


def make(row, seed, fraction, arms, work, deadline):
    """Whatever of a cell is not there to that length; true if all of it is then."""
    length, cell, whole = length_of(row, fraction), cell_of(row, seed), True
    for part in [part for part in parts_of(row) if part in (arms or parts_of(row))]:
        if cell["parts"].get(part, {}).get("asked", 0) >= length[1]:
            continue
        title, at = f"{row['name']}, {part}, seed {seed}: {length[1]} of {length[2]} {length[0]}", work / f"{row['name']}-{part}-seed{seed}"
        say(title)
        try:
            if part == "pytorch":
                found = theirs(row, seed, length, at, deadline)
            else:
                found = ours(row, row["arm"][part], seed, length, at, deadline)
        except Absent as reason:
            say(f"  passed over: {reason}")
            whole = False
            continue
        cell["parts"][part] = found | machine()
        path = cell_path(row, seed)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".part").write_text(json_of(cell) + "\n")
        path.with_suffix(".part").rename(path)
        for figure in row["figure"]:
            value = value_of(figure, cell["parts"])
            if value is not None:
                say(f"  {figure['title']}: {shown(value)}, the paper's {figure.get('paper', '–')}")
    return whole


# ---- The page


def value_of(figure, parts, part=None):
    """A figure of a cell, or None where what it is made of is not there to one length; `part` stands in the place of its arm."""
    lengths = set()

    def read(key):
        arm, name = figure[key].split(".", 1)
        lengths.add(parts[part or arm]["asked"])
        return parts[part or arm]["figures"][name]["value"]

    try:
        value = read("of")
        value -= read("less") if "less" in figure else 0
        value /= read("over") if "over" in figure else figure.get("by", 1)
    except KeyError:
        return None
    return value if len(lengths) == 1 else None


def shown(value):
    """Two decimals of nats, three digits of what is small."""
    return f"{value:.3g}" if abs(value) < 1 else f"{value:.{1 if abs(value) >= 100 else 2}f}"


def several(values):
    """One value, or the mean with what it is of."""
    if not values:
        return "not run"
    return shown(values[0]) if len(values) == 1 else f"{shown(fmean(values))} ({', '.join(map(shown, values))})"


def with_error(figure, cells, part=None):
    """± of one cell over its rows."""
    values = [value for cell in cells if (value := value_of(figure, cell["parts"], part)) is not None]
    text = several(values)
    arm, name = figure["of"].split(".", 1)
    if len(values) == 1 and not {"less", "over"} & set(figure):
        (m,) = (c["parts"][part or arm]["figures"][name] for c in cells if (part or arm) in c["parts"])
        if "se" in m:
            text += f" ± {1.96 * m['se']:.2f}"
    return text, len(values)


def difference(figure, cells):
    """Ours less PyTorch's on the same rows, where there is one cell of both."""
    arm, name = figure["of"].split(".", 1)
    if len(cells) != 1:
        return ""
    both = [cells[0]["parts"][part]["figures"][name]["each"] for part in (arm, "pytorch")]
    rows = [a - b for a, b in zip(*both, strict=True)]
    return f"; ours less this {shown(fmean(rows))} ± {1.96 * error_of(rows):.2g}".replace("-", "−")


def table(rows):
    lines = [
        "| row | figure | the paper's | ours | of the protocol | PyTorch's at the same length | minutes a seed: ours, PyTorch's |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        cells = [cell_of(row, seed) for seed in row["seeds"]]
        unit, _, whole = length_of(row, Fraction(1))
        for place, figure in enumerate(row["figure"]):
            arm = figure["of"].split(".", 1)[0]
            done = [cell["parts"][arm] for cell in cells if arm in cell["parts"]]
            text, count = with_error(figure, cells)
            if count and len(row["seeds"]) > 1:
                text += f", {count} of {len(row['seeds'])} seeds"
            lengths = sorted({round(part[unit]) for part in done})
            share = f"{' or '.join(f'{n:,}' for n in lengths)} of {whole:,} {unit}" if done else "–"
            beside = "–"
            if "pytorch" in row:
                same = [c for c in cells if arm in c["parts"] and c["parts"].get("pytorch", {}).get("asked") == c["parts"][arm]["asked"]]
                beside = with_error(figure, same, "pytorch")[0] + difference(figure, same)
            times = [[c["parts"][p] for c in cells if p in c["parts"]] for p in [arm, *["pytorch"] * ("pytorch" in row)]]
            minutes = [f"{fmean(p['train_seconds'] + p['judge_seconds'] for p in some) / 60:.1f}" if some else "–" for some in times]
            name = f"`{row['name']}`" if place == 0 else ""
            paper = shown(figure["paper"]) if "paper" in figure else "–"
            lines.append(f"| {name} | {figure['title']} | {paper} | {text} | {share} | {beside} | {', '.join(minutes)} |")
    return lines


def page(rows):
    lines = table(rows) + ["", "| row | what | figure of | differs |", "| --- | --- | --- | --- |"]
    lines += [f"| `{row['name']}` | {row['about']} | {row['source']} | {row['differs']} |" for row in rows]
    missing = []
    for row in rows:
        left = {part: [s for s in row["seeds"] if part not in cell_of(row, s)["parts"]] for part in parts_of(row)}
        if any(left.values()):
            words = ", ".join(f"{part} seed {', '.join(map(str, seeds))}" for part, seeds in left.items() if seeds)
            about = " + ".join(map(str, row["minutes"]))
            missing.append(f"| {words} | `python3 bench/reproduce/run.py {row['name']}` | {about} |")
    if missing:
        lines += ["", "Not run:", "", "| part | command | about, minutes a seed on a busy machine |", "| --- | --- | ---: |", *missing]
    parts = [part for row in rows for seed in row["seeds"] for part in cell_of(row, seed)["parts"].values()]
    if parts:
        for key in ("machine", "program", "commit", "date"):
            lines += [""] * (key == "machine") + [f"{key.capitalize()}: {'; '.join(sorted({part[key] for part in parts}))}.  "]
        loads = [part["load"] for part in parts]
        lines.append(f"Load of the machine at the end of a part: {min(loads)} to {max(loads)}; minutes are of the wall clock.")
    path = PAGES / "reproduction.md"
    text = path.read_text()
    if any(mark not in text for mark in MARKS):
        sys.exit(f"{path} has not the marks {MARKS}")
    before, after = text.split(MARKS[0])[0], text.split(MARKS[1])[1]
    path.write_text(f"{before}{MARKS[0]}\n\n" + "\n".join(lines) + f"\n\n{MARKS[1]}{after}")
    say(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("row")
    parser.add_argument("work", nargs="?", default="runs/reproduce", type=Path)
    parser.add_argument("--fraction", type=Fraction, help="of the protocol's length, such as 121/3280; the row's own unless given")
    parser.add_argument("--seeds", help="some of the row's seeds, such as 1,2")
    parser.add_argument("--arms", help="some of the row's models, such as vamp or pytorch")
    parser.add_argument("--minutes", type=float, help="trainings stop after so many minutes in all, and go on next time")
    args = parser.parse_args()
    # Also where a shell has started it in the background, with Ctrl-C ignored.
    for asked in (signal.SIGINT, signal.SIGTERM):
        signal.signal(asked, signal.default_int_handler)
    rows = tomllib.loads((HERE / "rows.toml").read_text())["row"]
    names = [row["name"] for row in rows]
    if args.row not in [*names, "all", "page"]:
        sys.exit(f"no row {args.row!r}; there are {', '.join(names)}, all and page")
    args.work.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + 60 * args.minutes if args.minutes else None
    for row in [row for row in rows if args.row in (row["name"], "all")]:
        fraction = args.fraction or Fraction(row["fraction"])
        if not 0 < fraction <= 1:
            sys.exit(f"a fraction of {fraction} of a protocol: give one above 0 and at most 1")
        for seed in map(int, args.seeds.split(",")) if args.seeds else row["seeds"]:
            try:
                make(row, seed, fraction, args.arms and args.arms.split(","), args.work, deadline)
            except Stopped as words:
                say(f"  {words}")
                page(rows)
                sys.exit(130)
    page(rows)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
