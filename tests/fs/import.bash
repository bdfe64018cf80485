# shellcheck shell=bash
#
# import.bash - archives that a test makes itself, and what lsmfs import once did wrong with such.
# Sourced by import.sh, after mounted.bash.

: "${lsmfs:?mounted.bash comes first}"
full='acl,suid,dev'
other=$WORK/other
there=$WORK/there
mkdir -p "$there"

# ---- what the tests share ----

# pack ARCHIVE: what `add` adds, in the Python on standard input.
pack() {
    cat >"$WORK/pack.py"
    python3 - "$1" "$WORK/pack.py" <<'END'
import io, os, sys, tarfile
D, S, L = tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
archive = tarfile.open(sys.argv[1], "w", format=tarfile.PAX_FORMAT)
def add(name, contents=None, **fields):
    entry = tarfile.TarInfo(name)
    entry.uid, entry.gid = os.getuid(), os.getgid()
    for field, value in fields.items():
        setattr(entry, field, value)
    if contents is not None:
        entry.size = len(contents)
    archive.addfile(entry, io.BytesIO(contents or b""))
exec(open(sys.argv[2]).read())
archive.close()
END
}

# begin HOW: an empty store, mounted or not.  see HOW: now it is mounted.  leave: it is not, and is
# sound.
begin() {
    rm -rf "$other"
    "$lsmfs" create "$other" >/dev/null
    [ "$1" = not ] || "$lsmfs" mount "$other" "$there" -o "$full"
}

see() {
    [ "$1" = mounted ] || "$lsmfs" mount "$other" "$there" -o "$full"
    same "" "$(find "$there" -name '.lsmfs-import*')"
}

leave() {
    "$lsmfs" umount "$there"
    "$lsmfs" check --quiet "$other"
}

# until_true COMMAND...: waits for it.
until_true() {
    for _ in {1..1500}; do
        "$@" && return
        sleep 0.02
    done
    echo "never: $*"
    return 1
}

# ---- what went wrong once ----

# A further name that comes with the contents, as cpio writes it, made a mount's file zeros.
keeps_linked_contents() {
    local how
    pack linked.tar <<'END'
data = b"precious" * 1000
add("a", data, pax_headers={"comment": "x"})
add("b", data, type=L, linkname="a", pax_headers={"comment": "x"})
add("a", type=L, linkname="./a")
add("last", b"last")
END
    for how in mounted not; do
        begin $how
        "$lsmfs" import "$other" <linked.tar
        see $how
        same "$(printf 'precious%.0s' {1..1000})" "$(cat "$there/a")"
        same "2 $(stat -c %i "$there/a")" "$(stat -c '%h %i' "$there/b")"
        same last "$(cat "$there/last")"
        leave
    done
}

# swap_while_it_runs NEW: m/a becomes NEW, which has a directory of the same name, sub.
swap_while_it_runs() {
    local status=0
    {
        head -c 300000 swap.tar
        until_true test -d "$there/m/a/sub" >&2
        mv "$there/m/a" "$there/m/a.old"
        mv "$1" "$there/m/a"
        tail -c +300001 swap.tar
    } | "$lsmfs" import "$other" m >said 2>&1 || status=$?
    cat said
    same 4 $status
    grep -q '^lsmfs import: m/a/sub: its owner, mode and times: ' said
}

# Going by path, directories at the end of a link, or others that had come to the place, got modes and
# times of the archive's.
is_not_led_astray() {
    pack swap.tar <<'END'
add("a", type=D, mode=0o755, mtime=5)
add("a/sub", type=D, mode=0o777, mtime=5)
add("a/large", b"large" * 100000)
add("last", b"last")
END
    begin mounted
    mkdir -p victim/sub "$there/m" "$there/b/sub"
    chmod 700 victim/sub "$there/b/sub"
    touch -d '2001-01-01 UTC' victim/sub "$there/b/sub"
    ln -s "$WORK/victim" "$there/m/link"
    swap_while_it_runs "$there/m/link"
    same "700 978307200" "$(stat -c '%a %Y' victim/sub)"
    same sub "$(ls victim)"
    [ -e "$there/m/last" ]
    rm -r "$there/m"
    mkdir "$there/m"
    swap_while_it_runs "$there/b"
    same "700 978307200" "$(stat -c '%a %Y' "$there/m/a/sub")"
    leave
}

