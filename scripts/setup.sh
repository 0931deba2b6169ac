#!/bin/sh
# Makes .venv from requirements/*.txt, or leaves it as it is where it fits already: setup.sh fleet|dev|speech
#
# .venv/.fleet, .venv/.dev and .venv/.speech say what was installed: a checksum of the requirements, the folder (a .venv cannot be
# moved) and the Python. Where .fleet does not fit, .venv is made anew, so that it never holds more than the files say.
# .venv/.unfinished is there while something is being installed: a run that was interrupted is repaired by the next.
set -eu
cd -P "$(dirname "$0")/.."
wanted=${1:-fleet}
spoke=''
python=${PYTHON:-}

stop() {
    echo "quire: $*" >&2
    exit 1
}

version() { "$1" -I -S -c 'import sys; print(sys.version.replace("\n", " "))' 2>/dev/null; }

stamp() { echo "$(cksum <"requirements/$1.txt") $PWD $(version .venv/bin/python)"; }

fits() { [ ! -e .venv/.unfinished ] && [ "$(cat ".venv/.$1" 2>/dev/null)" = "$(stamp "$1")" ]; }

# Prints, in a sentence, why Quire cannot run on this Python; nothing where it can.
fault() {
    "$1" -I - "$1" 2>/dev/null <<'PYTHON' || echo "$1 does not run here as a Python 3; name one that does: make setup PYTHON=/path/to/python3.11"
import os, platform, sys
name, version = sys.argv[1], platform.python_version()
short = "python%d.%d" % sys.version_info[:2]
other = "install one of them, or say where one is: make setup PYTHON=/path/to/python3.11"
try:
    libc = os.confstr("CS_GNU_LIBC_VERSION") or ""
except (OSError, ValueError):
    libc = ""
if sys.version_info < (3, 11):
    print("%s is Python %s, and Quire needs 3.11 to 3.14; %s" % (name, version, other))
elif sys.version_info >= (3, 15):
    print("%s is Python %s, too new for some of Quire's packages, which need 3.11 to 3.14; %s" % (name, version, other))
elif sys.platform == "linux" and not libc.startswith("glibc"):
    print("this Linux has musl instead of glibc (Alpine has), which Quire's packages need; use Debian, Ubuntu or Fedora, also as a container.")
elif sys.platform == "linux" and [int(part) for part in libc.split()[1].split(".")[:2]] < [2, 28]:
    print("this Linux has %s, and Quire's packages need glibc 2.28 or newer; use a newer release (Debian 10, Ubuntu 20.04, RHEL 8 or later)." % libc)
elif platform.machine() not in ("x86_64", "aarch64", "arm64"):
    print("this machine is %s, and Quire's packages come for x86_64 and arm64 only; use one of those." % platform.machine())
else:
    try:
        import ensurepip, venv
    except ImportError:
        print("%s has no ensurepip to make a virtual environment with; on Debian and Ubuntu: apt-get install %s-venv" % (name, short))
PYTHON
}

make_venv() {
    case $(uname -s) in
        Linux | Darwin) ;;
        *) stop "Quire runs on Linux and macOS, and this is $(uname -s); on Windows, use it inside WSL 2." ;;
    esac
    if [ -n "$python" ]; then set -- "$python"; else set -- python3 python3.13 python3.12 python3.11 python3.14; fi
    chosen='' complaint=''
    for candidate; do
        if ! command -v "$candidate" >/dev/null; then continue; fi
        found=$(fault "$candidate")
        if [ -z "$found" ]; then chosen=$candidate && break; fi
        complaint=${complaint:-$found} # the first is about what the user calls python3
    done
    if [ -z "$chosen" ]; then
        stop "${complaint:-there is no ${python:-python3} here, and Quire needs Python 3.11 to 3.14; install one, or say where one is: make setup PYTHON=/path/to/python3.11}"
    fi
    echo "quire: making .venv with Python $("$chosen" -I -c 'import platform; print(platform.python_version())')" >&2
    rm -rf .venv
    mkdir .venv
    : >.venv/.unfinished
    "$chosen" -m venv .venv || stop "Python could not make .venv (it says why above); mend that and run make setup again."
}

install() {
    : >.venv/.unfinished
    echo "quire: installing requirements/$1.txt into .venv" >&2
    PIP_USER=0 .venv/bin/python -I -m pip install -qq --disable-pip-version-check --no-input \
        --only-binary :all: --require-hashes -r "requirements/$1.txt" ||
        stop "pip could not install requirements/$1.txt (it says why above); mend that, or try later, and run make setup again."
    stamp "$1" >".venv/.$1"
    rm .venv/.unfinished
}

if command -v flock >/dev/null; then # two at once take turns
    exec 9<scripts/setup.sh
    flock 9 || true
fi
if ! fits fleet || { [ -n "$python" ] && [ "$(version "$python")" != "$(version .venv/bin/python)" ]; }; then
    if [ -e .venv/.speech ]; then spoke=1; fi # who asked for a voice keeps it
    make_venv
    install fleet
fi
if [ "$wanted" = dev ] && ! fits dev; then
    install dev
fi
if { [ "$wanted" = speech ] || [ -n "$spoke" ]; } && ! fits speech; then
    install speech
fi
