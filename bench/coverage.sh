#!/usr/bin/env bash
# States the line coverage of the readers (data room) by their own tests and 20000 mutations each, in
# docs/results/fuzzing.md.
#
# The data room uses nothing of the tensor framework, so it is compiled alone: a crate of data/, key.rs and files.rs in
# a temporary folder, with the workspace's dependencies at the versions of its Cargo.lock. TARGET (a folder) keeps what
# was built for the next time; ROOM_TESTS is a test program built before by these means. Needs llvm-profdata and llvm-cov
# of rustc's own LLVM major version (`rustc -vV`): Debian's llvm-22, or `rustup component add llvm-tools`. They are looked
# for with that suffix, in rustup's folder, and plain; LLVM_BIN names another.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
page=docs/results/fuzzing.md
export LATENT_FUZZ=${LATENT_FUZZ:-20000}

version=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
tool() {
    local place
    for place in "${LLVM_BIN:-/nowhere}/$1" "$(command -v "$1-$version" || true)" \
        "$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin/$1" "$(command -v "$1" || true)"; do
        if [ -x "$place" ]; then echo "$place"; return; fi
    done
    echo "no $1: install LLVM $version, or give LLVM_BIN" >&2
    exit 2
}
profdata=$(tool llvm-profdata)
cov=$(tool llvm-cov)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/room" "$work/room/src" "$work/profiles"
cp Cargo.lock "$work/room"
{
    printf '[package]\nname = "latent"\nversion = "0.1.0"\nedition = "2024"\n\n[workspace]\n\n[dependencies]\n'
    grep -E '^(csv|flate2|image|rand|rand_chacha|rand_distr|serde|serde_json|sha2|strsim|thiserror|toml|zip) = ' Cargo.toml
    printf '\n[dev-dependencies]\n'
    grep -E '^(proptest|tempfile) = ' Cargo.toml
} >"$work/room/Cargo.toml"
{
    for module in 'pub mod data;data/mod.rs' 'mod files;files.rs' 'mod key;key.rs'; do
        printf '#[path = "%s"]\n#[allow(dead_code)]\n%s\n' "$root/crates/latent/src/${module#*;}" "${module%;*};"
    done
    echo 'pub use key::Key;'
} >"$work/room/src/lib.rs"

program=${ROOM_TESTS:-}
if [ -z "$program" ]; then
    built=$(cd "$work/room" && RUSTFLAGS='-C instrument-coverage' LLVM_PROFILE_FILE="$work/build-%p.profraw" \
        cargo test --release --lib --no-run --target-dir "${TARGET:-$work/target}" 2>&1 | tee /dev/stderr)
    program=$(sed -n 's|.*Executable unittests src/lib.rs (\(.*\))|\1|p' <<<"$built" | tail -n 1)
    program=$(cd "$work/room" && realpath "$program")
fi

(cd crates/latent && LLVM_PROFILE_FILE="$work/profiles/%p.profraw" "$program") >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
"$profdata" merge -sparse "$work"/profiles/*.profraw -o "$work/all.profdata"
"$cov" report "$program" -instr-profile "$work/all.profdata" --show-functions=false --show-region-summary=false \
    --show-branch-summary=false -ignore-filename-regex='registry|rustc|toolchains' >"$work/report"

# Only this room's files, without its tests; the readers first.
table() {
    awk -v wanted="$1" '
        BEGIN { count = split(wanted, order, " ") }
        NF > 3 && $(NF - 2) ~ /^[0-9]+$/ { file = $1; sub(".*data/", "", file); total[file] = $(NF - 2); missed[file] = $(NF - 1) }
        END {
            for (i = 1; i <= count; i++) if (total[order[i]] > 0) {
                file = order[i]; all += total[file]; lost += missed[file]
                printf "| %s | %d | %d | %.1f %% |\n", file, total[file], missed[file], 100 * (1 - missed[file] / total[file])
            }
            printf "| **together** | %d | %d | **%.1f %%** |\n", all, lost, 100 * (1 - lost / all)
        }' "$work/report"
}
header='| file | lines | not run | covered |
| --- | ---: | ---: | ---: |'
rest=$(cd crates/latent/src/data && ls ./*.rs | sed 's|^\./||' | \
    grep -vxE '(idx|npy|npz|csv|folder|picture|array|storage|open|ordered|split|dataset|fit|matrix|fuzz|tests)\.rs' | tr '\n' ' ')
{
    [ ! -f "$page" ] || printf '%s\n\n' "$(sed '/^## Line coverage/,$d' "$page")"
    cat <<PAGE
## Line coverage of the readers

Commit $(git rev-parse --short HEAD). \`bench/coverage.sh\`: rustc's \`-C instrument-coverage\` over the data room's own tests and $LATENT_FUZZ mutations for
each reader; \`llvm-cov\` $("$cov" --version | sed -n 's/.*version \([0-9.]*\).*/\1/p' | head -n 1).
A file's own unit tests at its end count as lines of it; fuzz.rs and tests.rs are left out.

The readers (open a file, settle on shapes, decode a row):

$header
$(table 'idx.rs npy.rs npz.rs csv.rs folder.rs picture.rs array.rs storage.rs open.rs')

What they stand on:

$header
$(table 'dataset.rs ordered.rs split.rs fit.rs matrix.rs')

The rest of the room, which tests of other rooms and of the commands run too; they don't count here:

$header
$(table "$rest")
PAGE
} >"$work/page"
mkdir -p "$(dirname "$page")"
cp "$work/page" "$page"
sed -n '/^## Line coverage/,$p' "$page"
