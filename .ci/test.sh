#!/usr/bin/env bash
# Every check, cheapest first: `.ci/test.sh all`, or one part: fmt | ui | lint | unit | e2e.
# `.ci/test.sh bench` checks nothing: it times the window of a release build.
# Called by the Makefile, which has installed the system packages and set CARGO_TARGET_DIR and CACHE.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

: "${CACHE:=${XDG_CACHE_HOME:-$HOME/.cache}/lucency}"
: "${CARGO_TARGET_DIR:=$CACHE/target}"
export CARGO_TARGET_DIR
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-auto}
[ "${CI:-}" != true ] || export CARGO_INCREMENTAL=0
export LUCENCY_TEST_DATA=${LUCENCY_TEST_DATA:-$(dirname "$PWD")/shared/data}
export LUCENCY_ARTIFACTS=${LUCENCY_ARTIFACTS:-$CARGO_TARGET_DIR/e2e-artifacts}
export PATH="$CACHE/tools/bin:$PATH"

# One set of packages and features for every step, so that nothing is compiled twice.
readonly WHOLE=(--locked --workspace --features lucency-app/custom-protocol)
readonly TAURI_DRIVER=2.1.0

log=$(mktemp -d)
passed=0 failed=0 skipped=0

# Adds a runner's closing lines to the totals; `SKIPPED:` lines are tests that lacked their data.
count() {
    local words
    words=$(sed 's/\x1b\[[0-9;]*m//g' "$1" | awk '
        /^ +Summary \[/ || /^test result:/ || /^ +Tests  / {
            for (i = 2; i <= NF; i++) {
                if ($i ~ /^passed/) p += $(i - 1)
                if ($i ~ /^failed/) f += $(i - 1)
            }
        }
        /SKIPPED:/ { s++ }
        END { print p + 0, f + 0, s + 0 }')
    read -r p f s <<<"$words"
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
}

finish() {
    local status=$?
    rm -rf "$log"
    [ "$status" -eq 0 ] || [ "$failed" -gt 0 ] || failed=1
    echo
    if [ $((passed + failed)) -gt 0 ]; then
        echo "$passed passed, $failed failed, $skipped skipped"
    fi
    exit "$status"
}
trap finish EXIT

step() {
    local name=$1 begin=$SECONDS
    shift
    printf '\n== %s\n' "$name"
    local status=0
    "$@" </dev/null 2>&1 | tee "$log/step" || status=$?
    count "$log/step"
    printf -- '-- %s: %d s\n' "$name" $((SECONDS - begin))
    return "$status"
}

need() {
    command -v "$1" >/dev/null || { echo "$1 is missing: $2" >&2; exit 1; }
}

optional() {
    local tool=$1
    shift
    if command -v "$tool" >/dev/null; then "$@"; else echo "$tool is not installed: left out"; fi
}

fmt() {
    step "Rust formatting" cargo fmt --all --check
    step "Spelling" optional typos typos
    step "Dependencies: licences, bans, sources" optional cargo-deny cargo deny --locked check bans licenses sources
}

ui() {
    need npm "install Node.js 20.19 or newer"
    step "UI packages" npm --prefix ui ci --no-audit --no-fund
    step "UI lint and formatting" npm --prefix ui run lint
    step "UI types" npm --prefix ui run check
    step "UI unit tests" npm --prefix ui run test
    built_ui
}

built_ui() {
    step "UI build" npm --prefix ui run build
}

lint() {
    step "Clippy" cargo clippy "${WHOLE[@]}" --all-targets -- -D warnings
    step "Documentation" cargo doc "${WHOLE[@]}" --no-deps --quiet
}

binaries() {
    step "Build" cargo build "${WHOLE[@]}" --bins --tests
}

# The runner's filter comes first: which tests.
rust_tests() {
    local name=$1 filter=$2
    shift 2
    if cargo nextest --version >/dev/null 2>&1; then
        step "$name" cargo nextest run "${WHOLE[@]}" --success-output never -E "$filter"
    else
        step "$name" cargo test "${WHOLE[@]}" "$@"
    fi
}

unit() {
    if [ ! -d "$LUCENCY_TEST_DATA" ]; then
        echo "SKIPPED: tests that need the data folder ($LUCENCY_TEST_DATA is not there)" | tee "$log/data"
        count "$log/data"
    fi
    binaries
    rust_tests "Unit, parity and whole-system tests" 'not binary(e2e)' \
        --lib --bins --test '*' -- --skip viewing:: --skip assisting:: --skip comparing:: --skip starting:: \
            --skip keyboard:: --skip opening::
    step "Examples in the documentation" cargo test "${WHOLE[@]}" --doc --quiet
}

driver() {
    tauri-driver --help >/dev/null 2>&1 && return
    cargo install tauri-driver --version "$TAURI_DRIVER" --locked --debug --root "$CACHE/tools"
}

e2e() {
    step "WebDriver for Tauri windows" driver
    mkdir -p "$LUCENCY_ARTIFACTS"
    binaries
    rust_tests "The window, end to end" 'binary(e2e)' --test e2e
    echo "Screenshots: $LUCENCY_ARTIFACTS"
}

# How fast the window is: printed, never asserted.
bench() {
    step "WebDriver for Tauri windows" driver
    mkdir -p "$LUCENCY_ARTIFACTS"
    step "Release build" cargo build --release --locked -p lucency-app --features custom-protocol
    export LUCENCY_BIN="$CARGO_TARGET_DIR/release"
    step "The window, timed" cargo test --locked -p lucency-tests --test e2e -- \
        --ignored --nocapture --exact measuring::measure_the_window
}

need cargo "install Rust from https://rustup.rs"
case "${1:-all}" in
    all) fmt; ui; lint; unit; e2e ;;
    fmt | ui | lint | unit) "$1" ;;
    e2e | bench)
        [ -d ui/dist/assets ] || { step "UI packages" npm --prefix ui ci --no-audit --no-fund; built_ui; }
        "$1"
        ;;
    *) echo "unknown part: $1" >&2; exit 2 ;;
esac
