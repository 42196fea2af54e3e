#!/usr/bin/env bash
# setup.sh PACKAGE... - sees to it that what the Makefile needs is there. Packages have the
# names of Debian and Ubuntu; each is looked for by what it is needed for (a command, a header),
# so that other systems do as well. What is missing is installed with apt-get if this is root
# or may use sudo without a password; otherwise the command to run is printed, and the exit
# status is 1. "clang-sanitizers" stands for the runtime libraries of the installed clang.
set -u

have() { command -v "$1" >/dev/null 2>&1; }

links() { # links COMPILER FLAGS...: does a small program build?
    local out
    out=$(mktemp) && echo 'int main(void) { return 0; }' | "$@" -x c - -o "$out" >/dev/null 2>&1
    local status=$?
    rm -f "$out"
    return $status
}

has_stb() {
    local cc
    for cc in cc gcc clang; do have "$cc" && break; done
    # shellcheck disable=SC2046
    printf '#include "stb_ds.h"\n#include "stb_image_write.h"\n' |
        "$cc" $(pkg-config --cflags stb 2>/dev/null) -E -x c - >/dev/null 2>&1
}

present() {
    case $1 in
    gcc) links gcc || links cc ;;
    g++) have g++ ;;
    binutils) have nm ;;
    musl-tools) have musl-gcc ;;
    libstb-dev) has_stb ;;
    clang-sanitizers) links clang -fsanitize=address && links clang -fsanitize=thread ;;
    *) have "$1" || dpkg-query -W -f '${Status}\n' "$1" 2>/dev/null | grep -q ' installed$' ;;
    esac
}

# The packages behind a name.
packages_of() {
    case $1 in
    gcc) echo gcc libc6-dev ;;
    clang-sanitizers)
        local version
        version=$(clang -dumpversion 2>/dev/null | cut -d. -f1)
        [ -n "$version" ] || version=$(apt-cache depends clang 2>/dev/null |
            sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p' | head -n 1)
        if apt-cache show "libclang-rt-$version-dev" >/dev/null 2>&1; then
            echo "libclang-rt-$version-dev"
        else
            echo "libclang-common-$version-dev" # older distributions have them in here
        fi
        ;;
    *) echo "$1" ;;
    esac
}

as_root=()
if [ "$(id -u)" != 0 ]; then as_root=(sudo -n); fi

may_install() {
    have apt-get || return 1
    [ "$(id -u)" = 0 ] || { have sudo && sudo -n true 2>/dev/null; }
}

apt_get() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y \
        -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 "$@" >/dev/null
}

# The lists of packages are fetched only if what is here does not do.
install() {
    echo "installing $*" >&2
    apt_get install --no-install-recommends "$@" 2>/dev/null && return 0
    apt_get update && apt_get install --no-install-recommends "$@"
}

missing() {
    local name
    for name in "$@"; do present "$name" || echo "$name"; done
}

refuse() {
    local names=() name
    for name in "$@"; do
        # shellcheck disable=SC2207
        names+=($(packages_of "$name"))
    done
    echo "missing: $*" >&2
    echo "install what is missing and run this again, on Debian or Ubuntu with" >&2
    echo "    sudo apt-get update && sudo apt-get install -y ${names[*]}" >&2
    exit 1
}

# shellcheck disable=SC2207
lacking=($(missing "$@"))
[ ${#lacking[@]} = 0 ] && exit 0
may_install || refuse "${lacking[@]}"
# What clang-sanitizers means depends on the clang that is there: a second round finds it.
for round in 1 2; do
    names=()
    for name in "${lacking[@]}"; do
        [ "$name" = clang-sanitizers ] && [ $round = 1 ] && [ ${#lacking[@]} != 1 ] && continue
        # shellcheck disable=SC2207
        names+=($(packages_of "$name"))
    done
    install "${names[@]}" || refuse "${lacking[@]}"
    # shellcheck disable=SC2207
    lacking=($(missing "${lacking[@]}"))
    [ ${#lacking[@]} = 0 ] && exit 0
done
refuse "${lacking[@]}"
