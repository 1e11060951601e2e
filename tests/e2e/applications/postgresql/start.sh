#!/bin/sh
# As images of PostgreSQL do: the first start makes the cluster.
set -eu
bin=/usr/lib/postgresql/15/bin
data=/var/lib/postgresql/data
if [ ! -e "$data/PG_VERSION" ]; then
  "$bin/initdb" --pgdata "$data" --auth trust --no-locale --encoding UTF8 --no-sync
fi
exec "$bin/postgres" -D "$data" -c listen_addresses=127.0.0.1 -c log_directory=log -c unix_socket_directories=/tmp -c logging_collector=on \
  -c log_filename=postgresql-%H%M%S.log -c work_mem=64kB -c temp_buffers=100 -c fsync=off -c max_wal_size=32MB -c shared_buffers=4MB
