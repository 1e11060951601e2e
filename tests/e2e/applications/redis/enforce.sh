# Other data, more clients, several saves and rewrites, scripts, expiry, a reload of all data.
redis() { of redis /usr/bin/redis-cli "$@"; }
background() {
  redis "$2" >/dev/null
  until redis info persistence | grep -q "^$1_in_progress:0"; do usleep 50000; done
  redis info persistence | grep -q "^$3:ok" || { redis info persistence >&2; exit 1; }
}
until_answers redis ping
[ -n "$replica" ] || same 3 "$(redis get visits)"
client() { seq 1 60 | awk -v of="$1" '{ print "SET key:" of ":" $1 " " $1 }' | redis >/dev/null; }
client a & first=$!
client b & second=$!
same 5 "$(redis eval 'return 2 + 3' 0)"
wait "$first"
wait "$second"
same 60 "$(redis get key:b:60)"
for turn in 1 2 3; do
  same OK "$(redis set turn $turn ex 100)"
  background rdb_bgsave bgsave rdb_last_bgsave_status
  background aof_rewrite bgrewriteaof aof_last_bgrewrite_status
done
same OK "$(redis save)"
same OK "$(redis debug reload)"
same 3 "$(redis get turn)"
same OK "$(redis set visits 3)"
