# One of each: a page, one from behind the cache, a long body, a reload, a rotation.
backend=/run/bundles/$container/rootfs/srv/backend
mkdir -p "$backend"
seq 1 20000 >"$backend/large.txt"
until_answers get 8080/index.html
same welcome "$(get 8080/index.html)"
same 404 "$(status 8080/none)"
same "page 1" "$(get 8080/pages/1.txt)"
same "page 2" "$(get 8080/pages/2.txt)"
same ordered "$(post 8080/orders "$(seq 1 2000)")"
get 8080/pages/large.txt | tail -n 1 | grep -q '^20000$'
signal HUP
same welcome "$(get 8080/index.html)"
mv "$volume/access.log" "$volume/access.log.1"
signal USR1
until_answers test -e "$volume/access.log"
same welcome "$(get 8080/index.html)"
