#!/bin/bash
#
# stats.sh - `lsmfs stats` and .lsmfs/stats of a mount: every form of a store that is mounted, mounted
# read-only, a mounted snapshot and not mounted, what the numbers follow, who may read it, and that
# nothing of it can be changed; as root and as an ordinary user.

script=$(realpath "$0")
# shellcheck source=tests/fs/mounted.bash
. "${script%/*}/mounted.bash"

user=65534

stats() {
    "$lsmfs" stats "$@"
}

nobody() {
    setpriv --reuid $user --regid $user --clear-groups "$@"
}

# number EXPRESSION [PLACE]: of the JSON object `s`, in Python.
number() {
    stats --json "${2:-$store}" | python3 -c 'import json, sys; s = json.load(sys.stdin)
print('"$1"')'
}

# Standard input is the JSON object, not cut.
whole() {
    python3 -c 'import json, sys; json.load(sys.stdin)["engine"]'
}

# The text format of Prometheus by the letter, from standard input: families stand once, HELP and TYPE
# first; names and labels are well-formed and escaped; counters end in _total, and nothing else does;
# histograms are cumulative and whole; no sample stands twice.  Prints the samples, "NAME VALUE".
prometheus() {
    python3 -c '
import math, re, sys

text = sys.stdin.buffer.read().decode("utf-8")
assert text.endswith("\n") and "\r" not in text
name = re.compile(r"[a-z][a-z0-9_]*\Z")
sample = re.compile(r"([a-z][a-z0-9_]*)(\{(.*)\})? (\S+)\Z")
label = re.compile(r"([a-z][a-z0-9_]*)=\"((?:[^\"\\\n]|\\[\\\"n])*)\"(?:,|\Z)")
units = ("kib", "mib", "gib", "ms", "us", "ns", "milliseconds", "microseconds", "kilobytes", "percent")
families, helped, seen, histograms = {}, set(), set(), {}
family = None
for line in text.split("\n")[:-1]:
    if line.startswith("# HELP "):
        family, _, what = line[7:].partition(" ")
        assert name.match(family) and family.startswith("lsmfs_"), line
        assert family not in helped and what.strip() == what != "", line
        helped.add(family)
        continue
    if line.startswith("# TYPE "):
        of, kind = line[7:].split(" ")
        assert of == family and of not in families, line
        assert kind in ("counter", "gauge", "histogram"), line
        assert (kind == "counter") == of.endswith("_total"), line
        assert not set(of.split("_")) & set(units), line
        families[of] = kind
        continue
    found = sample.match(line)
    assert found, line
    of, labels, value = found[1], [], float(found[4])
    rest = found[3] or ""
    assert not found[2] or rest, line
    while rest:
        one = label.match(rest)
        assert one, line
        labels.append((one[1], one[2]))
        rest = rest[one.end():]
    assert len(set(key for key, _ in labels)) == len(labels), line
    assert (of, tuple(labels)) not in seen, line
    seen.add((of, tuple(labels)))
    assert not math.isnan(value) and value >= 0, line
    if families[family] == "histogram":
        assert of in [family + end for end in ("_bucket", "_sum", "_count")], line
        bound = [v for k, v in labels if k == "le"]
        key = (family, tuple(one for one in labels if one[0] != "le"))
        kind = histograms.setdefault(key, {"buckets": []})
        if of.endswith("_bucket"):
            kind["buckets"].append((float(bound[0]), value))
        else:
            assert not bound, line
            kind[of[len(family):]] = value
    else:
        assert of == family, line
    print(line)
for kind in histograms.values():
    bounds = [bound for bound, _ in kind["buckets"]]
    counts = [count for _, count in kind["buckets"]]
    assert bounds == sorted(set(bounds)) and bounds[-1] == math.inf, kind
    assert counts == sorted(counts) and counts[-1] == kind["_count"] > 0 < kind["_sum"], kind
assert helped == set(families)
assert len(families) > 40 and seen, families
'
}

