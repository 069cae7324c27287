#!/usr/bin/env bash
# The first runs on real data for many epochs, one seed, and their bounds: prints a table. That of docs/results/first-runs.md is
# written by bench/leaderboard/run.py, over seeds; only the row of the faces comes from here.
# Needs Fashion-MNIST (Debian's package dataset-fashion-mnist). Faces are optional: FACES=folder of JPEG images.
# Runs and pictures go to $RUNS (default runs/first-runs); with an empty $RUNS it takes about half an hour on two cores.
set -euo pipefail
cd "$(dirname "$0")/.."
RUNS=${RUNS:-runs/first-runs}
FASHION=${FASHION:-/usr/share/datasets/fashion-mnist}
TEST=$FASHION/t10k-images-idx3-ubyte.gz
latent=target/release/latent
cargo build --release >&2
mkdir -p "$RUNS"

train() { # name, then flags of `latent train`
    local name=$1; shift
    [ -f "$RUNS/$name/model.safetensors" ] || "$latent" train --out "$RUNS/$name" --resume "$@" >&2
}
# mean and standard error of a column of a csv
column() { awk -F, -v c="$1" 'NR>1 {n++; s+=$c; q+=$c*$c} END {m=s/n; printf "%.2f ± %.2f", m, 1.96*sqrt((q/n-m*m)/n)}' "$2"; }
score() { # name k
    "$latent" score "$RUNS/$1" --data "$TEST" --k "$2" --reference 200 --out "$RUNS/$1/test-$2.csv" --force >&2
    column 1 "$RUNS/$1/test-$2.csv"
}
epochs() { "$latent" inspect "$RUNS/$1" --json | sed 's/.*"epochs":\([0-9.]*\).*/\1/'; }

train vae --data "$FASHION" --preset vae --epochs 20
train vae-binary --data "$FASHION" --preset vae --epochs 20 --set data.binarize=dynamic
train conv --data "$FASHION" --epochs 5
[ -n "${FACES:-}" ] && train faces --data "$FACES" --preset sigma-vae --epochs 12 --set data.image.size=64

{
    echo "# First runs"
    echo
    echo "Made by \`bench/first-runs.sh\`, commit $(git rev-parse --short HEAD), seed 1, $(nproc) cores of $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)."
    echo "Fashion-MNIST: 54,000 training rows, 6,000 validation rows, the official 10,000 test rows. Means over test rows with 95 % intervals."
    echo
    echo "| run | what | epochs | test distortion or bound, nats |"
    echo "| --- | --- | --- | --- |"
    echo "| vae | preset \`vae\` on grey levels: a cross-entropy, no density | $(epochs vae) | distortion $(score vae 1) at the centre of q |"
    echo "| vae-binary | preset \`vae\`, \`data.binarize=dynamic\` | $(epochs vae-binary) | log p ≥ $(score vae-binary 1) (k = 1), ≥ $(score vae-binary 100) (k = 100) |"
    echo "| conv | resolved from the data: conv, normal with measured σ | $(epochs conv) | log p ≥ $(score conv 1) (k = 1), ≥ $(score conv 20) (k = 20), Lebesgue measure of x in [0, 1] |"
    if [ -d "$RUNS/faces" ]; then
        "$latent" score "$RUNS/faces" --k 1 --out "$RUNS/faces/held-out.csv" --force >&2
        echo "| faces | preset \`sigma-vae\`, 64×64 colour, 8,000 of 10,000 faces | $(epochs faces) | log p ≥ $(column 1 "$RUNS/faces/held-out.csv") (k = 1) on 1,000 validation rows, Lebesgue measure of x in [0, 1] |"
    fi
}