# exchange_while CALL NAME: in the moment after CALL has made NAME, `theirs` takes its place.
exchange_while() {
    local importer status=0
    ASAN_OPTIONS=detect_leaks=0 strace -o calls -e trace="$1" -e inject="$1:delay_exit=1500000" \
        "$lsmfs" import "$other" <new.tar >said 2>&1 &
    importer=$!
    until_true compgen -G "$there/$2"
    touch -c "$there/theirs"
    mv -T "$there/theirs" "$(compgen -G "$there/$2")"
    wait $importer || status=$?
    cat said
    same 4 $status
    grep -q 'new: Stale file handle' said
}

# Nor does it take for its own what has come to the place of what it made, even if that has a new time:
# who may write into a FIFO or a directory can give it one.
knows_what_it_made() {
    begin mounted
    pack new.tar <<'END'
add("new", type=tarfile.FIFOTYPE, mode=0o666)
END
    mkfifo -m 600 "$there/theirs"
    exchange_while mknodat '.lsmfs-import*'
    [ ! -e "$there/new" ]
    pack new.tar <<'END'
add("new", type=D, mode=0o777)
END
    mkdir -m 700 "$there/theirs"
    exchange_while mkdirat new
    same 700 "$(stat -c %a "$there/new")"
    leave
}

# After one file that could not be written a mount took no other.
goes_on_after_a_failure() {
    local how
    pack huge.tar <<'END'
add("huge", b"1\n9223372036854775797\n5\n".ljust(512, b"\0") + b"abcde",
    pax_headers={"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "huge",
                 "GNU.sparse.realsize": "9223372036854775802"})
add("after", b"after")
END
    for how in mounted not; do
        begin $how
        fails_with 4 'huge: File too large' "$lsmfs" import "$other" <huge.tar
        same '{"entries":1,"failed":1}' "$("$lsmfs" import --json "$other" <huge.tar 2>/dev/null)"
        see $how
        same after "$(cat "$there/after")"
        [ ! -e "$there/huge" ]
        leave
    done
}

# What was there went before it was known that the new one cannot be; and numbers lost their upper
# half, so that a stranger's program was root's.
refuses_what_cannot_be() {
    local how
    pack wrong.tar <<'END'
add("keep", type=S, linkname="")
add("keep", type=S, linkname="x" * 5000)
add("keep", b"bad", uid=2**32, mode=0o4755)
add("keep", b"bad", gid=2**32 - 1)
add("keep", type=tarfile.CHRTYPE, devmajor=0x1000, devminor=1)
add("keep", type=tarfile.BLKTYPE, devmajor=1, devminor=0x100000)
add(".", b"bad")
add("./.", type=L, linkname="keep")
add("last", b"last")
END
    for how in mounted not; do
        begin $how
        echo kept | "$lsmfs" put "$other" keep
        fails_with 4 'keep: left out' "$lsmfs" import --json "$other" <wrong.tar >said
        cat said
        same 6 "$(grep -c 'keep: left out' said)"
        grep -q '^{"entries":1,"failed":8}$' said
        see $how
        same "kept 644" "$(cat "$there/keep") $(stat -c %a "$there/keep")"
        same last "$(cat "$there/last")"
        fails_with 4 'empty: left out' "$lsmfs" import "$other" empty <wrong.tar
        same last "$(ls "$there/empty")"
        leave
    done
}

