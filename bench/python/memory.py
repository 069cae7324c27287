"""What the Python package holds in memory: a large array, and a thousand fits in one process.

    python bench/python/memory.py [GIGABYTES] [FITS]

The array is made once; then the peak of resident memory over fitting, encoding and scoring is told against what was there
before, beside the size of the array. Fits are of a small table; memory is told after each tenth.
"""

import gc
import sys
import time

import numpy as np

import latent


def resident(what: str) -> float:
    """VmRSS or VmHWM in megabytes."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(what)) / 1024


def reset_peak() -> None:
    with open("/proc/self/clear_refs", "w") as refs:
        refs.write("5")


def large(gigabytes: float) -> None:
    rows = int(gigabytes * 1e9 / 4 / 256)
    X = np.empty((rows, 256), np.float32)
    rng = np.random.default_rng(0)
    for start in range(0, rows, 10_000):
        X[start : start + 10_000] = rng.standard_normal((min(10_000, rows - start), 256), np.float32)
    small = X[:1000]
    vae = latent.VAE(epochs=1, network__hidden=[8], latent_dim=2, progress=False, train__batch=4096)
    vae.fit(small).transform(small)
    before = resident("VmRSS")
    print(f"array of {X.nbytes / 2**20:.0f} MB, resident {before:.0f} MB")
    for name, work in [("fit", lambda: vae.fit(X)), ("transform", lambda: vae.transform(X))]:
        reset_peak()
        begun = time.perf_counter()
        kept = work()
        took = time.perf_counter() - begun
        print(f"{name}: peak {resident('VmHWM') - before:+.0f} MB over the array, {took:.0f} s", flush=True)
        del kept
        gc.collect()


def many(fits: int) -> None:
    X = np.random.default_rng(0).normal(size=(200, 5)).astype(np.float32)
    for fit in range(fits):
        latent.VAE(epochs=2, network__hidden=[16], latent_dim=2, random_state=fit, progress=False).fit(X).transform(X)
        if fit in (0, 9) or (fit + 1) % max(1, fits // 10) == 0:
            print(f"after {fit + 1} fits: {resident('VmRSS'):.1f} MB", flush=True)


if __name__ == "__main__":
    large(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0)
    many(int(sys.argv[2]) if len(sys.argv) > 2 else 1000)
