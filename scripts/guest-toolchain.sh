#!/usr/bin/env bash
# Puts a Rust compiler for WASI into a directory, from Debian's packages, without installing anything.
#
#   scripts/guest-toolchain.sh [DIR]        DIR is target/guest-toolchain of this checkout unless given
#
# Afterwards DIR/bin/rustc compiles for the target wasm32-wasi. guest-examples/build.sh uses it.
# Why this old compiler: Debian 12 keeps these versions for years, so the same source gives the same bytes
# on every machine, and guest-examples/SHA256SUMS can be checked. Nothing else needs it.
set -euo pipefail

# Package and upstream version. Debian's own revision (what follows a + or a -) may differ.
pinned=(
  rustc                   1.63.0
  libstd-rust-1.63        1.63.0
  libstd-rust-dev-wasm32  1.63.0
  lld-14                  14.0.6
  libllvm14               14.0.6
)
# What those link to. Fetched in any version, and only on a machine where one of them is missing.
system=(libbsd0 libedit2 libffi8 libgcc-s1 libicu72 liblzma5 libmd0 libstdc++6 libtinfo6 libxml2 libz3-4 zlib1g)

root=$(cd "$(dirname "$0")/.." && pwd)
dir=${1:-$root/target/guest-toolchain}
done_line="rustc 1.63.0 for wasm32-wasi, LLVM 14.0.6"

fail() {
  echo "guest-toolchain: $1" >&2
  echo "Any rustc with the target wasm32-wasip1 builds working modules from guest-examples/, but not necessarily" >&2
  echo "the same bytes: see guest-examples/README.md." >&2
  exit 1
}

if [[ -f $dir/COMPLETE && $(<"$dir/COMPLETE") == "$done_line" ]]; then
  echo "$done_line: already in $dir"
  exit 0
fi

if [[ ! -f $dir/COMPLETE && -n $(ls -A "$dir" 2>/dev/null) ]]; then
  fail "$dir holds something else; name a new or empty folder."
fi
for tool in apt-get apt-cache dpkg-deb; do
  command -v $tool >/dev/null || fail "there is no $tool here, and this script unpacks Debian's packages."
done

mkdir -p "$(dirname "$dir")"
dir=$(cd "$(dirname "$dir")" && pwd)/$(basename "$dir")
# Filled aside and renamed at the end: an interrupted run leaves no half toolchain.
new=$(mktemp -d "$dir.XXXXXX")
trap 'rm -rf "$new"' EXIT
chmod 755 "$new"

# offered PACKAGE: the versions that apt knows, newest first.
offered() { apt-cache madison "$1" 2>/dev/null | awk '{ print $3 }'; }

# matching PACKAGE UPSTREAM: the first offered version with that upstream part, or nothing.
matching() {
  offered "$1" | awk -v want="$2" '
    { v = $1; sub(/^[0-9]+:/, "", v) }
    index(v, want) == 1 && substr(v, length(want) + 1, 1) ~ /^[-+~]?$/ && !found++ { print $1 }'
}

# download NAME[=VERSION]...: into $new/debs; what apt says goes to $new/log.
download() { (mkdir -p "$new/debs" && cd "$new/debs" && apt-get -qq download "$@" >"$new/log" 2>&1); }

unpack() {
  local deb
  for deb in "$new"/debs/*.deb; do dpkg-deb -x "$deb" "$new"; done
  rm -r "$new/debs"
}

fetch_pinned() {
  local i version wanted=()
  for ((i = 0; i < ${#pinned[@]}; i += 2)); do
    version=$(matching "${pinned[i]}" "${pinned[i + 1]}")
    if [[ -z $version ]]; then
      version=$(offered "${pinned[i]}" | paste -sd ' ')
      why="${pinned[i]} ${pinned[i + 1]} (of Debian 12) is wanted, and apt offers ${version:-no such package}."
      return 1
    fi
    wanted+=("${pinned[i]}=$version")
  done
  download "${wanted[@]}" || { why="apt-get download failed: $(tail -n 3 "$new/log")"; return 1; }
}

# A machine without package lists, or with old ones, gets fresh lists, once.
if ! fetch_pinned; then
  apt-get -qq update >"$new/log" 2>&1 || fail "$why (apt-get update failed too: $(tail -n 3 "$new/log"))"
  fetch_pinned || fail "$why"
fi
unpack

libs=$(echo "$new"/usr/lib/*-linux-gnu)
missing() {
  LD_LIBRARY_PATH=$libs ldd "$libs"/librustc_driver-*.so "$libs"/libLLVM-14.so.1 "$new/usr/lib/llvm-14/bin/lld" |
    awk '/not found/ { print $1 }' | sort -u | paste -sd ' '
}
if [[ -n $(missing) ]]; then
  download "${system[@]}" || fail "apt-get download failed: $(tail -n 3 "$new/log")"
  unpack
fi

mkdir "$new/bin"
cat >"$new/bin/rustc" <<'EOF'
#!/bin/sh
# Debian's rustc out of this folder, with its own libraries and linker. Written by scripts/guest-toolchain.sh.
here=$(cd "$(dirname "$0")/.." && pwd)
LD_LIBRARY_PATH=$(echo "$here"/usr/lib/*-linux-gnu):$(echo "$here"/lib/*-linux-gnu) \
PATH=$here/usr/lib/llvm-14/bin:$PATH exec "$here/usr/bin/rustc" "$@"
EOF
chmod 755 "$new/bin/rustc"
version=$("$new/bin/rustc" --version 2>&1) || fail "the unpacked compiler does not start: $version $(missing)"
[[ $version == "rustc 1.63.0"* ]] || fail "the unpacked compiler calls itself $version"

rm -rf "$new/log" "$new/usr/share" "$new/usr/lib/rustlib/wasm32-unknown-unknown"
echo "$done_line" >"$new/COMPLETE"
rm -rf "$dir"
mv "$new" "$dir"
echo "$done_line: now in $dir"
