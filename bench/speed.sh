#!/usr/bin/env bash
# The table of speed, ours over theirs: bench/speed.sh [W1 … W9] [--pairs N] [--row PART] [--fresh] [--print]
#
# Nothing else may run meanwhile. PyTorch, torchvision and pythae live in a virtual environment of their own,
# LATENT_BENCH_VENV (default ~/.cache/latent-bench-venv), which is made when it is missing. W5, W6 and W9 need
# Fashion-MNIST (Debian's package dataset-fashion-mnist), in the folder FASHION.
set -euo pipefail
cd "$(dirname "$0")/.."
export LATENT_BENCH_VENV=${LATENT_BENCH_VENV:-$HOME/.cache/latent-bench-venv}
if [ ! -x "$LATENT_BENCH_VENV/bin/python" ]; then
    python3 -m venv "$LATENT_BENCH_VENV"
    "$LATENT_BENCH_VENV/bin/pip" install --quiet torch==2.15.0 torchvision pythae==0.1.2 pillow numpy >&2
fi
cargo build --quiet --release --workspace --bins --examples >&2
exec "$LATENT_BENCH_VENV/bin/python" bench/speed/table.py "$@"
