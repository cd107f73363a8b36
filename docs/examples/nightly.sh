#!/usr/bin/env bash
# One night: the logs of new days are added, a model is trained, checked and published, its recommendations go to PostgreSQL.
#
#   nightly.sh          all steps, in order; the first that fails ends the night with its exit code, and what is served stays
#   nightly.sh STEP     one of them, as a scheduler calls them: add train verify gate recommend load swap
#   nightly.sh back     serve the last generation before that passed its gate, in the model and in the database
#
# Exit codes are those of mr-als: 0 done, 1 failed, 2 wrong options, 3 a gate was not passed, 130 and 143 interrupted. After each
# of them, and after a kill, the same command goes on where it was: there is nothing to clean up first.
#
# Settings come from the environment; psql has its own, such as PGHOST and PGDATABASE.
set -euo pipefail

: "${LOGS:?a directory with one log file for each day, whose names sort by day}"
: "${STATE:?a directory for plays, model and recommendations}"
: "${KEEP:=3}"                       # generations, tables and outputs that stay, to go back to
: "${PREPARE:=}" "${TRAIN:=}"        # more options, such as PREPARE="--drop 365d" for a window of a year
: "${GATE:=--fail-below-popularity}" # what the newest day, of which the model knows nothing, must show
: "${RUNNER:=local}"                # where jobs run
: "${METRICS:=$STATE/mr_als.prom}"   # for the node exporter of Prometheus

mkdir -p "$STATE" && touch "$STATE/passed"
model=$STATE/model plays=$STATE/plays passed=$STATE/passed going_back=$STATE/going-back
# level, event and message as a line of JSON
say() {
  local words=("${@//\\/\\\\}")
  words=("${words[@]//\"/\\\"}")
  printf '{"time": "%s", "level": "%s", "event": "%s", "message": "%s"}\n' "$(date -u +%FT%TZ)" "${words[@]//[[:cntrl:]]/ }" >&2
}
logs() { find -H "$LOGS" -maxdepth 1 -type f ! -name '[._]*' | LC_ALL=C sort; }
generation() { mr-als models --model "$model" | awk '$1 == "*" { print $2 }'; }
sql() { psql --no-psqlrc --quiet --tuples-only --no-align --set ON_ERROR_STOP=1 || return 1; } # its own 3 is no gate

# all days but the newest, about which the gate asks; those that are in are skipped
add() {
  local days
  mapfile -t days < <(logs | head -n -1)
  if ((!${#days[@]})); then say error add "$LOGS holds no two days, the newest of which is withheld for the gate" && return 2; fi
  # shellcheck disable=SC2086  (options are words)
  mr-als prepare "${days[@]}" --plays "$plays" --add -r "$RUNNER" $PREPARE --log-format json
}

train() {
  local warm=()
  if [[ -e $model/model.json ]]; then warm=(--warm-start "$model"); fi
  # shellcheck disable=SC2086
  mr-als train --plays "$plays" --model "$model" "${warm[@]}" -r "$RUNNER" --on-change restart --keep "$KEEP" \
    --min-size 0.9 --max-wrmse-rise 20% --metrics "$METRICS" $TRAIN --log-format json
}

verify() { checked mr-als verify --model "$model" --log-format json; }

# a model that passes is remembered; one that does not makes room for the last that did
gate() {
  local newest
  newest=$(logs | tail -n 1)
  # shellcheck disable=SC2086
  checked mr-als evaluate --model "$model" "$newest" -k 10 $GATE --log-format json
  generation >>"$passed"
  rm -f "$going_back" # it was back to another model
}

checked() {
  local code=0
  "$@" || code=$?
  if ((code == 1 || code == 3)); then last_passed || true; fi
  return "$code"
}

# generations that have not passed are kept, too, until newer ones take their place
last_passed() {
  local kept name
  kept=$(mr-als models --model "$model" | awk '$1 == "*" { now = 1; print $2; next } now { print $1 }')
  name=$(grep -m 1 -xF -f "$passed" <<<"$kept") || { say error back "no generation that passed its gate is kept" && return 1; }
  until [[ $(generation) == "$name" ]]; do mr-als models --model "$model" --back >&2 || return 1; done
}

recommend() {
  local out
  out=$STATE/recommendations/$(generation)
  mkdir -p "${out%/*}"
  if [[ ! -e $out ]]; then mr-als recommend --model "$model" --output "$out" -n 10 -r "$RUNNER" --log-format json; fi
}

# a table for each generation: it is there when all of it is
load() {
  local name
  name=$(generation)
  if [[ $(sql <<<"SELECT to_regclass('recommendations_$name')") ]]; then return; fi
  {
    echo "BEGIN;"
    echo "CREATE TABLE recommendations_$name (user_id text, rank integer, item text, score real);"
    echo "COPY recommendations_$name FROM STDIN;"
    cat "$STATE/recommendations/$name"/part-* | sed -e 's/\\/\\\\/g' -e 's/\r/\\r/g' # as COPY wants them
    echo '\.'
    echo "ALTER TABLE recommendations_$name ADD PRIMARY KEY (user_id, rank);"
    echo "COMMIT;"
    echo "ANALYZE recommendations_$name;"
  } | sql
}

# readers ask the view: each answer is of one generation; what is no longer kept goes afterwards
swap() {
  local name old stay
  name=$(generation)
  sql <<SQL
SET lock_timeout = '10s';
BEGIN;
CREATE OR REPLACE VIEW recommendations AS SELECT *, '$name'::text AS generation FROM recommendations_$name;
COMMIT;
SQL
  stay=$(mr-als models --model "$model" | awk 'NR > 1 { print ($1 == "*" ? $2 : $1) }')
  for old in $(sql <<<"SELECT substr(tablename, 17) FROM pg_tables WHERE tablename ~ '^recommendations_[0-9a-f]{12}$'"); do
    if [[ $'\n'$stay$'\n' != *$'\n'$old$'\n'* ]]; then
      sql <<<"SET lock_timeout = '10s'; DROP TABLE recommendations_$old" || continue # somebody reads it: the next night
      rm -rf "$STATE/recommendations/$old"
    fi
  done
}

# what was gone back from is not gone back to; its name is written down until all is done, so that after a kill the same command
# goes on, and not back once more
back() {
  alone
  if [[ ! -s $going_back ]]; then
    generation >"$going_back.new"
    mv "$going_back.new" "$going_back"
  fi
  sed -i "/^$(<"$going_back")$/d" "$passed"
  last_passed
  recommend
  load
  swap
  rm "$going_back"
}

alone() {
  exec 9>"$STATE/night.lock"
  flock -n 9 || { say error busy "another night still runs" && exit 1; }
}

if (($#)); then
  "$1"
else
  alone
  for step in add train verify gate recommend load swap; do
    say info step "$step"
    code=0
    "$0" "$step" || code=$?
    if ((code)); then say error night "$step ended with exit code $code: what is served stays" && exit "$code"; fi
  done
  say info night "done"
fi