fresh_store() {
    rm -rf "$store"
    mount_store "$@"
    mkdir "$mnt/dir"
    head -c 100000 /dev/urandom >"$mnt/dir/file"
}

# ---- forms ----

# well_formed PLACE: all three of them, and they are about the store.
well_formed() {
    stats "$1" >text
    grep -qx "Store: *$store" text
    grep -q '^Level *Tables *Size *Score *Due at *Read amp *Write amp *Keyspace$' text
    grep -qx 'Compression:  none' text
    grep -qE '^Opened after: (no log|clean close|unclean stop); ' text
    same "$store" "$(number 's["store"]' "$1")"
    same 1 "$(stats --json "$1" | wc -l)"
    stats --prometheus "$1" | prometheus >samples
    grep -q "^lsmfs_info{.*store=\"$store\"" samples
}

mounted_and_not() {
    fresh_store
    mkdir "$mnt/.snapshots/a \"quoted\" \\ name" "$mnt/.snapshots/$(printf 'two\nlines')" \
        "$mnt/.snapshots/$(printf '\377')"
    well_formed "$store"
    well_formed "$mnt"
    grep -q "^Mounted: *$mnt (read-write), by process $(daemon_pid) of lsmfs " text
    grep -qF 'lsmfs_snapshot_kept_bytes{snapshot="a \"quoted\" \\ name"} ' samples
    grep -qF 'lsmfs_snapshot_kept_bytes{snapshot="two\nlines"} ' samples
    same 1 "$(grep -c '^lsmfs_request_duration_seconds_count{opcode="mkdir"} ' samples)"
    same 3 "$(number 'len(set(p["snapshot"] for p in s["pins"] if p["snapshot"]))')"
    umount_store
    well_formed "$store"
    grep -qx 'Mounted: *no' text
    same 'None None None' "$(number '"%s %s %s" % (s["mounted_at"], s["pid"], s["requests"])')"
    not grep -q '^lsmfs_request' samples
    # Nothing was written.
    same 0 "$(number 's["engine"]["log_bytes_written"] + s["engine"]["flushes"]')"
    sound
}

# A daemon without a control socket tells in its files.  The kernel opens those without asking there, and
# must not show an earlier text again.
read_only_mounts() {
    fresh_store
    mkdir "$mnt/.snapshots/monday"
    umount_store
    mount_store -o ro
    well_formed "$mnt"
    grep -q "^Mounted: *$mnt (read-only), by process " text
    stat "$mnt/dir/file" "$mnt/absent" || true
    local before after
    before=$(number 'sum(r["count"] for r in s["requests"])' "$mnt")
    find "$mnt/dir" -newer "$mnt" >/dev/null
    cat "$mnt/dir/file" >/dev/null
    after=$(number 'sum(r["count"] for r in s["requests"])' "$mnt")
    [ "$after" -gt "$before" ]
    fails_with 1 'Read-only file system' bash -c "echo x >'$mnt/.lsmfs/stats'"
    umount_store
    mount_store -o snapshot=monday
    well_formed "$mnt"
    umount_store
}

# ---- what the numbers follow ----

follows_what_happens() {
    rm -rf "$store"
    mount_store -o commit=3600
    for i in {1..20}; do echo "$i" >"$mnt/f$i"; done
    same 20 "$(number '[r["count"] for r in s["requests"] if r["kind"] == "create"][0]')"
    same True "$(number 's["unsynced"]["bytes"] > 0 and 0 < s["unsynced"]["seconds"] < 600')"
    sync "$mnt/f1"
    same '0 0.0' "$(number '"%d %s" % (s["unsynced"]["bytes"], s["unsynced"]["seconds"])')"
    stats "$store" | grep -qx 'Unsynced: *0 B'
    # Enough for tables and a merge.
    for round in {1..8}; do
        head -c 6000000 /dev/urandom | split -b 3000 -a 4 - "$mnt/$round."
    done
    same True "$(number 's["engine"]["flushes"] > 0 and s["levels"][0]["bytes_written"] > 0')"
    same True "$(number 'sum(l["tables"] for l in s["levels"]) == s["engine"]["tables"]')"
    same True "$(number 'sum(l["bytes"] for l in s["levels"]) == s["engine"]["table_bytes"]')"
    same True "$(number 'all(l["due"] > 0 for l in s["levels"] if l["score"] > 0)')"
    same True "$(number '1 < s["write_amplification"] < 20')"
    mkdir "$mnt/.snapshots/monday"
    same True "$(number '[p["bytes"] for p in s["pins"] if p["snapshot"] == "monday"][0] > 1000000')"
    umount_store
    # The filters of tables are asked for what is not there.
    mount_store
    for i in {1..200}; do [ ! -e "$mnt/1.absent$i" ]; done
    same True "$(number 's["filters"]["absent"] > 100')"
    same True "$(number 's["filters"]["checks"] == s["filters"]["absent"] +
        s["filters"]["present"] + s["filters"]["false_positives"]')"
    umount_store
}

