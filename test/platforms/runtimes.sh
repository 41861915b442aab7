#!/usr/bin/env bash
# Tries `npm start` with other runtimes and package managers, each from npm, on a clone of its own, and prints a row of the
# table in docs/platforms.md for each. Not part of `npm test`.
#
#   bash test/platforms/runtimes.sh [NAME…]      # node20 node22 node24 node26 bun deno pnpm yarn
set -uo pipefail
root=$(git -C "$(dirname "$0")" rev-parse --show-toplevel)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
names=${*:-node20 node22 node24 node26 bun deno pnpm yarn}

# Installs a package of npm into a directory of its own, with its install script, and prints that directory.
tool() {
  mkdir -p "$work/tools/$1" && cd "$work/tools/$1" && echo "{}" >package.json
  npm install --silent --no-audit --no-fund --ignore-scripts=false "$1" >&2 && pwd
}

# Runs a command in a clone, and prints the name, its version, and "works" or the last line of what went wrong.
try() {
  local name=$1 version=$2 command=$3 log=$work/$1.log
  git clone --quiet "$root" "$work/$name"
  if (cd "$work/$name" && eval "$command") >"$log" 2>&1 && grep -q identical "$log"; then
    echo "| $name | $version | works |"
  else
    echo "| $name | $version | $(grep -iE '^ *error|Error:' "$log" | head -1 | cut -c1-150) |"
  fi
}

echo "| runtime | version | npm start |"
echo "|---|---|---|"
for name in $names; do
  case $name in
    node*) bin=$(tool "node@${name#node}")/node_modules/node/bin
      try "$name" "$("$bin/node" --version)" "export PATH=$bin:\$PATH; npm ci && npm start" ;;
    bun) bin=$(tool bun)/node_modules/.bin
      try bun "$("$bin/bun" --version)" "npm ci && $bin/bun scripts/start.ts" ;;
    deno) bin=$(tool deno)/node_modules/.bin
      try deno "$("$bin/deno" --version | head -1)" "npm ci && $bin/deno run -A --sloppy-imports scripts/start.ts" ;;
    pnpm) bin=$(tool pnpm@10)/node_modules/.bin
      try pnpm "$("$bin/pnpm" --version)" "$bin/pnpm install && $bin/pnpm start" ;;
    yarn) bin=$(tool yarn)/node_modules/.bin
      try yarn "$("$bin/yarn" --version)" "$bin/yarn install --ignore-engines --ignore-scripts && $bin/yarn start" ;;
    *) echo "the name must be one of node20 node22 node24 node26 bun deno pnpm yarn, got $name" >&2; exit 2 ;;
  esac
done
