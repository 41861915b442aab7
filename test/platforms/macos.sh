#!/usr/bin/env bash
# Builds the TensorFlow backend for macOS on Apple silicon with the code of `npm run setup:tensorflow`, cross-compiled and
# linked by zig, and checks what was made. Nothing of it is run. Not part of `npm test`; needs python3 with pip, LLVM's
# tools, 2 GB of temporary space and about four minutes:
#
#   bash test/platforms/macos.sh
set -euo pipefail
cd "$(git -C "$(dirname "$0")" rev-parse --show-toplevel)"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
command -v llvm-objdump >/dev/null || { echo "llvm-objdump must be installed (Debian: apt-get install llvm)" >&2; exit 2; }

python3 -m pip install --quiet --target "$work/zig" ziglang==0.17.1
export CXX="$work/zig/ziglang/zig c++ -target aarch64-macos.12.0" ZIG_GLOBAL_CACHE_DIR=$work/cache WORK=$work/build
node --import tsx --input-type=module <<'END'
const { build } = await import("./scripts/setup-tensorflow/build.ts");
const { RELEASE } = await import("./scripts/setup-tensorflow/release.ts");
const { packageDirectory } = await import("./src/backend/tensorflow.ts");
const machine = { platform: "darwin", arch: "arm64", package: packageDirectory(), env: process.env, log: console.log };
await build(RELEASE.wheels["cpu-darwin-arm64"], process.env.WORK, machine);
END

addon=$WORK/lib/napi-v8/tfjs_binding.node libraries=$WORK/deps/lib
file "$addon" "$libraries"/* | sed "s|$work/||"
echo "the addon's load commands:"
llvm-objdump --macho --dylibs-used "$addon" | sed 1d
llvm-objdump --macho --private-headers "$addon" | grep -A2 LC_RPATH | grep path

llvm-objdump --macho --dylibs-used "$addon" | grep -q "@rpath/libtensorflow_cc.2.dylib"
llvm-objdump --macho --private-headers "$addon" | grep -q "path @loader_path/../../deps/lib"

# The libraries must export every function of TensorFlow that the addon calls. The others are Node's, and macOS's own.
llvm-nm --extern-only --undefined-only --just-symbol-name "$addon" | sort >"$work/called"
llvm-nm --extern-only --defined-only --just-symbol-name "$libraries"/*.dylib 2>/dev/null | sort -u >"$work/exported"
tr -s " ,[]'" "\n" <"$work/zig/ziglang/lib/libc/darwin/libSystem.tbd" | sort -u >"$work/system"
grep -E "^_TFE?_" "$work/called" >"$work/tensorflow"
echo "functions of TensorFlow that the addon calls: $(wc -l <"$work/tensorflow")"
missing=$(comm -23 "$work/tensorflow" "$work/exported")
other=$(grep -vE "^_(TFE?|napi)_" "$work/called" | comm -23 - "$work/system")
test -z "$missing$other" || { echo "found nowhere: $missing $other" >&2; exit 1; }
echo "all are exported by its libraries; the other functions are Node-API's and libSystem's"
