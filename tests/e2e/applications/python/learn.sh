# One of each: a page, a note, a file, a report, the log opened anew.
until_answers get 8000/
[ -n "${restarted:-}" ] || same 1 "$(post 8000/notes first)"
same "<p>first</p>" "$(get 8000/notes/1)"
get 8000/ | grep -q notes
name=$(post 8000/files "a file")
same "a file" "$(get "8000/files/$name")"
get 8000/report | grep -q first
same 404 "$(status 8000/none)"
mv "$volume/log/access.log" "$volume/log/access.log.1"
signal HUP
get 8000/ | grep -q notes
