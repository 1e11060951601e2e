# Its three holes. The answer tells what the process met.
for hole in "run?what=id" "read?what=/run/secrets/token" "fetch?what=203.0.113.7"; do same 500 "$(status "8000/$hole")"; done
get 8000/ | grep -q note
