#!/bin/bash
#
# cli.sh - the command line as a whole: what --help says against what is obeyed, exit statuses; and
# lsmfs create, mount and list; as root and as an ordinary user.

script=$(realpath "$0")
# shellcheck source=tests/fs/mounted.bash
. "${script%/*}/mounted.bash"
sources=${script%/*}/../../fs

user=65534
ids=$(id -u)

# ---- help ----

# Every command, those of `snapshot` as one word with a blank.
commands() {
    grep -oE '\{"[a-z]+", cli_' "$sources/main.c" | sed 's/{"\(.*\)".*/\1/' | grep -vx snapshot
    sed -n 's/^    {"[a-z]*", "\(snapshot [a-z]*\)",.*/\1/p' "$sources/cli/cli_snapshot.c"
}

# help_of COMMAND, which may be two words.
help_of() {
    # shellcheck disable=SC2086
    "$lsmfs" $1 --help
}

says_how_it_is_called() {
    local command
    [ "$(commands | wc -l)" -gt 15 ]
    while read -r command; do
        echo "$command"
        help_of "$command" >help 2>error
        [ ! -s error ]
        head -n 1 help | grep -q "^Usage: lsmfs $command"
        grep -q '^Exit status: 0' help || [ "$command" = backup ]
        grep -q '^Exit status: that' help || [ "$command" != backup ]
        grep -q '^Examples\?:$' help
        # A line is no longer than a terminal.
        not grep -qE '.{99}' help
        # The list of commands has it.
        "$lsmfs" --help | grep -qE "^(Usage:| {6}) lsmfs .*\<${command##* }\>"
    done < <(commands)
}

# options_of COMMAND: what its help lists, with a value where one is needed.
options_of() {
    help_of "$1" | sed -n '/^Options:/q; s/^ \{2,6\}\(-.*\)/\1/p' | sed 's/  .*//; s/^\(-.\),\(.*=\)/\11\2/' |
        tr -d , | tr ' ' '\n' | sed 's/=[A-Z]*$/=1/'
}

# What the help names is known: the complaint is about something else.
obeys_what_it_lists() {
    local command option
    while read -r command; do
        while read -r option; do
            [[ $option == -h || $option == --help || $option == -V || $option == --version ]] && continue
            echo "$command $option"
            # shellcheck disable=SC2086
            "$lsmfs" $command "$option" >out 2>&1 </dev/null || true
            not grep -qE 'unknown option|not for this|not an option|no value' out
        done < <(options_of "$command")
    done < <(commands)
    # Those of -o.
    "$lsmfs" --help | sed -n '/^Options:/,/^$/s/^  \([a-z].*\)/\1/p' | sed 's/  .*//' | tr -d , |
        tr ' ' '\n' >listed
    [ "$(wc -l <listed)" -ge 20 ]
    while read -r option; do
        case $option in
        commit=* | uid=* | gid=* | umask=*) option=${option%=*}=1 ;;
        loglevel=*) option=loglevel=info ;;
        memory=*) option=memory=64M ;;
        esac
        echo "-o $option"
        fails_with 2 'store and a mount point' "$lsmfs" mount -o "$option"
    done <listed
}

# What is known is named by the help of a command that is in the same file.
lists_what_it_obeys() {
    local file option command
    for file in "$sources"/cli/cli_*.c; do
        : >help
        while read -r command; do
            grep -qE "^cli_${command%% *}\(" "$file" && help_of "$command" >>help
        done < <(commands)
        [ -s help ] || continue
        while read -r option; do
            echo "$file --$option"
            grep -q -e "--$option" help
        done < <(
            # cli_line.c obeys it for them.
            not grep -q 'takes_json = true' "$file" || echo json
            grep -oE '\{"[a-z-]+", (no|required|optional)_argument' "$file" |
                sed 's/^{"\([^"]*\).*/\1/'
        )
    done
    sed -n '/settings\[\] = {/,/^};/s/^    {"\([a-z]*\)", .* set_.*/\1/p' "$sources/daemon/options.c" >known
    [ "$(wc -l <known)" -ge 6 ]
    while read -r option; do
        "$lsmfs" --help | grep -qE "^  .*\<$option="
    done <known
}

# ---- exit statuses ----

