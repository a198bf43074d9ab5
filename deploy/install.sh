#!/usr/bin/env bash
# Makes .venv from requirements.lock and builds llama.cpp for every CPU of this architecture, not for this one alone:
# its variants (AVX2, AVX-512, ...) are chosen when a worker starts. The wheel is kept in a cache of its own, so that
# neither a build with other flags nor one for another CPU is ever taken from pip's.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}
CACHE=${HIVE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/hive}

fail() { printf 'install: %s\n' "$1" >&2; exit 1; }
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || fail "Python 3.11 or newer is needed; say which with PYTHON=/path/to/python3."
command -v c++ >/dev/null || command -v g++ >/dev/null || command -v clang++ >/dev/null || fail "a C++ compiler is needed to build llama.cpp (Debian: apt install g++; macOS: xcode-select --install)."

[ -x .venv/bin/python ] || "$PYTHON" -m venv .venv || fail "the venv module is missing (Debian: apt install python3-venv)."
flags=(-DGGML_NATIVE=OFF -DLLAVA_BUILD=OFF)
if [ "$(uname -s)" = Linux ]; then
  flags+=(-DGGML_BACKEND_DL=ON -DGGML_CPU_ALL_VARIANTS=ON -DCMAKE_INSTALL_BINDIR=llama_cpp/lib -DCMAKE_INSTALL_LIBDIR=llama_cpp/lib)
fi
case "${HIVE_GPU:-}" in
  "") ;;
  cuda) flags+=(-DGGML_CUDA=ON) ;;
  vulkan) flags+=(-DGGML_VULKAN=ON) ;;
  hip) flags+=(-DGGML_HIP=ON) ;;
  metal) flags+=(-DGGML_METAL=ON) ;;
  *) fail "HIVE_GPU is cuda, vulkan, hip or metal (on a Mac Metal is built anyway), not $HIVE_GPU." ;;
esac
export CMAKE_ARGS="${HIVE_CMAKE_ARGS:-${flags[*]}}"
key=$(printf '%s' "$CMAKE_ARGS" | cksum | cut -d' ' -f1)
export PIP_CACHE_DIR="$CACHE/pip-$key" PIP_DISABLE_PIP_VERSION_CHECK=1

lock=$(mktemp -d)
trap 'rm -rf "$lock"' EXIT
awk -v rest="$lock/rest" -v llama="$lock/llama" '/^[A-Za-z0-9]/ {out = /^llama-cpp-python==/ ? llama : rest} {print > out}' requirements.lock
started=$(date +%s)
echo "install: Python packages into .venv"
.venv/bin/python -m pip install -qq --require-hashes --no-deps -r "$lock/rest"
echo "install: llama.cpp (from the cache, else built here once: some 12 minutes on 2 cores)"
.venv/bin/python -m pip install -qq --require-hashes --no-deps -r "$lock/llama" &
build=$!
while kill -0 "$build" 2>/dev/null; do
  sleep 1
  if [ -t 1 ]; then printf '\rinstall: llama.cpp, %d s ' "$(($(date +%s) - started))"; fi
done
if [ -t 1 ]; then printf '\n'; fi
wait "$build" || fail "llama.cpp did not build; run 'CMAKE_ARGS=\"$CMAKE_ARGS\" .venv/bin/pip install -v llama-cpp-python' to see why."
.venv/bin/python -m pip install -qq --no-deps --no-build-isolation -e . 
touch .venv/.installed
echo "install: done in $(($(date +%s) - started)) s; try '.venv/bin/hive --help'"
