"""Times ours against theirs, in turn, and prints the table of ratios. Called by bench/speed.sh.

Both sides are processes that sleep until they are told how much to do, so that A B A B … alternates within seconds.
Each pair of turns gives one ratio; the table shows the median ratio and the least and greatest. A pair during which
other processes used the processors is left out and taken again. Pairs are kept in target/speed/,
so that a table may be made in several calls; `--fresh` forgets them, `--print` only prints.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KEEP = ROOT / "target" / "speed"
OURS = ROOT / "target/release/examples/speed"
STEPS = ROOT / "target/release/examples/steps"
LATENT = ROOT / "target/release/latent"
THEIRS = Path(__file__).with_name("theirs.py")
PYTHON = Path(os.environ["LATENT_BENCH_VENV"]) / "bin/python"
FASHION = Path(os.environ.get("FASHION", "/usr/share/datasets/fashion-mnist"))
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2", "RAYON_NUM_THREADS": "2"}


class Server:
    """A process that does as much as it is told to."""

    def __init__(self, *command):
        words = [str(word) for word in command]
        pipe = subprocess.PIPE
        # A session of its own, so that `others` knows its helpers.
        self.process = subprocess.Popen(
            words, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, env=ENVIRONMENT, start_new_session=True
        )
        if not self.process.stdout.readline():
            sys.exit(f"cannot start: {' '.join(words)}")

    def turn(self, count):
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def busy(sessions):
    """Processor seconds so far of everybody, and of these sessions (and this process)."""
    tick = os.sysconf("SC_CLK_TCK")
    with open("/proc/stat") as stat:
        words = [int(word) for word in stat.readline().split()[1:]]
    everybody, mine = sum(words) - words[3] - words[4], 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as stat:
                fields = stat.read().rsplit(")", 1)[1].split()
        except OSError:
            continue  # it has just ended
        if int(fields[3]) in sessions or int(pid) == os.getpid():
            mine += sum(int(field) for field in fields[11:15])
    return everybody / tick, mine / tick


class Quiet:
    """Whether nobody else used the processors meanwhile."""

    def __init__(self, servers):
        self.sessions = {server.process.pid for server in servers}
        self.start, self.before = time.perf_counter(), busy(self.sessions)

    def share(self):
        """Of all processors, what others used."""
        everybody, mine = (after - before for after, before in zip(busy(self.sessions), self.before))
        return max(0, everybody - mine) / (time.perf_counter() - self.start) / os.cpu_count()


def torch(*words):
    return lambda: Server(PYTHON, THEIRS, *words)


def ours(*words):
    return lambda: Server(OURS, *words)


def bare(name):
    return lambda: Server(STEPS, "serve", name)


def dense(rows, sizes):
    """Multiply-adds of training one dense network on rows: forward, weights, input but for the first layer's."""
    products = [rows * i * o for i, o in sizes]
    return 3 * sum(products) - products[0]


