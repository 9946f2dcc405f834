#!/usr/bin/env bash
# setup.sh [GROUP...] - installs the Debian packages of tools/packages.txt that are missing: those of
# group "base" and of each GROUP. Says nothing when all are there. FIRN_SKIP_SETUP=1 skips it, for
# systems that have the tools by other means.
set -euo pipefail
cd "$(dirname "$0")/.."

[ "${FIRN_SKIP_SETUP:-0}" = 1 ] && exit 0

declare -A wanted_groups=([base]=1)
for group in "$@"; do
  grep -q "^$group " tools/packages.txt || { echo "setup.sh: no group \"$group\"" >&2; exit 2; }
  wanted_groups[$group]=1
done

missing=()
missing_lines=()
while read -r group package purpose; do
  case $group in '' | '#'*) continue ;; esac
  [ -n "${wanted_groups[$group]:-}" ] || continue
  state=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  if [ "$state" != installed ]; then
    missing+=("$package")
    missing_lines+=("$(printf '  %-20s %s' "$package" "$purpose")")
  fi
done <tools/packages.txt
[ ${#missing[@]} -eq 0 ] && exit 0

# Says what is wanted and gives up: $1 is why this script cannot install it itself.
give_up() {
  {
    echo "Firn needs packages that are not installed, and $1."
    printf '%s\n' "${missing_lines[@]}"
    echo "Install them as root, then run the same command again:"
    echo "  apt-get install --no-install-recommends ${missing[*]}"
    echo "(or set FIRN_SKIP_SETUP=1 if the tools are there by other means)"
  } >&2
  exit 1
}

command -v apt-get >/dev/null || give_up "this system has no apt-get"
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || give_up "this user is neither root nor has sudo"
  as_root=(sudo)
  # Ask for a password only where somebody can type one.
  if [ ! -t 0 ]; then
    sudo -n true 2>/dev/null || give_up "sudo needs a password and there is no terminal"
  fi
fi

echo "Installing what is missing:"
printf '%s\n' "${missing_lines[@]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get -qq -o DPkg::Lock::Timeout=120 -o Acquire::Retries=3 "$@" >>"$log" 2>&1 </dev/null
}
install_missing() {
  apt install -y --no-install-recommends "${missing[@]}"
}

# The package lists may be absent or stale; mirrors fail now and then.
for wait_seconds in 0 5 20; do
  sleep "$wait_seconds"
  apt update || continue
  install_missing && exit 0
done
install_missing && exit 0
tail -n 20 "$log" >&2
give_up "apt-get could not install them (its last words are above)"
