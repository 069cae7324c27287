#!/usr/bin/env python3
"""Interrupts runs of ten kinds at times uniform over each, gives the same command again until it ends, and compares what
the folder then holds with that of a run that was left alone: byte for byte.

    bench/kills.py [KILLS] [WORK]

KILLS is 100 unless given: that many interrupted runs of each kind, of which half are killed outright (SIGKILL) and the others
asked to end (SIGINT, SIGTERM, SIGHUP); every third is hit twice. WORK (default runs/kills) keeps `cells.jsonl`, a line for each
interrupted run: what stands there is not done again, so the command may be stopped at any time. The table goes to
docs/results/reliability.md (or $PAGES). The command is target/release/latent, or $LATENT. The same bits are promised for the same build,
processor and number of threads.
"""

import json
import os
import platform
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

LATENT = os.environ.get("LATENT", "target/release/latent")
PAGE = Path(os.environ.get("PAGES", "docs/results")) / "reliability.md"
GENTLE = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]

DATA = ["--data", "embedded", "--device", "cpu", "--set", "data.limit=600"]
SMALL = ["--set", "network.kind=mlp", "--set", "network.hidden=[64]", "--set", "posterior.latent=4"]
OFTEN = ["--set", "train.checkpoint_every=3"]
BARE = ["--no-report", *OFTEN]


def train(*words):
    return lambda run: [["train", "--out", str(run), "--resume", *DATA, *words]]


# Kind: what it is, what stands before (done once), what is interrupted, the files that must be the same.
WEIGHTS = ["model.safetensors", "metrics.jsonl", "run.toml"]
VQ = ["--preset", "vq-vae", "--set", "network.channels=[4, 8]", "--set",
      "posterior={kind='quantized', codes=8, revive=0.6, decay=0.9, latent={channels=4, factor=4}}"]
CRITIC = ["--preset", "wae-gan", "--set", "network={kind='mlp', hidden=[64]}", "--set", "posterior.latent=3",
          "--set", "objective.terms.adversarial.hidden=[16]", "--set", "objective.terms.adversarial.every=2"]
STATISTICS = ["--preset", "spatial-vae", "--set", "network={kind='spatial', channels=[4, 8], norm='batch'}",
              "--set", "train.ema=0.9"]
KINDS = {
    "convolutions": (
        "a convolutional network whose weights are averaged",
        None,
        train(*BARE, "--epochs", "2", "--set", "network.kind=conv", "--set", "network.channels=[8, 16]",
              "--set", "train.ema=0.99"),
        WEIGHTS,
    ),
    "guard": (
        "a rate so high that the guard goes back and halves it",
        None,
        train(*BARE, *SMALL, "--epochs", "12", "--set", "likelihood.kind=normal", "--set", "train.clip=0",
              "--set", "train.optimizer.learning_rate=2e8"),
        WEIGHTS,
    ),
    "patience": (
        "a plateau that ends by patience, where the best loss is compared to its last bit",
        None,
        train(*BARE, *SMALL, "--epochs", "40", "--set", "likelihood.kind=bernoulli",
              "--set", "train.optimizer.learning_rate=1e-300", "--set", "train.patience=10", "--seed", "7"),
        WEIGHTS,
    ),
    "extension": (
        "a finished run that is lengthened, with its report",
        train(*OFTEN, *SMALL, "--epochs", "2"),
        train(*OFTEN, *SMALL, "--epochs", "5"),
        WEIGHTS + ["report.html", "figures"],
    ),
    "drawing": (
        "a short run and its report, so that most hits fall into the drawing",
        None,
        train(*OFTEN, *SMALL, "--epochs", "1"),
        WEIGHTS + ["report.html", "figures"],
    ),
    "book": ("vector quantisation: a book that follows the codes, dead codes revived", None,
             train(*BARE, *VQ, "--epochs", "2"), WEIGHTS),
    "critic": ("an adversarial term: a second player with an optimiser of its own", None,
               train(*BARE, *CRITIC, "--epochs", "8"), WEIGHTS),
    "statistics": ("batch statistics beside a moving average of the weights", None,
                   train(*BARE, *STATISTICS, "--epochs", "1"), WEIGHTS),
    "samplers": (
        "samplers being fitted",
        train("--no-report", *SMALL, "--epochs", "3"),
        lambda run: [["fit-sampler", str(run), "--sampler", "gaussian-mixture"],
                     ["fit-sampler", str(run), "--sampler", "two-stage", "--set", "steps=100"]],
        ["model.safetensors", "samplers"],
    ),
    "evaluate": (
        "an evaluation, with its report",
        train("--no-report", *SMALL, "--epochs", "3"),
        lambda run: [["evaluate", str(run), "--full", "--sections", "reconstruction,latents"]],
        ["model.safetensors", "evaluation.json", "evaluation-rows.csv", "figures"],
    ),
}


