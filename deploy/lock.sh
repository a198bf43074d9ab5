#!/usr/bin/env bash
# Writes requirements.lock anew from pyproject.toml: hashes, no index addresses, for every platform. Needs `uv`.
set -euo pipefail
cd "$(dirname "$0")/.."
uv pip compile pyproject.toml --extra test --extra build --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-annotate --no-header --quiet --output-file requirements.lock "$@"
