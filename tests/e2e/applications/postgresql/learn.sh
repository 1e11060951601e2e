# One of each: a table, a temporary one, a sort that does not fit into memory, VACUUM, a checkpoint, a reload.
sql() { of postgresql /usr/lib/postgresql/15/bin/psql -h 127.0.0.1 -U postgres -d "${database:-postgres}" -X -q -A -t -v ON_ERROR_STOP=1 -c "$1"; }
until_answers sql 'SELECT 1'
if [ -n "${restarted:-}" ]; then
  same 3000 "$(sql 'SELECT count(*) FROM orders')"
else
  sql 'CREATE DATABASE shop' >/dev/null
  sql 'CREATE TABLE orders AS SELECT n AS id, md5(n::text) AS item FROM generate_series(1, 3000) n'
  sql 'CREATE INDEX ON orders (item)'
fi
same 3000 "$(sql 'CREATE TEMPORARY TABLE sorted AS SELECT * FROM orders ORDER BY item; SELECT count(*) FROM sorted')"
sql 'VACUUM orders'
sql 'VACUUM FULL'
sql 'CHECKPOINT'
sql 'SELECT pg_switch_wal()' >/dev/null
same t "$(sql 'SELECT pg_reload_conf()')"
same t "$(sql 'SELECT pg_rotate_logfile()')"