def start(words):
    return subprocess.Popen([LATENT, *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def alone(commands):
    """Each command without interruption; the seconds of all."""
    begun = time.monotonic()
    for words in commands:
        process = start(words)
        said = process.communicate()[1]
        if process.returncode:
            sys.exit(f"latent {' '.join(words)} ended with {process.returncode}\n{said}")
    return time.monotonic() - begun


def content(path):
    """The bytes of a file or of a folder's files; what only tells how long something took is taken out."""
    if path.is_dir():
        return {str(file.relative_to(path)): content(file) for file in sorted(path.rglob("*")) if file.is_file()}
    data = path.read_bytes() if path.exists() else b"missing"
    seconds = rb'("?seconds"?\s*[:=]\s*"?)[0-9.e+-]+'
    if b'"latent-sampler"' not in data[:4096]:
        return re.sub(seconds, rb"\1-", data)
    # The head of a safetensors file begins with its length and ends with spaces, and a checksum is of the head too.
    length = 8 + int.from_bytes(data[:8], "little")
    head = re.sub(rb'("crc32c_of_all":")[0-9a-f]+', rb"\1-", re.sub(seconds, rb"\1-", data[8:length].rstrip()))
    return head + data[length:]


def interrupted(commands, hits):
    """The commands, each given again until it ends, with signals after so many seconds each of the time under way;
    what was said by a command that failed otherwise."""
    hits = list(hits)
    given = 0
    for words in commands:
        while True:
            process = start(words)
            if hits:
                after, name = hits[0]
                try:
                    said = process.communicate(timeout=max(after, 0.0))[1]
                    hits[0] = (after - 0.05, name)
                except subprocess.TimeoutExpired:
                    process.send_signal(name)
                    hits.pop(0)
                    given += 1
                    said = process.communicate()[1]
                    if process.returncode != 0:
                        # 130 and the like: it was saved; -n: the system ended it.
                        if process.returncode in (1, 2):
                            return given, said
                        continue
            else:
                said = process.communicate()[1]
            if process.returncode:
                return given, said
            break
    return given, None


def compared(run, reference, files):
    """What differs."""
    return [name for name in files if content(run / name) != content(reference / name)]


def prepare(kind, work):
    """The run that was left alone, what interrupted ones start from, and how long it takes."""
    _, before, commands, files = KINDS[kind]
    base, reference = work / kind / "base", work / kind / "alone"
    shutil.rmtree(work / kind, ignore_errors=True)
    (work / kind).mkdir(parents=True)
    if before:
        alone(before(base))
    seconds = []
    for _ in range(2):
        run = work / kind / "run"
        shutil.rmtree(run, ignore_errors=True)
        if before:
            shutil.copytree(base, run)
        seconds.append(alone(commands(run)))
        if reference.exists():
            different = compared(run, reference, files)
            if different:
                sys.exit(f"{kind}: two runs that were left alone differ in {', '.join(different)}")
        else:
            # The same path each time: a report may name it.
            shutil.copytree(run, reference)
    return min(seconds)


def cell(kind, number, kills, whole, work):
    """One interrupted run."""
    _, before, commands, files = KINDS[kind]
    chance = random.Random(f"{kind} {number}")
    run = work / kind / "run"
    while True:
        shutil.rmtree(run, ignore_errors=True)
        if before:
            shutil.copytree(work / kind / "base", run)
        name = signal.SIGKILL if number % 2 == 0 else GENTLE[number // 2 % 3]
        after = (number + chance.random()) / kills * whole
        hits = [(after, name)]
        if number % 3 == 2:
            hits.append((chance.random() * whole, signal.SIGKILL))
        given, said = interrupted(commands(run), hits)
        if given:
            break
        # It was quicker this time and over before it was hit.
        whole *= 0.95
    different = compared(run, work / kind / "alone", files)
    left = [str(file.relative_to(run)) for file in run.rglob("*.tmp")]
    return {
        "kind": kind, "number": number, "signals": [signal.Signals(name).name for _, name in hits[:given]],
        "after": [round(after, 3) for after, _ in hits[:given]], "different": different, "said": said, "left": left,
    }


def page(cells, commit):
    """The section of the page that this command writes."""
    lines = [
        "## Interrupted runs",
        "",
        "Runs of ten kinds, each interrupted at a time uniform over it, half of them killed outright, the others asked to end; "
        "every third hit twice. The command is then given again until it ends. *Same* means: every file named is, byte for byte, "
        "that of a run that was left alone.",
        "",
        "| kind | what it is | interrupted | signals | same |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    for kind, (about, *_) in KINDS.items():
        own = [c for c in cells if c["kind"] == kind]
        same = sum(not c["different"] and not c["said"] and not c["left"] for c in own)
        if own:
            lines.append(f"| {kind} | {about} | {len(own)} | {sum(len(c['signals']) for c in own)} | {same} |")
    same = sum(not c["different"] and not c["said"] and not c["left"] for c in cells)
    lines += [f"| all | | {len(cells)} | {sum(len(c['signals']) for c in cells)} | {same} |", ""]
    for c in cells:
        if c["different"] or c["said"] or c["left"]:
            lines.append(f"- {c['kind']} {c['number']} ({', '.join(c['signals'])} after {c['after']} s): "
                         f"{c['different'] or ''} {c['said'] or ''} {c['left'] or ''}")
    lines += ["", f"`bench/kills.py`, commit {commit}, {os.cpu_count()} threads of {processor()}.", ""]
    return "\n".join(lines)


def processor():
    info = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.*)", info.read_text()) if info.exists() else []
    return names[0] if names else platform.processor()


def put(section):
    """Replaces the section of that heading, or adds it."""
    text = PAGE.read_text() if PAGE.exists() else "# Reliability\n\nWhat was tried to make it lose or corrupt something.\n"
    heading = section.splitlines()[0]
    pattern = re.compile(rf"^{re.escape(heading)}$.*?(?=^## |^<!-- |\Z)", re.S | re.M)
    text = pattern.sub(lambda _: section, text) if pattern.search(text) else text.rstrip() + "\n\n" + section
    PAGE.write_text(text.rstrip() + "\n")


def main():
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    work = Path(sys.argv[2] if len(sys.argv) > 2 else "runs/kills")
    work.mkdir(parents=True, exist_ok=True)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], stdout=subprocess.PIPE, text=True).stdout.strip()
    journal = work / "cells.jsonl"
    cells = [json.loads(line) for line in journal.read_text().splitlines()] if journal.exists() else []
    for kind in KINDS:
        todo = [n for n in range(kills) if not any(c["kind"] == kind and c["number"] == n for c in cells)]
        if not todo:
            continue
        whole = prepare(kind, work)
        for number in todo:
            done = cell(kind, number, kills, whole, work)
            cells.append(done)
            with journal.open("a") as file:
                file.write(json.dumps(done) + "\n")
            bad = done["different"] or done["said"] or done["left"]
            print(f"{kind} {number} {done['signals']} after {done['after']} s: {'NOT THE SAME ' + str(bad) if bad else 'the same'}",
                  flush=True)
        put(page(cells, commit))
    put(page(cells, commit))
    bad = [c for c in cells if c["different"] or c["said"] or c["left"]]
    print(f"{len(cells) - len(bad)} of {len(cells)} interrupted runs end as the one that was left alone")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
