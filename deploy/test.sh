#!/usr/bin/env bash
# Lint, types and import directions first (seconds), then every test, in parallel where they allow it. Where Chromium is
# missing its tests alone are left out, and that is said last.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH" HIVE_TEST=1
bash deploy/clients.sh
browser=no
for name in chromium chromium-browser google-chrome; do
  if command -v "$name" >/dev/null; then browser=yes; fi
done
if [ "$browser" = no ]; then set -- --ignore=tests/web "$@"; fi
pytest -n 2 --dist loadfile --no-loadscope-reorder "$@"
if [ "$browser" = no ]; then
  echo "test: the browser tests were left out, they need Chromium (Debian: apt install chromium)." >&2
fi
