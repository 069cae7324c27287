#!/usr/bin/env bash
# Trains on a 5 GB .npy of random bytes and prints the peak of resident memory. Needs 6 GB of disk in $TMPDIR.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release >&2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

rows=6600000
header="{'descr': '|u1', 'fortran_order': False, 'shape': ($rows, 28, 28), }"
{
    printf '\x93NUMPY\x01\x00'
    printf '\x76\x00'                       # 118 bytes of header follow
    printf '%-117s\n' "$header"
    head -c $((rows * 784)) /dev/urandom
} > "$folder/large.npy"
ls -l "$folder/large.npy" >&2

target/release/latent train --data "$folder/large.npy" --preset vae --out "$folder/run" \
    --set train.steps=300 --set train.validate_rows=1000 --no-report &
pid=$!
peak=0
while kill -0 "$pid" 2>/dev/null; do
    now=$(awk '/VmHWM/ {print $2}' "/proc/$pid/status" 2>/dev/null || true)
    [ -n "$now" ] && [ "$now" -gt "$peak" ] && peak=$now
    sleep 0.2
done
wait "$pid"
echo "peak resident memory: $((peak / 1024)) MB for $(($(stat -c %s "$folder/large.npy") / 1048576)) MB of data"
