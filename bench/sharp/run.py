#!/usr/bin/env python3
"""New pictures by every method in the same minutes on the same machine, judged by several rulers; to docs/results/sharp-samples.md.

    python -m venv VENV && VENV/bin/pip install torch numpy pillow pythae        # outside of the repository
    VENV/bin/python bench/sharp/run.py PICTURES WORK [--minutes 15] [--methods latent,gan,…] [--seeds 1] [--script FILE] [--face FOLDER]

PICTURES is a tar of JPEG files whose square middle is resized to 64×64 (research data stays outside of the repository), or an npy file.
6,000 train, 2,000 are the reference, 2,000 the floor, by a seeded draw. Minutes are wall clock for everything: training, sampler,
choice between samplers; drawing 2,000 pictures comes on top. Nothing else may run meanwhile. A cell (method, minutes, seed) that is
there is kept: docs/results/sharp/NAME.json. The pictures lie in WORK. `script` is any program that takes TRAIN.npy MINUTES OUT.npy
COUNT. The command is target/release/latent, or $LATENT.
"""

import argparse
import io
import json
import os
import platform
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np

import judge

HERE = Path(__file__).resolve().parent
LATENT = os.environ.get("LATENT", "target/release/latent")
PAGE = HERE.parents[1] / "docs/results/sharp-samples.md"
CELLS = HERE.parents[1] / "docs/results/sharp"
MARKS = "<!-- written by bench/sharp/run.py -->", "<!-- end -->"
NAMES = {
    "floor": "other real pictures", "latent": "latent, as it comes", "latent-vector": "latent, codes without a place (its default before)",
    "latent-sharp": "latent, and a critic of patches", "gan": "GAN: DCGAN, DiffAugment", "vae-mixture": "pythae: VAE and a mixture",
    "rae-mixture": "pythae: RAE-L2 and a mixture", "script": "PyTorch: KL autoencoder, flow U-Net",
}
COUNT = 2000
# EfficientNet's features cost the most.
COUNTS = {"EfficientNet-Lite0": 1000, "random filters": COUNT, "faces": COUNT}
# What `latent train --data IMAGES` resolved to before codes with a place.
VECTOR = """purpose = "samples"
data.flip = "none"
likelihood = { kind = "laplace", mean = "line" }
posterior = { kind = "diagonal-normal", latent = 128 }
network = { kind = "conv", channels = [16, 32, 64, 128] }
objective.terms = { distortion = {}, rate = { weight = 0.5 }, edges = { weight = 0.5 } }
train = { batch = 32, ema = 0.995, optimizer = { learning_rate = 1.5e-3 }, schedule = { kind = "cosine", warmup = 100 } }
"""


def pictures(path):
    if path.suffix == ".npy":
        return np.load(path)
    from PIL import Image

    found = []
    with tarfile.open(path) as archive:
        for member in sorted((m for m in archive if m.name.endswith(".jpg")), key=lambda m: m.name):
            image = Image.open(io.BytesIO(archive.extractfile(member).read())).convert("RGB")
            side = min(image.size)
            left, top = (image.width - side) // 2, (image.height - side) // 2
            found.append(np.asarray(image.crop((left, top, left + side, top + side)).resize((64, 64), Image.BICUBIC)))
    return np.stack(found)


