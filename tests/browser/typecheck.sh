#!/usr/bin/env bash
# Writes the settings of the type checker into the directory where its packages are: they extend the committed ones, which
# cannot know it. web/ is checked without the types of Node, which it never meets.
set -euo pipefail
tools=$1
root=$(cd "$(dirname "$0")/../.." && pwd)
source=$root/tests/browser

cat >"$tools/tests.json" <<EOF
{
  "extends": "$source/tsconfig.json",
  "compilerOptions": {
    "typeRoots": ["$tools/node_modules/@types"],
    "paths": { "playwright-core": ["$tools/node_modules/playwright-core/index.d.ts"] }
  },
  "include": ["$source/**/*.js"]
}
EOF
cat >"$tools/web.json" <<EOF
{
  "extends": "$source/tsconfig.json",
  "compilerOptions": { "types": [] },
  "include": ["$root/web/**/*.js"]
}
EOF