# An archive that breaks off left a file of the right size and time, its end zeros.
leaves_no_part_of_a_file() {
    local how
    pack cut.whole <<'END'
add("good", b"good")
add("dir", type=D, mode=0o750, mtime=5)
add("dir/new", b"x", mtime=5)
add("f", bytes(range(1, 256)) * 8000, mtime=5)
END
    head -c 304096 cut.whole >cut.tar
    for how in mounted not; do
        begin $how
        echo old | "$lsmfs" put "$other" f
        fails_with 1 'f: left out: its contents: ' "$lsmfs" import "$other" <cut.tar
        see $how
        same old "$(cat "$there/f")"
        same good "$(cat "$there/good")"
        same "750 5" "$(stat -c '%a %Y' "$there/dir")"
        leave
    done
    # The same of a value, which broke off as if the disk were bad.
    pack value.whole <<'END'
add("good", b"good")
add(".lsmfs/keys/a%2F%2Fb", b"v" * 300000)
END
    head -c 100000 value.whole >value.tar
    for how in mounted not; do
        begin $how
        fails_with 1 '^lsmfs import: .lsmfs/keys/a%2F%2Fb: left out: its contents: ' \
            "$lsmfs" import "$other" <value.tar
        same good "$("$lsmfs" get "$other" good)"
        not "$lsmfs" get "$other" a//b
        see $how
        leave
    done
}

# What libarchive could not read of a header, an attribute, was lost in silence, and a damaged header told of once
# for each block behind it.
tells_what_it_cannot_read() {
    local how
    pack broken.tar <<'END'
add("one", b"1", pax_headers={"SCHILY.xattr.user.a": "1", "foo": "bar"})
add("two", b"2")
END
    pack damaged.tar <<'END'
add("one", b"1" * 2000)
add("two", b"2" * 2000)
END
    python3 - <<'END'
contents = bytearray(open("broken.tar", "rb").read())
at = contents.rfind(b"\0", 0, contents.index(b"SCHILY")) + 1
contents[at:at + 2] = b"xx"
open("broken.tar", "wb").write(contents)
contents = bytearray(open("damaged.tar", "rb").read())
contents[512 * 5 + 3] ^= 0xff
open("damaged.tar", "wb").write(contents)
END
    for how in mounted not; do
        begin $how
        fails_with 4 '^lsmfs import: one: left out: ' "$lsmfs" import "$other" <broken.tar
        see $how
        same "two 2" "$(ls "$there") $(cat "$there/two")"
        leave
        begin $how
        fails_with 1 'standard input: ' "$lsmfs" import "$other" <damaged.tar >said
        same 1 "$(wc -l <said)"
        see $how
        same one "$(ls "$there")"
        leave
    done
}

# A value put through a mount has its owner and mode from there, and in a directory it was an ordinary
# file; neither was told.
tells_of_values() {
    pack value.tar <<'END'
add(".lsmfs/keys/a%2F%2Fb", b"v", mode=0o600)
END
    begin mounted
    fails_with 4 'a%2F%2Fb: its owner or mode' "$lsmfs" import "$other" <value.tar
    same v "$("$lsmfs" get "$other" a//b)"
    leave
    begin not
    "$lsmfs" import "$other" <value.tar
    "$lsmfs" mount "$other" "$there" -o "$full"
    same "v 600" "$(cat "$there/.lsmfs/keys/a%2F%2Fb") $(stat -c %a "$there/.lsmfs/keys/a%2F%2Fb")"
    fails_with 4 'a%2F%2Fb: left out: .* no place in a directory' \
        "$lsmfs" import "$other" dir <value.tar
    same "" "$(ls -A "$there/dir")"
    leave
}

# Of a store that is bound elsewhere in part the files went into the root; and into another file system
# that is mounted in a mount.
stays_in_a_bind_mount() {
    pack x.tar <<'END'
add("x", b"x")
add(".lsmfs/keys/a%2F%2Fb", b"v")
END
    begin mounted
    mkdir -p bound "$there/sub"
    mount --bind "$there/sub" bound
    fails_with 4 'no place in a directory' "$lsmfs" import bound dir <x.tar
    same "x" "$(cat "$there/sub/dir/x")"
    fails_with 4 'no place in a directory' "$lsmfs" import bound <x.tar
    same "dir x" "$(cd "$there/sub" && echo *)"
    same sub "$(ls "$there")"
    umount bound
    mkdir "$there/in"
    mount -t tmpfs none "$there/in"
    pack x.tar <<'END'
add("in/x", b"x")
add("in", type=D, mode=0o700)
add("in", b"x")
add("last", b"last")
END
    fails_with 4 'in/x: Invalid cross-device link' "$lsmfs" import "$other" <x.tar
    same "" "$(ls "$there/in")"
    same last "$(cat "$there/last")"
    umount "$there/in"
    leave
}

