# shellcheck shell=bash
# What the scripts of this folder share: where things are kept, how they speak, how they become root.
# Sourced, never run. Needs `set -euo pipefail` in the script that sources it.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${PORTCULLIS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/portcullis}
export root cache

# Progress, on stderr: stdout belongs to what a script prints for its caller.
say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

die() {
  say "$*"
  exit 1
}

# The comment at the head of the script that was run, from its second line to its first blank one. Ends the script: well
# where that was asked for, with status 2 where an argument is not understood.
usage() {
  local text
  text=$(sed -n '2,/^$/s/^# \{0,1\}//p' "$0")
  case ${1:-} in
    -h | --help) printf '%s\n' "$text" && exit ;;
    *) printf '%s\n\n%s\n' "${0##*/}: what is ${1:-}?" "$text" >&2 && exit 2 ;;
  esac
}

# True where `as_root` can work without asking for a password.
can_be_root() { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

# installed PACKAGE: is this Debian package installed and configured?
installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# candidate PACKAGE: the version that apt would fetch; fails when it knows none.
candidate() {
  local version
  version=$(apt-cache policy "$1" 2>/dev/null | awk '/Candidate:/ {print $2}')
  [ -n "$version" ] && [ "$version" != "(none)" ] && printf '%s\n' "$version"
}

# refresh_lists PACKAGE: lets apt learn about a package that it does not know (a fresh machine has no lists at all).
refresh_lists() {
  candidate "$1" >/dev/null && return
  can_be_root || die "apt knows no package $1; run: apt-get update"
  say "updating apt's package lists"
  as_root apt-get -qq update
  candidate "$1" >/dev/null || die "no package $1 in this machine's apt sources"
}

# install PACKAGE...: installs what is not there yet, or names the line that does.
install_packages() {
  local missing=() package
  for package; do installed "$package" || missing+=("$package"); done
  [ ${#missing[@]} = 0 ] && return
  can_be_root || die "missing packages; run as root: apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
  for package in "${missing[@]}"; do refresh_lists "$package"; done
  say "installing ${missing[*]}"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >"$cache/apt.log" 2>&1 ||
    die "apt-get failed: see $cache/apt.log"
}

# unpack FOLDER PACKAGE...: downloads packages and unpacks them into a folder, installing nothing.
unpack() {
  local folder=$1 downloads
  shift
  downloads=$(mktemp -d "$cache/download.XXXXXX")
  (cd "$downloads" && apt-get download -qq "$@" 2>log) || {
    cat "$downloads/log" >&2
    rm -rf "$downloads"
    die "could not download: $*"
  }
  local archive
  for archive in "$downloads"/*.deb; do dpkg -x "$archive" "$folder"; done
  rm -rf "$downloads"
}

# Holds the lock NAME until the script ends, so that two runs at once do not do one job twice.
lock() {
  mkdir -p "$cache"
  exec {lock_fd}>"$cache/$1.lock"
  flock "$lock_fd"
}
