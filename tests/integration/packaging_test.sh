#!/usr/bin/env bash
# Installs into an empty prefix and uses it as a stranger would: a program outside the tree built
# with pkg-config (shared and static), one with find_package, the example of the README, and the
# installed tool and manual page.
set -euo pipefail
source_dir=${FIRN_SOURCE:-$(cd "$(dirname "$0")/../.." && pwd)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
  echo "packaging: $*" >&2
  exit 1
}
expect_file() {
  [ -e "$prefix/$1" ] || fail "$1 was not installed"
}

# The build that is installed is the release build, not the one under test (it has sanitizers).
"$source_dir/tools/build.sh" -j 2 release >"$work/build.log" 2>&1 || { cat "$work/build.log"; exit 1; }
prefix=$work/prefix
cmake --install "$source_dir/build/release" --prefix "$prefix" >"$work/install.log"
lib=$(dirname "$(cd "$prefix" && find lib* -name 'libfirn.so' | head -n 1)")
[ "$lib" != . ] || fail "no libfirn.so in $(cat "$work/install.log")"
version=$("$source_dir/tools/version.sh")

expect_file "$lib/libfirn.a"
expect_file "$lib/libfirn.so.$version"
expect_file "$lib/pkgconfig/firn.pc"
expect_file "$lib/cmake/firn/firn-config.cmake"
for header in "$source_dir"/include/firn/*.h; do
  expect_file "include/firn/$(basename "$header")"
done
if compgen -G "$source_dir/cli/*.c" >/dev/null; then
  expect_file bin/firn
  "$prefix/bin/firn" put "$work/tool" key value
  [ "$("$prefix/bin/firn" get "$work/tool" key)" = value ] || fail "the installed tool lost a value"
fi
if [ -e "$source_dir/cli/firn.1" ]; then
  expect_file share/man/man1/firn.1
fi

"$source_dir/tools/check_symbols.sh" "$prefix/$lib/libfirn.so" "$prefix/$lib/libfirn.a"

# A program outside the tree.
mkdir "$work/outside"
cd "$work/outside"
sed 's,"firn.h",<firn/firn.h>,' "$source_dir/tools/amalgamation_smoke.c" >program.c
export PKG_CONFIG_PATH=$prefix/$lib/pkgconfig
[ "$(pkg-config --modversion firn)" = "$version" ] || fail "firn.pc has another version"
read -ra cflags <<<"$(pkg-config --cflags firn)"
read -ra libs <<<"$(pkg-config --libs firn)"
cc -std=c11 -Wall -Wextra -Werror "${cflags[@]}" program.c "${libs[@]}" -o with_pkg_config
readelf -d with_pkg_config | grep -q 'libfirn\.so\.' || fail "the soname has no version"
LD_LIBRARY_PATH=$prefix/$lib ./with_pkg_config db1 || fail "the program built with pkg-config failed"

# The archive brings what it needs itself: the compression libraries.
read -ra static_libs <<<"$(pkg-config --static --libs firn)"
cc -std=c11 "${cflags[@]}" program.c "${static_libs[@]/#-lfirn/-l:libfirn.a}" -o with_archive
! readelf -d with_archive | grep -q 'libfirn\.so' || fail "the archive was not what was linked"
./with_archive db2 || fail "the program built with the archive failed"

cat >CMakeLists.txt <<'CMAKE'
cmake_minimum_required(VERSION 3.21)
project(outside LANGUAGES C)
find_package(firn 0.1 REQUIRED)
add_executable(shared program.c)
target_link_libraries(shared PRIVATE firn::firn)
add_executable(static program.c)
target_link_libraries(static PRIVATE firn::firn_static)
CMAKE
cmake -S . -B build -DCMAKE_PREFIX_PATH="$prefix" >cmake.log 2>&1 || { cat cmake.log; exit 1; }
cmake --build build >build.log 2>&1 || { cat build.log; exit 1; }
build/shared db3 || fail "the program built with find_package failed"
build/static db4 || fail "the program built with firn::firn_static failed"

# What the README shows must compile and run as it stands there.
if [ -e "$source_dir/README.md" ]; then
  awk '/^```c$/ { c = 1; text = ""; next }
       /^```$/  { if (c && text ~ /int main/) { printf "%s", text; exit } c = 0 }
       c        { text = text $0 "\n" }' "$source_dir/README.md" >readme.c
  if [ -s readme.c ]; then
    cc -std=c11 -Wall -Wextra -Werror "${cflags[@]}" readme.c "${libs[@]}" -o readme
    mkdir readme_run
    (cd readme_run && LD_LIBRARY_PATH=$prefix/$lib ../readme) || fail "the README's example failed"
  fi
fi
echo "packaging: ok"
