#!/usr/bin/env bash
# Installs what a build (`deploy/setup.sh build`) or the tests (`deploy/setup.sh test`) need and the system lacks.
# Debian and Ubuntu: with apt, as root or by sudo. Elsewhere it says what is missing. Nothing missing: done at once.
set -euo pipefail

rust_min=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$(dirname "${BASH_SOURCE[0]}")/../Cargo.toml")
java_min=17

goal=${1:-}
[[ $goal == build || $goal == test ]] || {
  printf 'usage: setup.sh build|test\n' >&2
  exit 2
}

packages=() reasons=()
need() { # PACKAGE WHAT-FOR
  packages+=("$1")
  reasons+=("$2")
}
have() { command -v "$1" >/dev/null 2>&1; }

have_libclang() {
  # The library alone is not enough: bindgen wants clang's own headers as well.
  compgen -G "/usr/lib/llvm-*/lib/libclang[.-][s0-9]*" >/dev/null && compgen -G "/usr/lib/llvm-*/lib/clang/*/include/stddef.h" >/dev/null ||
    { { compgen -G "/usr/lib*/libclang.so*" || compgen -G "${LIBCLANG_PATH:-/nonexistent}/libclang*"; } && compgen -G "/usr/lib*/clang/*/include/stddef.h"; } >/dev/null
}
have_library() { have pkg-config && pkg-config --exists "$1"; }
have_java() {
  local version
  have java && version=$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p') && ((${version:-0} >= java_min))
}

have_venv() { have python3 && python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; }

{ have cc && have c++ && have make; } || need build-essential "a C and C++ compiler and make (RocksDB, librdkafka)"
have pkg-config || need pkg-config "pkg-config (finds OpenSSL and zlib)"
have_libclang || need libclang-dev "libclang with its headers (bindings to RocksDB)"
have_library openssl || need libssl-dev "OpenSSL's headers (librdkafka)"
have_library zlib || need zlib1g-dev "zlib's headers (librdkafka)"
have ccache || need ccache "ccache (optional: makes a second build of RocksDB nearly free)"
if [[ $goal == test ]]; then
  have git || need git "git (the house tests look at tracked files)"
  have mvn || need maven "Apache Maven (fetches Kafka's jars)"
  have_java || need java-headless "a Java runtime of version $java_min or later (Kafka)"
  { have setpriv && have flock; } || need util-linux "setpriv and flock of util-linux (tests with a Kafka of their own)"
  have_venv || need python3 "Python 3.10 or later with venv (DuckDB, which reads exports)"
  have ps || need procps "ps (kafka-dev)"
fi

# Debian and Ubuntu name their runtimes by version, and each release has others.
java_package() {
  local version
  for version in 21 17 25; do
    if [[ -n $(apt-cache policy "openjdk-$version-jre-headless" 2>/dev/null | sed -n 's/.*Candidate: \([^(].*\)/\1/p') ]]; then
      printf 'openjdk-%s-jre-headless\n' "$version"
      return
    fi
  done
  printf 'default-jre-headless\n'
}

if ((${#packages[@]} > 0)); then
  if ! have apt-get; then
    printf 'setup: this is not Debian or Ubuntu; please install, by your own package manager:\n' >&2
    printf '  - %s\n' "${reasons[@]}" >&2
    [[ ${packages[*]} == ccache ]] || exit 1
  else
    sudo=()
    if [[ $(id -u) != 0 ]]; then
      have sudo || {
        printf 'setup: neither root nor sudo; as root: apt-get install %s\n' "${packages[*]}" >&2
        exit 1
      }
      sudo=(sudo)
    fi
    printf 'setup: installing %s\n' "${packages[*]}" >&2
    "${sudo[@]+"${sudo[@]}"}" apt-get update -qq
    names=()
    for package in "${packages[@]}"; do
      case $package in
        java-headless) names+=("$(java_package)") ;;
        python3) names+=(python3 python3-venv) ;;
        *) names+=("$package") ;;
      esac
    done
    "${sudo[@]+"${sudo[@]}"}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${names[@]}" >&2
    [[ $goal == build ]] || have_java || {
      printf 'setup: java is still older than %s: choose another with update-alternatives --config java\n' "$java_min" >&2
      exit 1
    }
  fi
fi

PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
version=$(cargo --version 2>/dev/null | sed -n 's/^cargo \([0-9.]*\).*/\1/p') || true
if [[ $(printf '%s\n%s\n' "$rust_min" "${version:-0}" | sort -V | head -n 1) != "$rust_min" ]]; then
  printf 'setup: Rust %s or later is needed, found %s: install it with rustup (rustup toolchain install stable)\n' \
    "$rust_min" "${version:-none}" >&2
  exit 1
fi
if [[ $goal == test ]] && ! { cargo fmt --version && cargo clippy --version; } >/dev/null 2>&1; then
  printf 'setup: rustfmt and clippy are needed: rustup component add rustfmt clippy\n' >&2
  exit 1
fi
