# Other pages, more visitors at once, more of the cache, and again a reload and a rotation.
backend=/run/bundles/$container/rootfs/srv/backend
mkdir -p "$backend"
seq 1 20000 >"$backend/large.txt"
seq 1 30000 >"$backend/larger.txt"
until_answers get 8080/index.html
for page in about contact; do same "$page" "$(get 8080/$page.html)"; done
visits() {
  for number in $(seq "$1" "$2"); do same "page $number" "$(get "8080/pages/$number.txt")"; done
}
visits 1 20 & first=$!
visits 21 40 & second=$!
for size in 3000 5000 7000; do same ordered "$(post 8080/orders "$(seq 1 $size)")"; done
wait "$first"
wait "$second"
get 8080/pages/large.txt | tail -n 1 | grep -q '^20000$'
get 8080/pages/larger.txt | tail -n 1 | grep -q '^30000$'
for turn in 2 3; do
  mv "$volume/access.log" "$volume/access.log.$turn"
  signal USR1
  until_answers test -e "$volume/access.log"
  signal HUP
  same about "$(get 8080/about.html)"
done
visits 41 45