def strided(rows, side, upsampled):
    pairs, total = [(3, 32), (32, 64), (64, 128)], 0
    for index, (i, o) in enumerate(pairs):
        area = (side >> (index + 1)) ** 2
        down = rows * i * o * 16 * area
        up = rows * i * o * (9 * area * 4 if upsampled else 16 * area)
        total += 3 * (down + up) - (down if index == 0 else 0)
    width = 128 * (side // 8) ** 2
    return total + 3 * rows * 3 * width * 64


MLP = dense(128, [(784, 400), (400, 40), (20, 400), (400, 784)])


def iwae(draws):
    encoder = dense(20, [(784, 200), (200, 200), (200, 100)])
    return encoder + 3 * 20 * draws * (50 * 200 + 200 * 200 + 200 * 784)


# A row through the decoder, and through the encoder.
DECODE, ENCODE = 20 * 400 + 400 * 784, 784 * 400 + 400 * 40

EMBEDDED = ["data.source=embedded"]


def training(*keys):
    return ours("train", *keys, "train.epochs=1e7", "train.validate_every=1e9", "train.checkpoint_every=1000000000")


def iwae_keys(draws):
    return ["preset=iwae", *EMBEDDED, f"objective.estimator.draws={draws}"]


def colour(kind):
    return [
        f"data.source={pictures()}", "data.layout=nchw", "train.batch=64", "likelihood.kind=bernoulli",
        "posterior={kind='diagonal-normal', latent=64}", f"network={{kind='strided', upsampled={kind}}}",
    ]


def photos(kind):
    return [f"data.source={jpegs()}", *colour(kind)[2:]]


def pictures():
    """3 x 32 x 32 noise, made once."""
    path = KEEP / "colour.npy"
    if not path.exists():
        code = "import numpy as n, sys; n.save(sys.argv[1], n.random.default_rng(1).integers(0, 256, (4000, 3, 32, 32), n.uint8))"
        subprocess.run([PYTHON, "-c", code, path], check=True)
    return path


def jpegs():
    """10,000 JPEG files of 64 x 64 coloured texture in ten folders, made once."""
    path = KEEP / "jpeg"
    if not path.exists():
        code = """
import sys, numpy as n
from pathlib import Path
from PIL import Image
numbers = n.random.default_rng(2)
for index in range(10000):
    folder = Path(sys.argv[1]) / f"class{index % 10}"
    folder.mkdir(parents=True, exist_ok=True)
    coarse = Image.fromarray(numbers.integers(0, 256, (9, 9, 3), n.uint8)).resize((64, 64), Image.BICUBIC)
    noisy = n.clip(n.asarray(coarse) + numbers.normal(0, 12, (64, 64, 3)), 0, 255).astype(n.uint8)
    Image.fromarray(noisy).save(folder / f"{index:05}.jpg", quality=90)
"""
        subprocess.run([PYTHON, "-c", code, path], check=True)
    return path


def steps(name, product, work, count, reach):
    """The rows of one kind of training step."""
    theirs = {"eager": torch("steps", name), "compile": torch("steps", name, "compile")}
    mine = {f"{name}, the step alone": bare(name), f"{name}, as `latent train` runs it": training(*product)}
    return [dict(ours=mine, theirs=theirs, work=work, count=count, reach=reach)]


def rows(what, name, work, count, reach, keys, theirs_count=None):
    theirs = {"eager": torch(name), "compile": torch(name, "compile")}
    return dict(ours={what: ours(name, *keys)}, theirs=theirs, work=work, count=count, reach=reach)


VAE = ["preset=vae", *EMBEDDED, "train.steps=50", "train.validate_every=1e9"]
BINARY = [*VAE, "data.binarize=static"]

# What is timed: for each workload its rows. `work` is multiply-adds a step (or a row), `count` steps a turn.
WORKLOADS = {
    "W1": lambda: steps("mlp", ["preset=vae", *EMBEDDED], MLP, 150, 0.55),
    "W2": lambda: steps("conv-transposed", colour("false"), strided(64, 32, False), 25, 0.60)
    + steps("conv-upsampled", colour("true"), strided(64, 32, True), 25, 0.60),
    "W3": lambda: steps("iwae-1", iwae_keys(1), iwae(1), 500, 0.25)
    + steps("iwae-5", iwae_keys(5), iwae(5), 300, 0.35)
    + steps("iwae-50", iwae_keys(50), iwae(50), 80, 0.55),
    "W4": lambda: [
        rows("log P(x), 5,000 draws", "score", 5000 * DECODE, 100, 0.60, BINARY),
        dict(ours={"the same against pythae's get_nll": ours("score", *BINARY)}, theirs={"pythae": torch("nll")},
             work=5000 * DECODE, count=100, counts={"pythae": 2}, reach=None),
    ],
    "W6": lambda: [
        rows("encode 60,000", "codes", ENCODE, 54000, 0.5, WHOLE),
        rows("decode 60,000", "decode", DECODE, 54000, 0.5, WHOLE),
        rows("sample 60,000", "sample", DECODE, 60000, 0.5, WHOLE),
    ],
    "W7": lambda: [
        dict(ours={"40 steps of an epoch over 10,000 JPEG files": training(*photos("true"), "data.validation=0.001", "data.test=0.001")},
             theirs={"eager": torch("folder", jpegs()), "compile": torch("folder", jpegs(), "compile")},
             work=strided(64, 64, True), count=40, reach=0.5),
    ],
}
WHOLE = ["preset=vae", f"data.source={FASHION}", "train.steps=50", "train.validate_every=1e9"]


def load(name):
    path = KEEP / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def save(name, results):
    (KEEP / f"{name}.json").write_text(json.dumps(results, indent=1))


def peak(count=30):
    """GFLOP/s of a 1024^3 product: the greater of ours and PyTorch's."""
    best = {}
    for name, start in (("ours", ours("peak")), ("PyTorch", torch("peak"))):
        server = start()
        best[name] = 2 * 1024**3 / min(server.turn(count)["seconds"] for _ in range(3)) / 1e9
        server.close()
    return best


# A pair counts only while everybody else uses less of the processors than this.
NOISE = 0.04


def race(name, pairs, wanted):
    """Pairs of turns of each row of a workload, added to those that are kept."""
    results = load(name)
    results["peak"] = max(results.get("peak", 0), max(peak().values()))
    for row in WORKLOADS[name]():
        if not any(wanted in what for what in row["ours"]):
            continue
        mine = {what: start() for what, start in row["ours"].items()}
        theirs = {how: start() for how, start in row["theirs"].items()}
        done, tried = -1, 0
        while done < pairs and tried < 4 * pairs:
            quiet, tried = Quiet([*mine.values(), *theirs.values()]), tried + 1
            ones = {what: timed(server, row["count"]) for what, server in mine.items()}
            others = {how: timed(server, row.get("counts", {}).get(how, row["count"])) for how, server in theirs.items()}
            if done < 0:
                done = 0  # everybody's caches and clocks
                continue
            if quiet.share() > NOISE:
                continue
            done += 1
            for what, one in ones.items():
                kept = results.setdefault("rows", {}).setdefault(what, {"ours": [], "theirs": []})
                kept["ours"].append(one)
                kept["theirs"].append(others)
                kept.update(work=row["work"], reach=row["reach"])
            save(name, results)
        for server in (*mine.values(), *theirs.values()):
            server.close()
        if done < pairs:
            print(f"{name}: {tried - 1 - done} of {tried - 1} pairs left out, others were using the machine", file=sys.stderr)
        for what in mine:
            if what in results.get("rows", {}):
                show(name, only=what)


def timed(server, count):
    """A turn, with the seconds of one step or row."""
    answer = server.turn(count)
    return {**answer, "each": answer["seconds"] / answer["count"]}


def whole(command):
    """Wall seconds and peak megabytes of a process and those it waited for, and the share of the machine others used."""
    start, (before, _) = time.perf_counter(), busy(())
    process = subprocess.Popen([str(w) for w in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT)
    _, status, usage = os.wait4(process.pid, 0)
    seconds, (after, _) = time.perf_counter() - start, busy(())
    if status != 0:
        sys.exit(f"failed: {command}")
    others = max(0, after - before - usage.ru_utime - usage.ru_stime) / seconds / os.cpu_count()
    return seconds, usage.ru_maxrss / 1024, others


def product(pairs):
    """W5: from the start of the process to the written model."""
    results = load("W5")
    kept = results.setdefault("pairs", [])
    done, tried = 0, 0
    while done < pairs and tried < 2 * pairs:
        tried += 1
        with tempfile.TemporaryDirectory() as folder:
            one = whole([LATENT, "train", "--data", FASHION, "--out", f"{folder}/ours", "--preset", "vae", "--set",
                         "network={kind='mlp', hidden=[512], activation='relu'}", "--epochs", 5, "--no-report"])
            assert Path(f"{folder}/ours/model.safetensors").exists()
            other = whole([PYTHON, THEIRS, "pythae", FASHION / "train-images-idx3-ubyte.gz", f"{folder}/theirs"])
            assert any(Path(f"{folder}/theirs").rglob("model.pt"))
        print(f"W5: ours {one[0]:.1f} s, {one[1]:.0f} MB; pythae {other[0]:.1f} s, {other[1]:.0f} MB;"
              f" others {one[2]:.0%}, {other[2]:.0%}", flush=True)
        if max(one[2], other[2]) <= NOISE:
            done += 1
            kept.append([one, other])
            save("W5", results)


def start_up(pairs):
    """W8: seconds of `latent --help` and of `latent sample` of 16 images."""
    results = load("W8")
    with tempfile.TemporaryDirectory() as folder:
        whole([LATENT, "train", "--data", "embedded", "--out", f"{folder}/run", "--preset", "vae", "--set",
               "train.steps=20", "--no-report"])
        sample = [LATENT, "sample", f"{folder}/run", "--count", 16, "--out", f"{folder}/grid.png", "--force"]
        for turn in range(pairs + 1):
            times = [whole([LATENT, "--help"])[0], whole(sample)[0]]
            if turn:
                results.setdefault("times", []).append(times)
    save("W8", results)


def growth():
    """W9: a step as the data, the latent and the width grow."""
    results = []
    grow = [(f"{n:,} rows", ["preset=vae", f"data.source={FASHION}", f"data.limit={n}"]) for n in (600, 6000, 60000)]
    grow += [(f"latent {d}", ["preset=vae", *EMBEDDED, f"posterior.latent={d}"]) for d in (2, 20, 200)]
    grow += [(f"width {w}", ["preset=vae", *EMBEDDED, f"network.hidden=[{w}]"]) for w in (200, 400, 800, 1600, 3200)]
    servers = [(what, training(*keys)()) for what, keys in grow]
    turns = {what: [] for what, _ in servers}
    for turn in range(8):
        for what, server in servers:
            answer = server.turn(60)
            if turn:
                turns[what].append(answer)
    for what, server in servers:
        with open(f"/proc/{server.process.pid}/status") as status:
            resident = next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))
        server.close()
        each = sorted(turn["seconds"] / turn["count"] * 1e3 for turn in turns[what])
        results.append([what, statistics.median(each), each[0], each[-1], turns[what][-1]["peak"] / 1e6, resident])
    save("W9", {"rows": results})


