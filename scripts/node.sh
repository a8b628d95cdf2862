#!/bin/sh
# Runs a command with a Node that can build the web app: the system's when it is new enough
# (^20.19 or >= 22.12), else one installed from requirements/node.txt into .node.
# Usage: scripts/node.sh npm ci
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)

new_enough() {
    "$1" -e '
        const [major, minor] = process.versions.node.split(".").map(Number);
        const good = (major === 20 && minor >= 19) || (major === 22 && minor >= 12) || major > 22;
        process.exit(good ? 0 : 1);' >/dev/null 2>&1
}

install_node() {
    echo "node: installing a private one into .node (the system's is missing or too old)" >&2
    rm -rf "$root/.node"
    if command -v uv >/dev/null 2>&1; then
        uv venv --quiet "$root/.node"
        uv pip install --quiet --python "$root/.node/bin/python" --require-hashes -r "$root/requirements/node.txt"
    else
        python3 -m venv "$root/.node"
        "$root/.node/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$root/requirements/node.txt"
    fi
}

if ! { command -v node && command -v npm && new_enough node; } >/dev/null 2>&1; then
    new_enough "$root/.node/bin/node" || install_node
    PATH="$root/.node/bin:$PATH"
    export PATH
fi
exec "$@"