tells_of_recovery() {
    fresh_store
    umount_store
    mount_store
    same False "$(number 's["unclean_stop"]')"
    echo more >"$mnt/more"
    kill_daemon
    stats "$store" | grep -q '^Opened after: unclean stop; '
    mount_store
    grep -q '^Opened after: unclean stop; ' "$mnt/.lsmfs/stats"
    same True "$(number 's["unclean_stop"]')"
    stats --prometheus "$store" | grep -qx 'lsmfs_unclean_stop 1'
    umount_store
    mount_store
    grep -q '^Opened after: clean close; ' "$mnt/.lsmfs/stats"
    umount_store
}

# ---- the files ----

files_are_read_by_any_program() {
    fresh_store
    local stats=$mnt/.lsmfs/stats
    cat "$stats" | grep -q '^Request '
    same "$(find "$mnt" -mindepth 1 -printf '%P\n' | sort)" "$(printf 'dir\ndir/file')"
    same 'keys stats stats.json stats.prom' "$(cd "$mnt/.lsmfs" && echo *)"
    whole <"$stats.json"
    prometheus <"$stats.prom" >/dev/null
    # With the size of one text and the text of another, these would cut it or find it too short.
    tar -cf - -C "$mnt" .lsmfs/stats.json | tar -xO | whole
    cp "$stats.json" "$mnt/copy"
    whole <"$mnt/copy"
    rsync "$stats.json" "$WORK/copy.json"
    whole <"$WORK/copy.json"
    tail -n 1 "$stats.prom" | grep -q '^lsmfs_request_duration_seconds_count'
    dd if="$stats.json" iflag=direct bs=64k status=none | whole
    python3 - "$stats.json" <<'END'
import json, mmap, os, sys
with open(sys.argv[1], "rb") as file:
    before = file.read()
    assert os.fstat(file.fileno()).st_size == len(before)
    with open(sys.argv[1], "rb") as other:
        after = other.read()
        assert os.fstat(other.fileno()).st_size == len(after)
    assert json.loads(after)["requests"] != json.loads(before)["requests"]
    mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    assert mapped[:] == before
    file.seek(0)
    assert file.read() == before
END
    umount_store
}

nothing_can_be_changed() {
    fresh_store
    local stats=$mnt/.lsmfs/stats
    fails_with 1 'not permitted' bash -c "echo x >'$stats'"
    fails_with 1 'not permitted' bash -c "echo x >>'$stats'"
    fails_with 1 'not permitted' rm "$stats"
    fails_with 1 'not permitted' truncate -s 0 "$stats"
    fails_with 1 'not permitted' chmod 644 "$stats"
    fails_with 1 'not permitted' chown 1 "$stats"
    fails_with 1 'not permitted' touch "$stats"
    fails_with 1 'not permitted' touch "$mnt/.lsmfs/new"
    fails_with 1 'not permitted' mkdir "$mnt/.lsmfs/new"
    fails_with 1 'cross-device' ln "$stats" "$mnt/link"
    fails_with 1 'cross-device' ln "$mnt/dir/file" "$mnt/.lsmfs/link"
    python3 - "$mnt" <<'END'
import errno, os, sys
os.chdir(sys.argv[1])
for old, new in ((".lsmfs/stats", "x"), ("dir/file", ".lsmfs/stats"), (".lsmfs/stats", ".lsmfs/x")):
    try:
        os.rename(old, new)
        sys.exit("%s became %s" % (old, new))
    except OSError as error:
        assert error.errno in (errno.EXDEV, errno.EPERM), error
END
    grep -q '^Store: ' "$stats"
    umount_store
}

