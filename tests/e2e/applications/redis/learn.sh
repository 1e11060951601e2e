# One of each: keys, a background save, a rewrite of the log, memory that is swapped to no file.
redis() { of redis /usr/bin/redis-cli "$@"; }
background() { # background SECTION COMMAND: waits until it has been done
  redis "$2" >/dev/null
  until redis info persistence | grep -q "^$1_in_progress:0"; do usleep 50000; done
  redis info persistence | grep -q "^$3:ok" || { redis info persistence >&2; exit 1; }
}
until_answers redis ping
same OK "$(redis set visits 1)"
same 2 "$(redis incr visits)"
redis del list >/dev/null
same 3 "$(redis rpush list a b c)"
background rdb_bgsave bgsave rdb_last_bgsave_status
background aof_rewrite bgrewriteaof aof_last_bgrewrite_status
same 3 "$(redis incr visits)"
