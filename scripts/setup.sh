#!/bin/sh
# Find a Python that the project supports and let it set up .venv. Usage: sh scripts/setup.sh run|test
# PYTHON names one interpreter and no other; without it the one in .venv comes first, so that it is not rebuilt.
set -eu
cd "${0%/*}/.."

supported='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))'

if [ -n "${PYTHON:-}" ]; then
    "$PYTHON" -c "$supported" >/dev/null 2>&1 || {
        echo "set-up: PYTHON=$PYTHON does not run, or is not Python 3.11, 3.12 or 3.13" >&2
        exit 1
    }
    exec "$PYTHON" scripts/setup_venv.py "$@"
fi

# A name on PATH is no proof: version switchers put commands there that only print an error. So each is run.
for candidate in .venv/bin/python python3.11 python3.12 python3.13 python3 python; do
    if "$candidate" -c "$supported" >/dev/null 2>&1; then
        exec "$candidate" scripts/setup_venv.py "$@"
    fi
done

echo "set-up: no Python 3.11, 3.12 or 3.13 found; install one, or name it: make run PYTHON=/path/to/python3.11" >&2
exit 1