# One was made there, as a directory of the mount.
makes_no_store_in_a_mount() {
    echo x >x
    tar -cf x.tar x
    begin mounted
    mkdir "$there/empty"
    fails_with 4 'a directory of a mounted store' "$lsmfs" import "$there/new" <x.tar
    fails_with 4 'a directory of a mounted store' "$lsmfs" import "$there/empty" <x.tar
    same empty "$(cd "$there" && find . -mindepth 1 -printf '%P\n')"
    leave
}

# Names in an archive could give orders to the terminal.
prints_no_orders() {
    pack orders.tar <<'END'
add("evil\x1b[31m\nlsmfs import: fake\\", type=L, linkname="../up")
add("\u00e9\u009b31m", type=L, linkname="../up")
END
    begin not
    fails_with 4 'import: evil\\033\[31m\\012lsmfs import: fake\\134: ' \
        "$lsmfs" import "$other" <orders.tar >said
    cat said
    same 3 "$(wc -l <said)"
    grep -qF $'lsmfs import: \xc3\xa9\\302\\23331m: ' said
}

# Such as no mount would show were stored.
refuses_long_attributes() {
    local how
    pack attributes.tar <<'END'
add("x", b"x", pax_headers={"SCHILY.xattr.user.big": "v" * 100000, "SCHILY.xattr.user.good": "good"})
add("link", type=S, linkname="x", pax_headers={"SCHILY.xattr.user.a": "1"})
END
    for how in mounted not; do
        begin $how
        fails_with 4 'x: user.big: too big' "$lsmfs" import "$other" <attributes.tar
        fails_with 4 'link: user.a: Operation not permitted' "$lsmfs" import "$other" <attributes.tar
        see $how
        same good "$(getfattr --only-values -n user.good "$there/x")"
        same x "$(readlink "$there/link")"
        leave
    done
}

# DIR was not made, and no object printed.
takes_an_empty_archive() {
    local how
    pack empty.tar </dev/null
    for how in mounted not; do
        begin $how
        same '{"entries":0,"failed":0}' "$("$lsmfs" import --json "$other" a/b <empty.tar)"
        echo x | "$lsmfs" put "$other" file
        fails_with 1 'file/in: Not a directory' "$lsmfs" import "$other" file/in <empty.tar
        see $how
        [ -d "$there/a/b" ]
        leave
    done
}

# Of a directory that comes twice the second entry counts; one that became a file is forgotten.
takes_the_last_entry() {
    local how
    pack twice.tar <<'END'
add("d", type=D, mode=0o700, mtime=5)
add("d/sub", type=D, mode=0o500, mtime=6)
add("d", type=D, mode=0o750, mtime=7)
add("e", type=D, mode=0o700)
add("e", b"e")
add("f", b"f")
add("f", type=D, mode=0o711)
END
    for how in mounted not; do
        begin $how
        "$lsmfs" import "$other" <twice.tar
        see $how
        same "750 7" "$(stat -c '%a %Y' "$there/d")"
        same "500 6" "$(stat -c '%a %Y' "$there/d/sub")"
        same e "$(cat "$there/e")"
        same "711 directory" "$(stat -c '%a %F' "$there/f")"
        leave
    done
}