# Each line: the status, a pattern of what is said, the command line.
exits_as_it_says() {
    local status pattern line
    mkdir -p folder
    echo mine >folder/precious
    while IFS='|' read -r status pattern line; do
        echo "$line"
        # shellcheck disable=SC2086
        fails_with "$status" "$pattern" "$lsmfs" $line </dev/null
    done
    same precious "$(ls folder)"
}

wrong_usage() {
    exits_as_it_says <<'END'
2|missing operand|umount
2|too many operands|status a b
2|unknown option --json|sync --json a
2|missing operand|put a
2|too many operands|get a b c
2|not for this command|rm -R a b
2|too many operands|ls a b c
2|missing operand|compact
2|missing operand|import
2|too many operands|import a b c
2|missing operand|export
16|missing operand|check
16|too many operands|repair a b c
2|Usage|snapshot
2|unknown command|snapshot make
2|missing operand|snapshot delete a
125|missing command|backup a
2|missing operand|create
2|too many operands|create a b
2|unknown option -x|create -x a
2|unknown option --nonsense|create --nonsense a
2|no value of --compress|create a --compress
2|unknown compression zstd|create --compress=zstd a
2|too many operands|list a
2|unknown option --nonsense|list --nonsense
2|store and a mount point|mount
2|store and a mount point|mount a
2|unknown option '-x'|mount -x a b
2|unknown option 'x'|mount a b -o x
END
    [ ! -e a ]
}

no_store() {
    local long
    long=$(printf '%0300d' 0)
    exits_as_it_says <<END
4|not a store|put folder key
4|not a store|get folder key
4|not a store|rm folder key
4|not a store|ls folder
1|not mounted|status folder
1|not mounted|sync folder
6|no file system of lsmfs|umount folder
4|not a store|compact folder
4|not a store|import folder
8|not a store|check folder
8|not a store|repair folder repaired
1|not a store|export folder
4|not a store|snapshot list folder
125|not a store|backup folder true
4|No such file|get nowhere key
4|No such file|rm nowhere key
4|No such file|ls nowhere
1|not mounted|status nowhere
6|no file system of lsmfs|umount nowhere
4|No such file|compact nowhere
4|No such file|import nowhere/store
8|No such file|check nowhere
1|No such file|export nowhere
4|No such file|snapshot list nowhere
1|folder: is there already|create folder
1|folder/precious: is there already|create folder/precious
4|folder/precious/store: Not a directory|create folder/precious/store
1|File name too long|create $long
4|nowhere/store: No such file|create nowhere/store
4|not a store|mount folder mnt
2|No such file|mount nowhere/store mnt
6|No such file|mount new nowhere
END
    [ ! -e new ] && [ ! -e nowhere ] && [ ! -e repaired ]
}

# A mount that only reads has no daemon to ask, and lets others read.
read_only() {
    "$lsmfs" create "$store"
    echo hello | "$lsmfs" put "$store" greeting
    mount_store -o ro
    exits_as_it_says <<END
3|being read by another process|put $mnt key
3|being read by another process|put $store key
3|being read by another process|rm $mnt greeting
3|being read by another process|compact $mnt
3|being read by another process|import $mnt
3|being read by another process|snapshot create $mnt
1|not mounted read-write|status $mnt
1|not mounted read-write|sync $store
1|is there already|create $store
END
    same hello "$("$lsmfs" get "$mnt" greeting)"
    same greeting "$("$lsmfs" ls "$store")"
    "$lsmfs" check --quiet "$store"
    "$lsmfs" check --quiet "$mnt"
    umount_store
}

# All ask the daemon, by either place.
mounted() {
    mount_store
    mkdir -p elsewhere
    exits_as_it_says <<END
3|in use by process [0-9]*, mounted at $mnt|mount $store $WORK/elsewhere
0|^repaired: whole; |repair $store repaired
0|^$store.repaired: whole; |repair $mnt
8|repaired: is there already|repair $mnt repaired
0|^$store: clean$|check $store
0|^$store: clean$|check $mnt
0||export -o $WORK/archive.tar $mnt
1|nothing: No such file|export -o $WORK/archive.tar $store nothing
1|nothing: No such file|get $mnt nothing
1|nothing: No such file|rm $store nothing
0|^hello$|get $mnt greeting
0|^hello$|get $store greeting
0|greeting|ls -l $mnt
0|^pid: |status $store
0||sync $mnt
0|before, [0-9]* now|compact $mnt
1|standard input: |import $mnt
2|not a directory of a store|import $store .snapshots
END
    echo changed | "$lsmfs" put "$mnt" greeting
    same changed "$(cat "$mnt/greeting")"
    "$lsmfs" rm "$mnt" greeting
    [ ! -e "$mnt/greeting" ]
    umount_store
    rm -rf "$store" "$store.repaired" repaired
}

