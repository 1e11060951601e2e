# Other notes and files, several visitors at once, more reports, the log opened anew again and again.
until_answers get 8000/
note=$(post 8000/notes "another note")
same "<p>another note</p>" "$(get "8000/notes/$note")"
visits() {
  local number name
  for number in $(seq 1 "$2"); do
    post 8000/notes "$1 $number" >/dev/null
    name=$(post 8000/files "$(seq 1 "$number")")
    same "$number" "$(get "8000/files/$name" | tail -n 1)"
  done
}
visits anna 8 & first=$!
visits bert 8 & second=$!
for turn in 2 3; do
  get 8000/report | grep -q "another note"
  mv "$volume/log/access.log" "$volume/log/access.log.$turn"
  signal HUP
done
wait "$first"
wait "$second"
get 8000/report | grep -q "bert 8"
same 404 "$(status 8000/notes/999999)"
