#!/usr/bin/env bash
# Mutates valid files and puts them into every reader, a million for each, in a process that may hold 256 MB; writes
# docs/results/fuzzing.md.
#
#   bench/fuzz.sh [READER ...]        the readers named in the table below; all of them unless given
#
# LATENT_FUZZ is the number of inputs for each reader (default 1000000). The cap is RLIMIT_DATA, which Linux counts over
# all private writable memory of the process: an allocation beyond it fails, and with it the test. It is set for the
# test programs alone. Programs built before are taken from LATENT_LIB_TESTS (the library's unit tests) and
# LATENT_FILE_TESTS (the integration test fuzz_files). With NOTE=text a line is added to the page.
#
# Needs Linux. An input that fails is found again: the message has its number, and fuzz_files keeps its bytes.
set -euo pipefail
cd "$(dirname "$0")/.."
inputs=${LATENT_FUZZ:-1000000}
cap=$((256 * 1024))
page=docs/results/fuzzing.md

# reader | program | test | streams of inputs that the test draws (LATENT_FUZZ counts each of them)
readers='idx|lib|data::fuzz::idx_survives|1
npy|lib|data::fuzz::npy_survives|1
npz|lib|data::fuzz::npz_survives|1
csv|lib|data::fuzz::csv_survives|1
image|lib|data::fuzz::images_survive|1
folder|lib|data::fuzz::folder_survives|1
model file|files|model_files|3
TOML, --set|files|configurations|3
checkpoint|files|checkpoints|2'

if [ -z "${LATENT_LIB_TESTS:-}" ] || [ -z "${LATENT_FILE_TESTS:-}" ]; then
    built=$(cargo test --release --workspace --lib --test fuzz_files --no-run 2>&1 | tee /dev/stderr)
    program() { sed -n "s|.*Executable $1 (\(.*\))|\1|p" <<<"$built" | grep "/$2-" | head -n 1; }
    lib=${LATENT_LIB_TESTS:-$(program 'unittests src/lib.rs' latent)}
    files=${LATENT_FILE_TESTS:-$(program 'tests/fuzz_files.rs' fuzz_files)}
fi
lib=$(realpath "${lib:-$LATENT_LIB_TESTS}")
files=$(realpath "${files:-$LATENT_FILE_TESTS}")

# Files that the tests write go to memory where there is such a folder: a disk would be what is timed.
work=$(mktemp -d -p "$([ -w /dev/shm ] && echo /dev/shm || echo "${TMPDIR:-/tmp}")")
trap 'rm -rf "$work"' EXIT

rows=''
failed=0
while IFS='|' read -r reader kind test streams; do
    if [ $# -gt 0 ] && ! printf '%s\n' "$@" | grep -qxF "$reader"; then continue; fi
    program=${!kind}
    each=$(((inputs + streams - 1) / streams))
    start=$(date +%s%N)
    (
        cd crates/latent
        ulimit -d "$cap"
        LATENT_FUZZ=$each TMPDIR=$work exec "$program" "$test" --exact --test-threads 1 --nocapture
    ) >"$work/log" 2>&1 </dev/null &
    pid=$!
    # VmHWM only grows; the last look before the end is the peak. The first looks see bash, which becomes the program.
    peak=0
    while kill -0 "$pid" 2>/dev/null; do
        now=$(awk '/^Name:/ {name = $2} /^RssAnon:/ && name != "bash" {print $2}' "/proc/$pid/status" 2>/dev/null || true)
        [ -n "$now" ] && [ "$now" -gt "$peak" ] && peak=$now
        sleep 0.05
    done
    status=0
    wait "$pid" || status=$?
    seconds=$((($(date +%s%N) - start) / 100000000))
    good=$(sed -n 's/.* mutations, \([0-9]*\) of them still good.*/\1/p' "$work/log" | head -n 1)
    if [ "$status" -eq 0 ] && grep -q '1 passed' "$work/log"; then
        finding='no panic'
    else
        finding="FAILED: $(grep -v '^$' "$work/log" | grep -m 1 -E 'panic|input|memory|exceeds' || echo "status $status")"
        failed=1
    fi
    row="| $reader | $((each * streams)) | ${good:-–} | $((seconds / 10)).$((seconds % 10)) | $(((peak + 1023) / 1024)) | $finding |"
    echo "$row"
    [ "$failed" -eq 0 ] || cat "$work/log"
    rows+="$row"$'\n'
done <<<"$readers"

# The coverage that bench/coverage.sh wrote stays.
coverage=$([ -f "$page" ] && sed -n '/^## Line coverage/,$p' "$page" || true)
mkdir -p "$(dirname "$page")"
{
    cat <<PAGE
# Fuzzing of the readers

\`bench/fuzz.sh\` changes valid files at random (bits, bytes, cut and repeated parts, numbers and words that readers
trip over) and reads what came of it to the last row. A reader answers with rows or with an error; a panic fails, and
so does memory: the process runs under \`ulimit -d\` (RLIMIT_DATA) of 256 MB, where an allocation beyond it aborts.
Mutations are drawn by key, so every run sees the same inputs.

| reader | inputs | still good | seconds | peak MB | finding |
| --- | ---: | ---: | ---: | ---: | --- |
$rows
*Still good*: mutations that the reader accepted, where the test counts them. *Peak MB*: anonymous resident memory,
looked at every 50 ms. *TOML* is run.toml, files of settings and \`--set\` in equal parts; *model file* is the file, its
header under a checksum that holds, and the run within the header; *folder* is a folder of which one image is changed.

$(date -u +%Y-%m-%d), commit $(git rev-parse --short HEAD)$(git diff --quiet HEAD -- crates || echo ' (changed)'), \
$(nproc) cores ($(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)), Linux $(uname -r | cut -d- -f1), $(rustc --version | cut -d' ' -f1,2). ${NOTE:-}
PAGE
    [ -z "$coverage" ] || printf '\n%s\n' "$coverage"
} >"$work/page"
cp "$work/page" "$page"
exit "$failed"
