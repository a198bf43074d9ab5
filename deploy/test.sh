#!/usr/bin/env bash
# Lint, types and import directions first (seconds), then every test, in parallel where they allow it.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH" HIVE_TEST=1
command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || {
  echo "test: the browser tests need Chromium (Debian: apt install chromium)." >&2
  exit 1
}
pytest -n 2 --dist loadfile "$@"
