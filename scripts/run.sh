#!/usr/bin/env bash
# From a fresh clone to a three-node cluster with data in it: installs, builds, starts, loads, shows.
# Run it again to start (or find) the same cluster. SHERD_DIR chooses where its data lies.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/build.sh release
bin=$PWD/build/release/bin
dir=${SHERD_DIR:-$HOME/.sherd/local}
port=${SHERD_SQL_PORT:-7432}

"$bin/sherd" local up --nodes 3 --dir "$dir" --sql-port "$port"
sql() { "$bin/sherd" sql -p $((port + 1)) "$@"; }

if [ "$(sql -A -t -c "SELECT count(*) FROM pg_database WHERE datname = 'chinook'")" = 0 ]; then
    chinook=../shared/data/chinook/Chinook_PostgreSql.sql
    [ -f "$chinook" ] || chinook=test/data/music.sql
    echo "loading $(basename "$chinook")"
    if command -v psql >/dev/null; then
        psql -q -h 127.0.0.1 -p "$port" -U sherd -d sherd -v ON_ERROR_STOP=1 -f "$chinook" >/dev/null
    else
        sql -f "$chinook" >/dev/null
    fi
fi

show() { echo; echo "sherd> $1"; sql -d chinook -c "$1"; }
show "SELECT count(*) AS tracks FROM track"
show "SELECT a.name AS artist, count(*) AS albums FROM artist a JOIN album b ON a.artist_id = b.artist_id GROUP BY a.name ORDER BY albums DESC, artist LIMIT 3"
show "EXPLAIN SELECT name FROM track WHERE track_id = 1"
echo
"$bin/sherd" status -p $((port + 1))
cat <<TEXT

The cluster is running. Connect:
  psql -h 127.0.0.1 -p $port -U sherd chinook        (nodes 2 and 3: ports $((port + 10)) and $((port + 20)))
  $bin/sherd sql -p $((port + 1)) -d chinook
Try:
  $bin/sherd local kill 1 --dir $dir      # then query node 2; bring it back with: local start 1
Stop (the data stays):
  $bin/sherd local down --dir $dir
TEXT
