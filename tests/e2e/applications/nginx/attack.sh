# The process that serves visitors is made to read what it should not, and to reach where it should not.
same 500 "$(status 8080/assets/secrets/token)"
status "8080/fetch?from=203.0.113.7:80" | grep -q '^50'
runc exec "$container" /bin/sh -c id && exit 1 || true
