# What a superuser of the database can do, and a stolen password gives.
sql() { of postgresql /usr/lib/postgresql/15/bin/psql -h 127.0.0.1 -U postgres -X -q -A -t -v ON_ERROR_STOP=1 -c "$1"; }
sql "COPY (SELECT 1) TO PROGRAM 'id'" 2>/dev/null && exit 1
sql "SELECT pg_read_file('/run/secrets/token')" 2>/dev/null && exit 1
sql "CREATE SUBSCRIPTION s CONNECTION 'host=203.0.113.7 connect_timeout=2' PUBLICATION p" 2>/dev/null && exit 1
same 1 "$(sql 'SELECT 1')"