# ---- create ----

makes_a_store() {
    same "$store: a new store" "$("$lsmfs" create store)"
    same "" "$("$lsmfs" ls store)"
    sound
    fails_with 1 "$store: is there already" "$lsmfs" create store
    mount_store
    same "755 $(id -u)" "$(stat -c '%a %u' "$mnt")"
    echo kept >"$mnt/file"
    fails_with 1 "$store: is there already" "$lsmfs" create "$store"
    same kept "$(cat "$mnt/file")"
    umount_store
    mkdir empty
    "$lsmfs" create --json empty/ | python3 -c '
import json, sys
made = json.load(sys.stdin)
assert made == {"store": sys.argv[1], "format": 1, "compression": "none"}, made' "$WORK/empty"
    "$lsmfs" check --quiet empty
    rm -r empty store
}

# compression_of STORE|MOUNTPOINT
compression_of() {
    "$lsmfs" stats --json "$1" | python3 -c 'import json, sys; print(json.load(sys.stdin)["compression"])'
}

# The same files take less, in the same store's tables after a repair, too; MANIFEST tells older versions.
makes_a_compressed_store() {
    local way store_was=$store
    for way in none lz4; do
        store=$WORK/$way
        same "{\"compression\":\"$way\"}" "$("$lsmfs" create --json "--compress=$way" "$store" |
            python3 -c 'import json, sys
print(json.dumps({"compression": json.load(sys.stdin)["compression"]}, separators=(",", ":")))')"
        mount_store
        for dir in a b c d; do
            mkdir "$mnt/$dir"
            for name in {1..200}; do
                echo "a line of text, of file $name; a line of text" >"$mnt/$dir/some-file-of-a-name-$name"
            done
        done
        seq -f "line %.0f of a text" 40000 >"$mnt/large"
        seq -f "line %.0f of a text" 400 >"$mnt/apart"
        same $way "$(compression_of "$mnt")"
        umount_store
        "$lsmfs" compact "$store"
        same $way "$(compression_of "$store")"
        "$lsmfs" ls -R "$store" >"$WORK/$way.ls"
        du -b -c "$store"/*.sst | tail -1 | cut -f1 >"$WORK/$way.bytes"
        du -b -c "$store"/*.blob | tail -1 | cut -f1 >"$WORK/$way.blobs"
        seq -f "line %.0f of a text" 40000 | cmp - <("$lsmfs" get "$store" large)
        seq -f "line %.0f of a text" 400 | cmp - <("$lsmfs" get "$store" apart)
        "$lsmfs" check --quiet "$store"
    done
    cmp none.ls lz4.ls
    [ $(($(cat lz4.bytes) * 3)) -lt $(($(cat none.bytes) * 2)) ]
    [ $(($(cat lz4.blobs) * 3)) -lt $(($(cat none.blobs) * 2)) ]
    head -1 lz4/MANIFEST | grep -q '"lz4","packed","pages"\]'
    not grep -q lz4 none/MANIFEST
    same 4 "$(grep -o '"compression":"lz4"' lz4/MANIFEST | sort | uniq -c | awk '{print ($1 >= 4) * 4}')"
    rm lz4/CLOSED
    "$lsmfs" repair lz4 mended >/dev/null || [ $? = 1 ]
    same lz4 "$(compression_of mended)"
    "$lsmfs" ls -R mended | cmp - lz4.ls
    rm -rf lz4 none mended
    store=$store_was
}

# Bug: a directory in which a store's making had been interrupted was "there already", and a mount
# said "not a store", for ever; and the root of a new file system was not empty.
creates_where_nothing_is() {
    local way
    for way in create mount; do
        mkdir -p left/lost+found
        : >left/LOCK
        head -c 100 /dev/zero >left/MANIFEST.tmp
        if [ $way = create ]; then
            "$lsmfs" create left
        else
            "$lsmfs" left "$mnt"
            umount_store
        fi
        "$lsmfs" check --quiet left
        rm -r left
    done
    mkdir left
    : >left/LOCK
    : >left/000007.sst
    fails_with 1 'left: is there already' "$lsmfs" create left
    rm -r left
}

tells_who_may_not_create() {
    chmod 755 "$WORK"
    fails_with 5 'Permission denied' setpriv --reuid $user --clear-groups "$lsmfs" create theirs
    [ ! -e theirs ]
    # Bug: a directory that cannot be read was "there already".
    mkdir -m 700 closed
    fails_with 5 'closed: Permission denied' setpriv --reuid $user --clear-groups \
        "$lsmfs" create closed
    rmdir closed
}

# One of several that make the same store at once has made it.
# Bug: "not a store, and not empty (it has MANIFEST)", said one that looked for MANIFEST before another
# had made it, and at the other names after that.
makes_one_of_several() {
    local i made=0
    local -a pids=()
    for i in 1 2 3 4; do
        "$lsmfs" create store 2>"said.$i" &
        pids+=($!)
    done
    for i in "${pids[@]}"; do
        wait "$i" && made=$((made + 1))
    done
    cat said.*
    same 1 $made
    same 3 "$(cat said.* | grep -cE 'is there already|in use')"
    sound
    rm -r store
}

# ---- mount, list ----

mounts_by_name() {
    "$lsmfs" mount -o noatime "$store" "$mnt"
    grep -q "^$store $mnt fuse.lsmfs .*noatime" /proc/mounts
    umount_store
    # A store of that name.
    "$lsmfs" create ./mount
    "$lsmfs" ./mount "$mnt"
    umount_store
    rm -r mount
}

# rows: "mountpoint store daemon pid user root" of what is mounted below here.
rows() {
    "$lsmfs" list --json | python3 -c '
import json, sys
for row in map(json.loads, sys.stdin):
    if row["mountpoint"].startswith(sys.argv[1] + "/"):
        print(*(row[key] for key in ("mountpoint", "store", "daemon", "pid", "user", "root")))' "$WORK"
}

lists_mounts() {
    local pid other="$WORK/odd place"
    mkdir -p "$other"
    same "" "$(rows)"
    mount_store
    pid=$(daemon_pid)
    "$lsmfs" mount other "$other" -o noatime
    same "$mnt $store running $pid $(id -un) /
$other $WORK/other running $("$lsmfs" status other | sed -n 's/^pid: //p') $(id -un) /" "$(rows)"
    "$lsmfs" list >listed
    grep -qE "^$store on $mnt \(rw,.*user_id=$ids.*\) by $(id -un), process $pid\$" listed
    grep -qE "^$WORK/other on $other \(rw,.*noatime.*\) by " listed
    "$lsmfs" umount "$other"
    kill -KILL "$pid"
    await_end "$pid"
    same "$mnt $store dead None $(id -un) /" "$(rows)"
    "$lsmfs" list | grep -q "^$store on $mnt .*, whose daemon has died\$"
    # The store has another mount now, and this one has still no daemon.
    "$lsmfs" "$store" "$other"
    same "$mnt $store dead None $(id -un) /" "$(rows | grep "^$mnt ")"
    "$lsmfs" umount "$other"
    fusermount3 -uz "$mnt"
    # Who only reads says nothing of itself.
    mount_store -o ro
    same "$mnt $store unknown None $(id -un) /" "$(rows)"
    umount_store
    same "" "$(rows)"
}

# Bugs: a terminal was told what stood in the name of a mount point, and JSON had no other letters than
# ASCII's if one byte was no letter.
lists_odd_names() {
    local odd="$WORK"/$'\303\274 \377 \e[31m \302\233 \\'
    mkdir "$odd"
    "$lsmfs" "$store" "$odd"
    "$lsmfs" list | grep -aqF "$store on $WORK/"$'\303\274 \\377 \\033[31m \\302\\233 \\134 (rw,'
    same "$WORK/"$'\303\274 ? \e[31m \302\233 \\'" $store running" "$(rows | sed 's/ running.*/ running/')"
    "$lsmfs" umount "$odd"
    rmdir "$odd"
}