def spread(values, digits=2):
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def verdict(ratios, reach, share):
    if reach is None:
        return ""
    if statistics.median(ratios) <= reach:
        return "met" if max(ratios) <= reach else "met by the median"
    return "met by the peak" if share >= 0.65 else "missed"


def show(name, only=None):
    results = load(name)
    for what, kept in results.get("rows", {}).items() if isinstance(results.get("rows"), dict) else []:
        if only not in (None, what) or not kept["ours"]:
            continue
        mine = [turn["each"] for turn in kept["ours"]]
        medians = {how: statistics.median(t[how]["each"] for t in kept["theirs"]) for how in kept["theirs"][0]}
        best = min(medians, key=medians.get)
        ratios = [a / t[best]["each"] for a, t in zip(mine, kept["theirs"])]
        share = 2 * kept["work"] / statistics.median(mine) / 1e9 / results["peak"]
        theirs = ", ".join(f"{how} {1e3 * value:.3g}" for how, value in medians.items())
        reach = "" if kept["reach"] is None else f"≤ {kept['reach']:.2f}"
        waited = [turn.get("waited") for turn in kept["ours"]]
        if name == "W7":
            lost = statistics.median(w / t["seconds"] for w, t in zip(waited, kept["ours"]))
            theirs_lost = statistics.median(t[best]["waited"] / t[best]["seconds"] for t in kept["theirs"])
            theirs += f"; waiting for rows: ours {100 * lost:.1f} %, theirs {100 * theirs_lost:.1f} %"
        print(f"| {name} | {what} | {1e3 * statistics.median(mine):.3g} | {theirs} | {spread(ratios)} | {reach} |"
              f" {verdict(ratios, kept['reach'], share)} | {100 * share:.0f} % | {len(ratios)} |", flush=True)
    if name == "W5" and results:
        pairs = results["pairs"]
        for index, unit, reach in ((0, "s", 0.25), (1, "MB", 0.25)):
            ratios = [a[index] / b[index] for a, b in pairs]
            what = ["5 epochs, 54,000 images, wall clock, s", "the same, peak memory, MB"][index]
            medians = [statistics.median(p[side][index] for p in pairs) for side in (0, 1)]
            print(f"| W5 | {what} | {medians[0]:.3g} | pythae {medians[1]:.4g} | {spread(ratios, 3)} | ≤ {reach} |"
                  f" {verdict(ratios, reach, 0)} | | {len(pairs)} |")
    if name == "W8" and results:
        for index, what, reach in ((0, "`latent --help`", 30), (1, "`latent sample --count 16`", 150)):
            times = [1e3 * t[index] for t in results["times"]]
            met = "met" if statistics.median(times) <= reach else "missed"
            print(f"| W8 | {what} | {spread(times, 1)} | | | ≤ {reach} ms | {met} | | {len(times)} |")
    if name == "W9" and results:
        print("\n| W9 | ms a step | allocated in a turn, MB | resident, MB |\n| --- | ---: | ---: | ---: |")
        for what, median, least, most, allocated, resident in results["rows"]:
            print(f"| {what} | {median:.2f} ({least:.2f}–{most:.2f}) | {allocated:.0f} | {resident:.0f} |")