# Where all files are shown as somebody's, directories and links did not pass for what it had made.
is_known_with_another_owner() {
    pack shown.tar <<'END'
add("dir", type=D, uid=1234, mode=0o750, mtime=5)
add("dir/file", b"x", uid=1234)
add("dir/link", type=S, uid=1234, linkname="file")
add("fifo", type=tarfile.FIFOTYPE, uid=1234, mode=0o640)
END
    begin not
    "$lsmfs" mount "$other" "$there" -o uid=1234
    "$lsmfs" import "$other" <shown.tar
    same "750 5" "$(stat -c '%a %Y' "$there/dir")"
    same x "$(cat "$there/dir/link")"
    same "640 fifo" "$(stat -c '%a %F' "$there/fifo")"
    leave
}

# Set-user-ID bits are the owner's: who cannot set him gets none of them.
lends_no_privileges() {
    pack special.tar <<'END'
add("program", b"x", uid=1234, gid=1234, mode=0o6755)
END
    begin mounted
    "$lsmfs" import "$other" <special.tar
    if [ "$(id -u)" = 0 ]; then
        same "6755 1234" "$(stat -c '%a %u' "$there/program")"
    else
        same "755 $(id -u)" "$(stat -c '%a %u' "$there/program")"
    fi
    leave
}

# It read its pipe until nobody wrote to it, with the store locked, before it said what was wrong.
does_not_wait_for_the_end() {
    local writer
    rm -f pipe
    mkfifo pipe
    head -c 100000 /dev/urandom >noise
    {
        cat noise
        exec sleep 100
    } >pipe &
    writer=$!
    fails_with 1 'standard input: ' timeout 60 "$lsmfs" import "$other" <pipe
    kill $writer
    wait $writer || true
    # But who writes more than the archive can do so to the end.
    echo x >x
    tar -cf x.tar x
    begin not
    {
        cat x.tar
        head -c 3072000 /dev/zero
    } | "$lsmfs" import "$other"
}

# interrupt HOW COMMAND...: runs it, with the number of the process, in the middle of an import;
# $status is that of the import.
interrupt() {
    local how=$1 importer
    shift
    pack long.tar <<'END'
add("dir", type=D, mode=0o750, mtime=5)
add("dir/good", b"good")
add("large", b"large" * 100000)
add("last", b"last")
END
    rm -f pipe
    mkfifo pipe
    begin "$how"
    "$lsmfs" import "$other" <pipe >said 2>&1 &
    importer=$!
    exec 7>pipe
    # It has taken them when it has read all but what the pipe holds.
    head -c 300000 long.tar >&7
    if [ "$how" = mounted ]; then
        until_true test -e "$there/dir/good"
    fi
    "$@" $importer
    tail -c +300001 long.tar >&7 || true
    exec 7>&-
    status=0
    wait $importer || status=$?
    cat said
}

# It ended at once, and left the store as a crash would.
can_be_interrupted() {
    local how status
    for how in mounted not; do
        interrupt $how kill -TERM
        same 143 $status
        grep -q 'interrupted' said
        see $how
        same "dir" "$(ls "$there")"
        same "good 750 5" "$(cat "$there/dir/good") $(stat -c '%a %Y' "$there/dir")"
        leave
    done
}

kill_the_daemon() {
    local pid
    pid=$("$lsmfs" status "$other" | sed -n 's/^pid: //p')
    kill -KILL "$pid"
    await_end "$pid"
}

stops_when_the_daemon_dies() {
    local status
    interrupt mounted kill_the_daemon
    same 1 $status
    # Of the file, of a directory and of the daemon.
    [ "$(wc -l <said)" -le 3 ]
    grep -q 'large: ' said
    fusermount3 -u "$there" || umount "$there" || fusermount3 -uz "$there"
    "$lsmfs" check --quiet "$other"
    not "$lsmfs" get "$other" large
}

takes_any_mount_point() {
    local point=$WORK/$'new\nline' status=0
    mkdir -p "$point"
    echo x >x
    tar -cf x.tar x
    begin not
    "$lsmfs" mount "$other" "$point"
    "$lsmfs" import "$point" <x.tar || status=$?
    same "0 x" "$status $(cat "$point/x")" || status=1
    # What `alone` takes away has no newline in its name.
    umount "$point" || fusermount3 -u "$point"
    return $status
}
