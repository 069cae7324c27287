#!/usr/bin/env bash
# Address sanitizer over the kernels' tests: the crate latent-kernels and its tests instrumented, what it depends on as
# it is. Takes the compiler's own command for the tests and adds the sanitizer to it.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${TMPDIR:-/tmp}/latent-sanitized
mkdir -p "$out"
touch crates/latent-kernels/src/lib.rs
log=$(cargo test --release --workspace --lib --no-run -v 2>&1)
command=$(grep -o 'rustc --crate-name latent_kernels .*' <<<"$log" | grep -- ' --test ' | sed 's/`$//')
command=$(sed -E "s#--out-dir [^ ]+#--out-dir $out#; s#-C incremental=[^ ]+##; s#--error-format=json##; s#--json=[^ ]+##" <<<"$command")
eval "RUSTC_BOOTSTRAP=1 $command -Zsanitizer=address --target $(rustc -vV | sed -n 's/^host: //p')" >&2
program=$(ls -t "$out"/latent_kernels-* | grep -v '\.' | head -1)
for limit in none avx2 base; do
    echo "LATENT_KERNELS=$limit"
    LATENT_KERNELS=$limit ASAN_OPTIONS=detect_leaks=0 "$program" --skip the_functions_are_as_exact_without_wide_vectors
done
