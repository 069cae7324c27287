#!/usr/bin/env bash
# Kills a training run with SIGKILL again and again, at times uniform over the run, resumes it each time, and compares
# what it ends with to a run that was left alone: the model byte for byte, and metrics.jsonl.
#
#   bench/kill-resume.sh [DATA] [KILLS]
#
# DATA is anything that `latent train` reads (default: embedded, 2000 rows of it); KILLS is 20 unless given. The command
# is target/release/latent, or $LATENT; $EPOCHS, $ROWS and $SETTINGS (more flags) change the run. Settings are for
# the processor: exactness is promised for the same build,
# processor and thread count.
set -euo pipefail

data=${1:-embedded}
kills=${2:-20}
latent=${LATENT:-target/release/latent}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A convolutional network with averaged weights; a checkpoint every 10 steps, so that many kills hit one being written.
# `exec` makes the shell that is put into the background the training process itself.
train() {
    exec "$latent" train --data "$data" --out "$1" --resume --no-report --device cpu --epochs "${EPOCHS:-4}" \
        --set data.limit="${ROWS:-2000}" --set network.kind=conv --set 'network.channels=[8, 16]' \
        --set train.ema=0.99 ${SETTINGS:-} --set train.checkpoint_every=10 >"$work/out" 2>&1
}

(train "$work/alone") || { cat "$work/out"; exit 1; }
# Timed the second time, when the files are in the system's cache.
start=$(date +%s%N)
(train "$work/again")
whole=$(( $(date +%s%N) - start ))
echo "a run takes $(( whole / 1000000 )) ms"

same=0
for number in $(seq "$kills"); do
    run="$work/killed"
    killed=no
    until [ "$killed" = yes ]; do
        rm -rf "$run"
        # The number-th of as many equal parts of the run, at a place in it that chance picks; a run that was quicker
        # this time and is over is started again.
        after=$(( (number - 1) * whole / kills + (RANDOM * whole / kills) / 32768 ))
        (train "$run") &
        pid=$!
        sleep "$(awk "BEGIN { print $after / 1e9 }")"
        if kill -KILL "$pid" 2>/dev/null; then killed=yes; else whole=$(( whole * 95 / 100 )); fi
        wait "$pid" 2>/dev/null || true
    done
    left=$(find "$run" -name '*.tmp' 2>/dev/null | wc -l || true)
    (train "$run") || { echo "kill $number: cannot resume"; cat "$work/out"; exit 1; }
    verdict=DIFFERENT
    if cmp -s "$work/alone/model.safetensors" "$run/model.safetensors" \
        && cmp -s "$work/alone/metrics.jsonl" "$run/metrics.jsonl"; then
        verdict="the same"
        same=$((same + 1))
    fi
    echo "kill $number after $(( after / 1000000 )) ms (half-written files: $left): $verdict"
done
echo "$same of $kills killed and resumed runs end as the one that was left alone"
[ "$same" -eq "$kills" ]
