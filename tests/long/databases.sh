#!/bin/bash
#
# databases.sh - tests/fs/sqlite.sh and tests/fs/postgres.sh for longer, with a larger database and
# the daemon killed many times.

here=${WORK:?an empty directory}
scripts=$(dirname "$0")/../fs
status=0

# Each makes its store and mount point in a directory of its own, PostgreSQL as another user.
chmod 755 "$here"
mkdir "$here/sqlite" "$here/postgres" || exit 1
export SQLITE_SECONDS=${SQLITE_SECONDS:-4} SQLITE_KILLS=${SQLITE_KILLS:-5}
export SQLITE_MMAP=${SQLITE_MMAP:-each}
export PG_SECONDS=${PG_SECONDS:-10} PG_SCALE=${PG_SCALE:-10} PG_KILLS=${PG_KILLS:-20}
WORK=$here/sqlite "$scripts/sqlite.sh" || status=1
WORK=$here/postgres "$scripts/postgres.sh" || status=1
exit $status
