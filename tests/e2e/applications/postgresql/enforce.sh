# Other tables in other databases, more clients at once, larger sorts, VACUUM of everything, many segments of the log.
sql() { of postgresql /usr/lib/postgresql/15/bin/psql -h 127.0.0.1 -U postgres -d "${database:-postgres}" -X -q -A -t -v ON_ERROR_STOP=1 -c "$1"; }
until_answers sql 'SELECT 1'
[ -n "$replica" ] || [ -n "${restarted:-}" ] || same 3000 "$(sql 'SELECT count(*) FROM orders')"
name=stock${replica:+_of_replica}${restarted:+_again}
sql "CREATE DATABASE $name"
database=$name
sql 'CREATE TABLE parts (id serial PRIMARY KEY, name text, amount int)'
insert() { sql "INSERT INTO parts (name, amount) SELECT md5(n::text), n FROM generate_series($1, $2) n"; }
insert 1 4000 & first=$!
insert 4001 8000 & second=$!
wait "$first"
wait "$second"
same 8000 "$(sql 'SELECT count(*) FROM parts')"
same 8000 "$(sql 'CREATE TEMPORARY TABLE sorted AS SELECT * FROM parts ORDER BY name; CREATE INDEX ON sorted (name); SELECT count(*) FROM sorted')"
sql 'CREATE INDEX parts_name ON parts (name)'
sql 'CREATE UNLOGGED TABLE passing AS SELECT * FROM parts'
sql 'UPDATE parts SET amount = amount + 1'
sql 'VACUUM FULL'
sql 'REINDEX TABLE parts'
sql 'TRUNCATE passing'
for turn in 1 2 3; do
  sql 'SELECT pg_switch_wal()' >/dev/null
  sql 'INSERT INTO parts (name, amount) VALUES (now()::text, 0)'
  sql 'CHECKPOINT'
done
same t "$(sql 'SELECT pg_reload_conf()')"
same t "$(sql 'SELECT pg_rotate_logfile()')"
same 32004000 "$(sql 'SELECT sum(id) FROM parts WHERE id <= 8000')"
