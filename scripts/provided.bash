# shellcheck shell=bash
# Sourced by the scripts that provide programs for tests without installing them: those on PATH, or those of Debian's packages,
# unpacked into a hidden directory of the project.
#
# Such a script defines two functions:
#   answers DIRECTORY   whether the programs in this directory run: executed, because a partly unpacked package must not count
#   fill                puts the programs below $CACHE, with `unpack` or `download`
# and calls
#   provide BELOW [PROGRAM]   sets PLACE to the directory that has them: that of PROGRAM on PATH if these answer, otherwise
#                             $CACHE/BELOW, which is $CACHE for an empty BELOW

readonly NAME=${0##*/}
readonly CACHE=$PWD/.$NAME
readonly LOCK_SECONDS=300

say() { echo "$NAME: $*" >&2; }
die() {
    say "$@"
    exit 1
}

provide() {
    local program
    if program=$(command -v "${2-}") && PLACE=$(dirname "$program") && answers "$PLACE"; then
        return
    fi
    PLACE=$CACHE${1:+/$1}
    if answers "$PLACE"; then
        return
    fi
    # Locked, because two runs at once would overwrite each other's files; the second one waits, then finds the result.
    mkdir -p "$CACHE"
    echo '*' >"$CACHE/.gitignore"
    exec 9>"$CACHE/.lock"
    flock -w "$LOCK_SECONDS" 9 ||
        die "another 'scripts/$NAME' has held $CACHE/.lock for $LOCK_SECONDS s: end it first"
    if answers "$PLACE"; then
        return
    fi
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
        die "automatic only on Debian and its relatives: put the programs ${2:+on PATH, or }into $PLACE"
    fill
    answers "$PLACE" || die "the unpacked programs do not run on this machine: see those in $PLACE"
}

# unpack PACKAGE [SUITE]: a package of that release of Debian, whichever the machine has.
unpack() {
    local files
    files=$(scripts/unpack "$1" "$CACHE" "${@:2}")
    say "unpacked $files"
}

# download PACKAGE...: packages of the release that the machine has.
download() {
    local work deb output
    work=$(mktemp -d)
    # shellcheck disable=SC2064  # expand now: the local is gone when the trap runs
    trap "rm -rf '$work'" EXIT
    # apt drops to its own user for downloads.
    chmod 777 "$work"
    if ! output=$(cd "$work" && apt-get -qq download "$@" 2>&1); then
        [[ $EUID == 0 ]] || die "apt-get cannot download $*; as root, 'apt-get update' may help: $output"
        apt-get -qq update
        output=$(cd "$work" && apt-get -qq download "$@" 2>&1) || die "apt-get cannot download $*: $output"
    fi
    for deb in "$work"/*.deb; do
        dpkg-deb --extract "$deb" "$CACHE"
    done
    say "unpacked $(cd "$work" && echo *.deb)"
}