# Bug: of such a path the lock's note had the first line: the mount's daemon was "dead" to list, and
# another mount waited for its end.
mounts_at_a_newline() {
    local odd="$WORK"/$'one\nother\\n'
    mkdir -p "$odd" elsewhere
    "$lsmfs" "$store" "$odd"
    fails_with 3 'mounted at .*/one\\nother\\\\n$' "$lsmfs" "$store" elsewhere
    "$lsmfs" list | grep -F "$store on $WORK/one"'\012other\134n (rw,' | grep ', process [0-9]*$'
    same "$odd $store running" "$(rows | sed 's/ running.*/ running/')"
    "$lsmfs" umount "$odd"
    rmdir "$odd"
}

# Bug: of a store that lies in another's mount the lock was asked for, and the list hung with the other's
# daemon.
lists_beside_a_hung_daemon() {
    local pid inner=$mnt/inner status=0
    mount_store
    mkdir -p "$WORK/in"
    "$lsmfs" create "$inner"
    "$lsmfs" "$inner" "$WORK/in"
    pid=$(daemon_pid)
    kill -STOP "$pid"
    timeout 20 "$lsmfs" list --json >listed || status=$?
    kill -CONT "$pid"
    same 0 $status
    grep -q "\"store\":\"$inner\".*\"daemon\":\"unknown\"" listed
    grep -q "\"store\":\"$store\".*\"daemon\":\"running\"" listed
    "$lsmfs" umount "$WORK/in"
    umount_store
}

