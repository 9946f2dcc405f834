#!/usr/bin/env bash
# Runs COMMAND with a fixed address layout where the system lets us: gcc 12's ThreadSanitizer cannot
# start on kernels that randomise more than 28 bits.
set -euo pipefail
if setarch "$(uname -m)" -R true 2>/dev/null; then
  exec setarch "$(uname -m)" -R "$@"
fi
exec "$@"
