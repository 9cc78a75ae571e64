#!/bin/sh
# Programs that some tests drive: a browser for the console, nginx for the reverse proxy, Prometheus. Debian's packages are
# installed when they are missing and this may be done here; otherwise it says so, and those tests skip themselves.
set -u

any_of() {
    for name in "$@"; do
        command -v "$name" >/dev/null 2>&1 && return 0
    done
    return 1
}

may_install=no
if any_of apt-get && [ "$(id -u)" -eq 0 ]; then
    may_install=yes
fi

missing=""
left=""
if ! any_of chromium; then
    [ "$may_install" = yes ] && missing="chromium" || left="chromium"
fi
# Debian keeps nginx where only root's PATH looks. Installing it also starts it, on port 80, unless the system has a
# policy against that, as containers have: a test run must not put a web server on somebody's machine.
if ! any_of nginx /usr/sbin/nginx; then
    [ "$may_install" = yes ] && [ -x "${POLICY_FILE:-/usr/sbin/policy-rc.d}" ] &&
        missing="$missing nginx" || left="$left nginx"
fi
# So is Prometheus, which brings promtool along.
if ! any_of prometheus; then
    [ "$may_install" = yes ] && [ -x "${POLICY_FILE:-/usr/sbin/policy-rc.d}" ] &&
        missing="$missing prometheus" || left="$left prometheus"
fi
missing="${missing# }"

if [ -n "$missing" ]; then
    echo "set-up: installing Debian's $missing"
    # shellcheck disable=SC2086  # one word a package
    if ! { apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
        apt-get install -qq -y --no-install-recommends $missing >/dev/null; }; then
        echo "set-up: apt-get failed (its lines above say why)"
        left="$missing${left:+ $left}"
    fi
fi
left="${left# }"
[ -z "$left" ] || echo "set-up: without $left some tests skip themselves; on Debian: apt-get install $left"
