#!/usr/bin/env bash
# Builds every example: NAME/main.rs becomes NAME/NAME.wasm, and SHA256SUMS says which bytes came out.
#
#   guest-examples/build.sh            build, and write the modules and SHA256SUMS
#   guest-examples/build.sh --check    build aside, change nothing, and fail if any module or digest differs
#
# The compiler is a pinned one, which scripts/guest-toolchain.sh puts under target/. GUEST_TOOLCHAIN names another
# folder for it.
set -euo pipefail

check=false
case "$*" in
  '') ;;
  --check) check=true ;;
  *) echo "usage: build.sh [--check]" >&2; exit 2 ;;
esac

here=$(cd "$(dirname "$0")" && pwd)
toolchain=$(realpath -m "${GUEST_TOOLCHAIN:-$here/../target/guest-toolchain}")
"$here/../scripts/guest-toolchain.sh" "$toolchain"
cd "$here"

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# Sources are named relative to this folder, so that the modules do not depend on where the checkout is.
build() {
  local name=$1
  mkdir "$out/$name"
  "$toolchain/bin/rustc" --edition 2021 --target wasm32-wasi --crate-name "${name//-/_}" \
    -O -C lto -C panic=abort -C strip=symbols -C linker=wasm-ld -o "$out/$name/$name.wasm" "$name/main.rs"
  chmod 644 "$out/$name/$name.wasm"
}
export -f build
export toolchain out

# digests DIR: of all modules under it, sorted by name.
digests() { (export LC_ALL=C; cd "$1" && sha256sum -- */*.wasm); }

# differing WHAT DIGESTS: names the modules whose digest is not the one in SHA256SUMS; fails if there are any.
differing() {
  diff SHA256SUMS "$2" | awk -v what="$1" '/^[<>]/ && !told[$3]++ { print $3 ": " what " is not what SHA256SUMS says" }
    END { exit NR > 0 }'
}

ls -- */main.rs | xargs -n 1 dirname | xargs -P "$(nproc)" -I NAME bash -euc 'build NAME'
digests "$out" >"$out/built"

if $check; then
  digests . >"$out/committed"
  bad=0
  differing "the module in this folder" "$out/committed" || bad=1
  differing "the module built from source" "$out/built" || bad=1
  ((bad)) || echo "$(wc -l <SHA256SUMS) modules are as SHA256SUMS says"
  exit $bad
fi

while read -r _ file; do mv "$out/$file" "$file"; done <"$out/built"
mv "$out/built" SHA256SUMS
echo "$(wc -l <SHA256SUMS) modules built"
