#!/usr/bin/env bash
# The six members that proved the axes, on Fashion-MNIST for a few epochs: bench/members.sh [FOLDER] [EPOCHS]
#
# Trains each into FOLDER/NAME (default runs/members), goes on where it was left, draws a sheet of samples, and prints a row
# for docs/results/members.md. LATENT=BINARY takes one that is built. Fashion-MNIST is Debian's package dataset-fashion-mnist.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-runs/members}
epochs=${2:-3}
latent=${LATENT:-target/release/latent}
[ -n "${LATENT:-}" ] || cargo build --quiet --release --bin latent >&2
mkdir -p "$folder"
for preset in vamp-vae iaf-vae conditional-vae wae-gan vq-vae spatial-vae; do
    run=$folder/$preset
    # The rate counts in full from the start, so that so few epochs have a best checkpoint.
    settings=()
    case $preset in vamp-vae | iaf-vae) settings=(--set 'objective.terms.rate.schedule={kind="constant"}') ;; esac
    resume=()
    [ -e "$run/run.toml" ] && resume=(--resume)
    begun=$SECONDS
    "$latent" train --preset "$preset" --data fashion-mnist --epochs "$epochs" --seed 1 --no-report --out "$run" \
        "${settings[@]}" "${resume[@]}" >"$run.log" 2>&1
    took=$((SECONDS - begun))
    case $preset in
    vq-vae)
        [ -e "$run/samplers/autoregressive.safetensors" ] || "$latent" fit-sampler "$run" --sampler autoregressive >>"$run.log" 2>&1
        "$latent" sample "$run" --sampler autoregressive --count 64 --seed 1 --force --out "$folder/$preset.png" >>"$run.log" 2>&1
        ;;
    conditional-vae)
        for class in Trouser Sneaker; do
            "$latent" sample "$run" --condition "label=$class" --count 32 --seed 1 --force --out "$folder/$preset-$class.png" >>"$run.log" 2>&1
        done
        ;;
    spatial-vae)
        [ -e "$run/samplers/gaussian-mixture.safetensors" ] || "$latent" fit-sampler "$run" --sampler gaussian-mixture >>"$run.log" 2>&1
        "$latent" sample "$run" --sampler gaussian-mixture --count 64 --seed 1 --force --out "$folder/$preset.png" >>"$run.log" 2>&1
        ;;
    *) "$latent" sample "$run" --sampler prior --count 64 --seed 1 --force --out "$folder/$preset.png" >>"$run.log" 2>&1 ;;
    esac
    "$latent" reconstruct "$run" --count 16 --force --out "$folder/$preset-again.png" >>"$run.log" 2>&1
    python3 - "$run/metrics.jsonl" "$preset" "$epochs" "$took" <<'PY'
import json, sys
path, preset, epochs, took = sys.argv[1:]
lines = [json.loads(line) for line in open(path)]
last = [line for line in lines if line.get("split") == "validation"][-1]
skip = {"step", "epoch", "split"}
numbers = ", ".join(f"{name} {value:.2f}" for name, value in last.items() if name not in skip and isinstance(value, (int, float)))
print(f"| {preset} | {epochs} | {last['step']} | {numbers} | {took} |", flush=True)
PY
done
