#!/usr/bin/env bash
# Compiles each header alone, and the public ones also as C++.
set -euo pipefail
cd "$(dirname "$0")/.."
flags=(-fsyntax-only -D_GNU_SOURCE -Wall -Wextra -Werror -Wno-unused-function -Isrc -Iinclude
  -Itests -I. -include stddef.h)
failed=0
while read -r header; do
  case $header in
    src/base/poison.h) continue ;; # it is nothing but pragmas
    cli/* | server/* | bench/* | fuzz/* | examples/*) own=(-I"$(dirname "$header")") ;;
    *) own=() ;;
  esac
  gcc -std=c11 "${flags[@]}" "${own[@]}" -x c - <<<"#include \"$header\"" || failed=1
  case $header in
    include/firn/*)
      g++ -std=c++11 "${flags[@]}" -x c++ - <<<"#include \"${header#include/}\"" || failed=1 ;;
  esac
done < <(tools/list_sources.sh | grep '\.h$')
exit "$failed"
