# What the scripts of all applications have. $container: the container's name; $volume: its data, as the guest sees it;
# $replica: set where the container is a second one, with data of its own.
set -eu

# same WANTED GOT: ends the script where they differ.
same() {
  [ "$1" = "$2" ] && return
  echo "expected: $1" >&2
  echo "but was:  $2" >&2
  exit 1
}

# until_answers COMMAND...: returns when it succeeds. The test's own limit ends what never does.
until_answers() {
  until "$@" >/dev/null 2>&1; do usleep 50000; done
}

# of IMAGE PROGRAM...: a client's program, which is in no container.
of() {
  local image=/images/$1
  shift
  chroot "$image" "$@"
}

get() { wget -q -O - "http://127.0.0.1:$1"; }
post() { wget -q -O - --post-data "$2" "http://127.0.0.1:$1"; }
status() { wget -S -q -O /dev/null "http://127.0.0.1:$1" 2>&1 | awk '/HTTP\// { print $2; exit }'; }
signal() { runc kill "$container" "$1"; }
