#!/bin/bash
#
# bench.sh - that the benchmark of the mount works, on few files: the in-memory server keeps what
# it is given, every series runs and gives its rows.  Tells nothing of speed.

# shellcheck source=tests/fs/mounted.bash
. "$(dirname "$0")/mounted.bash"
bench=$BIN/lsm-mount-bench
plot=$(realpath "$(dirname "$0")/../bench/plot")

# ---- the in-memory server ----

null_pid=''

start_null() {
    "$BIN/lsm-null" "$@" "$mnt" 2>null.log &
    null_pid=$!
    for _ in {1..500}; do
        grep -q " $mnt fuse.lsm-null" /proc/mounts && return 0
        sleep 0.01
    done
    cat null.log
    return 1
}

stop_null() {
    fusermount3 -u "$mnt"
    await_end "$null_pid"
}

copies() {
    cp -a /usr/include/linux "$mnt/tree"
    same_trees /usr/include/linux "$mnt/tree"
    echo 3 >/proc/sys/vm/drop_caches || echo "as the kernel has kept it"
    same_trees /usr/include/linux "$mnt/tree"
}

alters() {
    local file=$mnt/tree/file
    echo first >"$file"
    echo second >>"$file"
    ln "$file" "$mnt/link"
    ln -s file "$mnt/tree/symbolic"
    mv "$file" "$mnt/moved"
    same 2 "$(stat -c %h "$mnt/link")"
    same "$(printf 'first\nsecond')" "$(cat "$mnt/moved")"
    same file "$(readlink "$mnt/tree/symbolic")"
    truncate -s 100000 "$mnt/moved"
    same 100000 "$(wc -c <"$mnt/link")"
    echo other >"$mnt/other"
    mv "$mnt/other" "$mnt/moved"
    same other "$(cat "$mnt/moved")"
    same 1 "$(stat -c %h "$mnt/link")"
    not cat "$file"
    not rmdir "$mnt/tree"
    not mkdir "$mnt/tree"
}

# What is removed while it is open can be read.
empties() {
    exec 5<"$mnt/link"
    rm -r "$mnt/tree" "$mnt/link" "$mnt/moved"
    same "$(printf 'first\nsecond')" "$(head -c 12 <&5)"
    exec 5<&-
    same '' "$(ls -A "$mnt")"
}

# ---- the benchmark ----

runs() {
    "$bench" --quick --contenders=lsmfs,null,ext4 --json=result.json core-1 free-8 large programs \
        >table
}

# Only the file system beneath has no daemon, and no number is none.
has_rows() {
    local name
    for name in core-1.create core-1.unlink free-8.stat-cold free-8.mail large.read-cold \
        programs.cp-a programs.rm-rf; do
        grep "^| $name |" table
        grep "^| $name-cpu |" table
    done
    not grep -E 'nan|inf' table
    awk -F'|' '$2 ~ /\./ && ($4 == " - " || $5 == " - " || $6 == " - ") {
        if ($2 ~ /-daemon|memory/ && $4 != " - " && $5 != " - ") next
        print
        bad = 1
    }
    END { exit bad }' table
}

repeats() {
    "$bench" --quick --repeat=2 --contenders=null,lsmfs --json=two.json large >/dev/null
    python3 -c '
import json
result = json.load(open("two.json"))
assert [engine["name"] for engine in result["engines"]] == ["lsmfs", "null"]
for row in result["rows"]:
    assert all(len(cell["values"]) == 2 for cell in row["engines"].values()), row
    assert "null" in row["ratios"], row'
}

# From one file to a thousand.
grows() {
    "$bench" --quick --scale=0.001 --contenders=lsmfs,null,ext4 --json=growth.json growth memory \
        >growth.table
}

has_growth() {
    python3 -c '
import json
rows = {row["row"]: row["engines"] for row in json.load(open("growth.json"))["rows"]}
sizes = ["one-1000", "one-10000", "one-100000", "one-1000000"]
sizes += ["spread-10000", "spread-100000", "spread-1000000"]
for operation in ("create", "stat-cold", "list-cold", "unlink"):
    for part in ("", "-cpu"):
        first, last = (rows[f"growth.{operation}-{sizes[i]}{part}"] for i in (0, 3))
        ratio = rows[f"growth.{operation}-one-ratio{part}"]
        assert len(ratio) == 3, ratio
        for engine, cell in ratio.items():
            quotient = last[engine]["median"] / first[engine]["median"]
            assert abs(cell["median"] / quotient - 1) < 0.001, (operation, engine, quotient)
    for size in sizes:
        assert len(rows[f"growth.{operation}-{size}"]) == 3, (operation, size)
for task in ("create", "list", "lookup", "forgotten", "copy"):
    row = rows[f"memory.{task}"]
    assert list(row) == ["lsmfs"], row
    assert 1 < row["lsmfs"]["median"] < 256, row'
}

plots_growth() {
    "$plot" growth.json >growth.svg
    # For each operation, by both clocks, in small directories and in one, each contender.
    same $((4 * 2 * 2 * 3)) "$(grep -c '<polyline ' growth.svg)"
}

takes_no_part() {
    "$bench" --quick --scale=0.001 --contenders=null memory >none.table 2>&1
    not grep memory none.table
}

plots() {
    "$plot" result.json >result.svg
    grep -q '</svg>' result.svg
    grep -q '>core-1.create<' result.svg
}

leaves_nothing() {
    not compgen -G 'lsm-mount-*'
    not grep " $WORK/" /proc/mounts
}

keeps() {
    start_null "$@"
    copies
    alters
    empties
    stop_null
}

alone "the in-memory server keeps what it is given, by one thread" keeps -s
alone "and by several" keeps
if [ -w /proc/sys/vm/drop_caches ]; then
    alone "all kinds of series run" runs
    check "each has its rows" has_rows
    alone "a row has a value a repetition" repeats
    check "a plot is made of the result" plots
    alone "files become many, and the memory is looked at" grows
    check "each size has its rows, and how the largest stands to the smallest" has_growth
    check "and is a point of a line" plots_growth
    alone "a contender is left out where it takes no part" takes_no_part
else
    echo "# no series ran: caches cannot be dropped here"
fi
check "nothing is left behind" leaves_nothing
check "an unknown series is refused" fails_with 2 'no such series' "$bench" nonsense
check "an unknown contender is refused" fails_with 2 'contenders=lsmfs,nonsense' \
    "$bench" --contenders=lsmfs,nonsense
finish
