#!/usr/bin/env bash
# Prints the version as include/firn/version.h states it.
set -euo pipefail
awk '/^#define FIRN_VERSION_(MAJOR|MINOR|PATCH) / { v = v dot $3; dot = "." } END { print v }' \
  "$(dirname "$0")/../include/firn/version.h"