# A key of this name, as other programs may put, is shown where all odd keys are.
a_key_of_its_name_is_not_lost() {
    rm -rf "$store"
    mount_store
    umount_store
    echo mine | "$lsmfs" put "$store" .lsmfs/stats
    mount_store
    same mine "$(cat "$mnt/.lsmfs/keys/%2Elsmfs%2Fstats")"
    grep -q '^Store: ' "$mnt/.lsmfs/stats"
    same mine "$("$lsmfs" get "$store" .lsmfs/stats)"
    umount_store
    same mine "$("$lsmfs" get "$store" .lsmfs/stats)"
}

not_in_snapshots() {
    fresh_store
    mkdir "$mnt/.snapshots/s"
    [ ! -e "$mnt/.snapshots/s/.lsmfs/stats" ]
    same keys "$(ls "$mnt/.snapshots/s/.lsmfs")"
    umount_store
}

# ---- users ----

closed_to_others() {
    fresh_store -o allow_other
    nobody ls "$mnt" >/dev/null
    fails_with 1 'Permission denied' nobody cat "$mnt/.lsmfs/stats"
    fails_with 5 'Permission denied' nobody "$lsmfs" stats "$store"
    umount_store
}

as_an_ordinary_user() {
    local own=$WORK/own
    rm -rf "$own"
    mkdir -p "$own/mnt"
    chown -R $user "$own"
    nobody "$lsmfs" "$own/store" "$own/mnt"
    nobody cat "$own/mnt/.lsmfs/stats" | grep -q "^Store: *$own/store"
    nobody "$lsmfs" stats "$own/mnt" | grep -q '^Mounted: .*read-write'
    same "$user 400" "$(nobody stat -c '%u %a' "$own/mnt/.lsmfs/stats")"
    fails_with 1 'Permission denied' nobody bash -c "echo x >'$own/mnt/.lsmfs/stats'"
    # Root asks by the socket, for it cannot enter the mount.
    stats --prometheus "$own/store" | prometheus >/dev/null
    nobody "$lsmfs" umount "$own/mnt"
    nobody "$lsmfs" stats "$own/store" | grep -qx 'Mounted: *no'
}

# ---- the command line ----

command_lines() {
    stats --help | grep -q '^Usage: lsmfs stats'
    fails_with 2 'Usage: lsmfs stats' stats
    fails_with 2 'Usage: lsmfs stats' stats a b
    fails_with 2 'unrecognized option' stats --yaml "$store"
    fails_with 4 'No such file|no store' stats "$WORK/nothing"
    mkdir -p "$WORK/plain"
    fails_with 4 '' stats "$WORK/plain"
    same '' "$(ls "$WORK/plain")"
    fails_with 1 'standard output: No space' bash -c "'$lsmfs' stats '$store' >/dev/full"
}

chmod 755 "$WORK"
alone "every form, mounted and not" mounted_and_not
alone "mounted read-only, and a mounted snapshot" read_only_mounts
alone "the numbers follow what happens" follows_what_happens
alone "recovery is told" tells_of_recovery
alone "the files are read by any program" files_are_read_by_any_program
alone "nothing of them can be changed" nothing_can_be_changed
alone "a key of that name is not lost" a_key_of_its_name_is_not_lost
alone "they are in no snapshot" not_in_snapshots
alone "command lines" command_lines
if [ "$(id -u)" = 0 ]; then
    fuse_for $user
    alone "closed to other users" closed_to_others
    alone "as an ordinary user" as_an_ordinary_user
fi
finish