lists_bind_mounts() {
    mount_store
    mkdir -p "$mnt/dir" bound
    mount --bind "$mnt/dir" bound
    same "$WORK/bound $store running $(daemon_pid) root /dir" "$(rows | grep bound)"
    "$lsmfs" list | grep -q "^$store on $WORK/bound .*, its /dir, process "
    umount bound
    umount_store
}

# ---- as an ordinary user ----

# Bug: whatever kept fusermount3 from unmounting was "in use": here that there is no /etc/mtab.
tells_why_it_stays_mounted() {
    local bin=$WORK/bin mode
    mkdir "$bin"
    for mode in rw ro; do
        cat >"$bin/fusermount3" <<'END'
#!/bin/sh
[ "$1" = -u ] || PATH=/usr/bin:/bin exec fusermount3 "$@"
echo "fusermount3: failed to open /etc/mtab: No such file or directory" >&2
exit 1
END
        chmod 755 "$bin/fusermount3"
        # Of a mount that is read-only the command does it, and not the daemon.
        PATH=$bin:$PATH "$lsmfs" "$store" "$mnt" -o $mode
        PATH=$bin:$PATH fails_with 5 'umount: .*: fusermount3: failed to open /etc/mtab' \
            "$lsmfs" umount "$mnt"
        # Busy is busy, whatever it says before.
        sed -i 's/^echo .*/echo "fusermount3: a warning" >\&2; echo "fusermount3: Device or resource busy" >\&2/' \
            "$bin/fusermount3"
        PATH=$bin:$PATH fails_with 1 'is in use' "$lsmfs" umount "$mnt"
        exec 8<"$mnt"
        rm "$bin/fusermount3"
        fails_with 1 'is in use' "$lsmfs" umount "$mnt"
        exec 8<&-
        umount_store
    done
    rmdir "$bin"
}

# The same script, in a directory of his.
an_ordinary_user_can() {
    local theirs=$WORK/theirs
    mkdir "$theirs"
    chown $user:$user "$theirs"
    setpriv --reuid $user --regid $user --clear-groups \
        env WORK="$theirs" BIN="$BIN" "$script" >theirs.log 2>&1 || {
        cat theirs.log
        return 1
    }
    cat theirs.log
    grep -q '^ok - list' theirs.log
    not grep '^not ok' theirs.log
}

check "every command says how it is called" says_how_it_is_called
check "what help lists is obeyed" obeys_what_it_lists
check "what is obeyed is listed" lists_what_it_obeys
check "statuses of wrong usage" wrong_usage
check "statuses where there is no store" no_store
alone "statuses of a mount that only reads" read_only
alone "statuses of a mounted store" mounted
alone "create" makes_a_store
alone "create, compressed" makes_a_compressed_store
alone "create where nothing is" creates_where_nothing_is
check "create, several at once" makes_one_of_several
alone "mount" mounts_by_name
alone "list" lists_mounts
alone "list, odd names" lists_odd_names
alone "a newline in the mount point" mounts_at_a_newline
alone "list, a hung daemon" lists_beside_a_hung_daemon
if [ "$ids" != 0 ]; then
    alone "umount says why not" tells_why_it_stays_mounted
else
    check "create without permission" tells_who_may_not_create
    alone "list, bind mounts" lists_bind_mounts
    fuse_for $user
    alone "as an ordinary user" an_ordinary_user_can
fi
finish