def machine():
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    flags = next((line for line in open("/proc/cpuinfo") if line.startswith("flags")), "").split()
    wide = "AVX-512" if "avx512f" in flags else "AVX2" if "avx2" in flags else "neither AVX2 nor AVX-512"
    commit = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"], capture_output=True, text=True).stdout.strip()
    version = subprocess.run([PYTHON, THEIRS, "version"], capture_output=True, text=True).stdout.strip()
    return f"{os.cpu_count()} cores of {model} ({wide}), PyTorch {version}, commit {commit}, {time.strftime('%Y-%m-%d')}"


def main():
    parser = argparse.ArgumentParser(prog="bench/speed.sh")
    parser.add_argument("workloads", nargs="*", help="W1 … W9; all for none")
    parser.add_argument("--pairs", type=int, default=7, help="pairs of turns")
    parser.add_argument("--row", default="", help="only rows whose name holds this")
    parser.add_argument("--fresh", action="store_true", help="forget the pairs that are kept")
    parser.add_argument("--print", action="store_true", help="print what is kept and time nothing")
    options = parser.parse_args()
    names = options.workloads or [f"W{n}" for n in range(1, 10)]
    KEEP.mkdir(parents=True, exist_ok=True)
    for name in names:
        if options.fresh:
            (KEEP / f"{name}.json").unlink(missing_ok=True)
    print(machine())
    if not options.print:
        measured = peak()
        print("measured peak, 1024³ product: " + ", ".join(f"{who} {value:.0f} GFLOP/s" for who, value in measured.items()))
        for name in names:
            if name == "W5":
                product(options.pairs)
            elif name == "W8":
                start_up(options.pairs)
            elif name == "W9":
                growth()
            else:
                race(name, options.pairs, options.row)
    print("\n| | workload | ours, ms | PyTorch, ms | ours / theirs, median (least–greatest) | reach | | of the peak | pairs |")
    print("| --- | --- | ---: | --- | --- | --- | --- | ---: | ---: |")
    for name in names:
        show(name)


if __name__ == "__main__":
    main()