def prepared(path, work):
    names = ["train", "reference", "floor"]
    if not all((work / f"{name}.npy").exists() for name in names):
        work.mkdir(parents=True, exist_ok=True)
        x = pictures(path)
        x = x[np.random.default_rng(1).permutation(len(x))]
        ends = [0, 3 * len(x) // 5, 4 * len(x) // 5, len(x)]
        for name, start, end in zip(names, ends, ends[1:]):
            np.save(work / f"{name}.npy", x[start:end])
    return [work / f"{name}.npy" for name in names]


def ours(method, train, minutes, seed, run, out):
    words = ["train", "--data", train, "--out", run, "--minutes", minutes, "--seed", seed, "--no-report", "--resume"]
    if method == "latent-vector":
        (config := run.with_suffix(".toml")).write_text(VECTOR)
        words += ["--config", config]
    elif method == "latent-sharp":
        words += ["--config", HERE.parents[1] / "examples/sharp.toml"]
    yield [LATENT, *words]
    yield [LATENT, "sample", run, "--count", COUNT, "--out", out]


def commands(method, given, train, seed, run, out):
    if method.startswith("latent"):
        return ours(method, train, given.minutes, seed, run, out)
    if method == "script":
        return [[sys.executable, given.script, train, given.minutes, out, COUNT]]
    return [[sys.executable, HERE / "theirs.py", method, train, given.minutes, out, "--count", COUNT, "--seed", seed, "--mirrored"]]


def sheet(path, out):
    """64 pictures as they came."""
    from PIL import Image

    x = (judge.pictures(path)[:64].permute(0, 2, 3, 1).numpy() * 255).astype(np.uint8)
    n, h, w, c = x.shape
    grid = x.reshape(8, 8, h, w, c).transpose(0, 2, 1, 3, 4).reshape(8 * h, 8 * w, c)
    Image.fromarray(grid.squeeze()).resize((16 * w, 16 * h), Image.NEAREST).save(out)


def cell(method, seed, given, paths, rulers, work):
    name = method if method == "floor" else f"{method}-{given.minutes:g}min-seed{seed}"
    file = CELLS / f"{name}.json"
    if file.exists():
        return
    train, reference, floor = paths
    run, out, begun = work / name, work / f"{name}.npy", time.time()
    if method == "floor":
        out = floor
    elif not out.exists():
        for command in commands(method, given, train, seed, run, out):
            done = subprocess.run([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            if done.returncode:
                sys.exit(f"{' '.join(map(str, command))} ended with {done.returncode}\n{done.stderr[-2000:]}")
        sheet(out, work / f"{name}.png")
    seconds = time.time() - begun
    made, real = judge.pictures(out)[:COUNT], judge.pictures(reference)[:COUNT]
    found = judge.judged(made, real, rulers, judge.pictures(train), COUNTS)
    found |= dict(method=method, minutes=given.minutes, seed=seed, seconds=round(seconds), machine=machine(), commit=commit())
    CELLS.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(".tmp")
    temporary.write_text(json.dumps(found, indent=1) + "\n")
    temporary.rename(file)
    print(name, json.dumps(found), flush=True)


def machine():
    models = [line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return f"{os.cpu_count()} cores, {(models or [platform.machine()])[0]}"


def commit():
    return subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=HERE, capture_output=True, text=True).stdout.strip()


def page():
    cells = [json.loads(file.read_text()) for file in sorted(CELLS.glob("*.json"))]
    cells.sort(key=lambda c: (c["method"] != "floor", c["minutes"], c["EfficientNet-Lite0"]["frechet"]))
    names = [name for name in ("EfficientNet-Lite0", "faces", "random filters") if any(name in c for c in cells)]
    heads = ["method", "minutes", "seed", "power"] + [f"{w}, {n}" for n in names for w in ("Fréchet", "precision", "recall", "coverage")] + ["C_T"]
    lines = [MARKS[0], "", "| " + " | ".join(heads) + " |", "| --- |" + " ---: |" * (len(heads) - 1)]
    for c in cells:
        row = [NAMES[c["method"]], "" if c["method"] == "floor" else f"{c['minutes']:g}", "" if c["method"] == "floor" else str(c["seed"]), f"{c['power']:.2f}"]
        for name in names:
            own = c.get(name, {})
            scale, digits = {"EfficientNet-Lite0": (1, 1), "faces": (1000, 1), "random filters": (1000, 0)}[name]
            row.append(f"{scale * own['frechet']:.{digits}f}" if own else "")
            row += [f"{own[k]:.2f}" if own else "" for k in ("precision", "recall", "coverage")]
        row.append(f"{c[judge.CLOSE]['closeness']:.1f}")
        lines.append("| " + " | ".join(row) + " |")
    lines += ["", MARKS[1]]
    text = PAGE.read_text() if PAGE.exists() else "\n".join(MARKS)
    before, after = text.split(MARKS[0])[0], text.split(MARKS[1])[-1]
    PAGE.write_text(before + "\n".join(lines) + after)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--methods", default="latent,latent-vector,gan,rae-mixture,vae-mixture,script")
    parser.add_argument("--seeds", default="1")
    parser.add_argument("--script")
    parser.add_argument("--face")
    given = parser.parse_args()
    paths = prepared(given.pictures, given.work)
    rulers = judge.rulers(judge.pictures(paths[1]).shape[1], given.face)
    for method in ["floor", *given.methods.split(",")]:
        if method == "script" and not given.script:
            print("script: left out, --script names none")
            continue
        for seed in map(int, given.seeds.split(",")) if method != "floor" else [1]:
            cell(method, seed, given, paths, rulers, given.work)
            page()


if __name__ == "__main__":
    main()
