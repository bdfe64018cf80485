# shellcheck shell=bash
#
# import_exact.bash - what an archive says is what lsmfs import makes, to the byte, or it is told.
# Each test is of something that once was neither.  Sourced by import.sh, after import.bash.

: "${lsmfs:?mounted.bash comes first}" "${store:?}" "${mnt:?}"
: "${other:?import.bash comes first}" "${there:?}" "${full:?}"

# ---- directories ----

# "." does not sort before every name: the root kept its importer out of directories whose names do, and they
# got neither their mode nor their times.
leaves_the_root_for_last() {
    pack root.tar <<'END'
add(".", type=D, mode=0o600)
add("+d", type=D, mode=0o750, mtime=1000)
add("z", type=D, mode=0o750, mtime=1000)
END
    begin mounted
    "$lsmfs" import "$there" <root.tar
    same 600 "$(stat -c %a "$there")"
    chmod 700 "$there"
    same "750 1000 750 1000" "$(stat -c '%a %Y' "$there/+d" "$there/z" | xargs)"
    leave
}

# ---- names, lists, attributes ----

# Names were turned into another form of the same letters, so that of two files one was left; what a
# link led to, too.
keeps_names() {
    local how composed=$'\xc3\xa9' apart=$'e\xcc\x81'
    pack names.tar <<'END'
add("e\u0301", b"apart")
add("\u00e9", b"composed")
add("link", type=S, linkname="e\u0301")
add("hard", type=L, linkname="e\u0301")
add("d\u0301/f", b"f")
END
    for how in mounted not; do
        begin $how
        "$lsmfs" import "$other" <names.tar
        see $how
        same "apart composed apart apart" \
            "$(cat "$there/$apart") $(cat "$there/$composed") $(cat "$there/link") $(cat "$there/hard")"
        same "$apart" "$(readlink "$there/link")"
        same f "$(cat "$there/"$'d\xcc\x81/f')"
        leave
        # And what was exported.
        rm -rf "$store"
        "$lsmfs" export "$other" | "$lsmfs" import "$store"
        same "$("$lsmfs" ls -R "$other")" "$("$lsmfs" ls -R "$store")"
    done
}

# GNU tar has users of lists by name: the list was of nobody, or refused.
keeps_named_lists() {
    local how
    pack lists.tar <<'END'
def listed(name, *rows):
    add(name, b"x", mode=0o640, pax_headers={"SCHILY.acl.access": "\n".join(
        ["user::rw-", *rows, "group::r--", "mask::rw-", "other::---"])})
listed("known", "user:daemon:rw-", "group:daemon:r--")
listed("unknown", "user:nobody.of.this.name:rw-")
END
    for how in mounted not; do
        begin $how
        fails_with 4 'unknown: .*posix_acl_access names "nobody.of.this.name", who is not known' \
            "$lsmfs" import "$other" <lists.tar >said
        cat said
        same 2 "$(wc -l <said)"
        see $how
        same "user:daemon:rw- group:daemon:r-- mask::rw-" \
            "$(getfacl -p "$there/known" | grep -E 'daemon|mask' | xargs)"
        same "640 " "$(stat -c %a "$there/unknown") $(getfattr -m - "$there/unknown")"
        leave
    done
}

# Larger than any attribute: nothing could be made in a directory of which it was the default list.
refuses_long_lists() {
    local how
    pack long.tar <<'END'
import base64
text = base64.b64encode(b"\2\0\0\0" + bytes(100000)).decode()
add("x", b"x", pax_headers={"LIBARCHIVE.xattr.system.posix_acl_access": text})
add("d", type=D, mode=0o755, pax_headers={"LIBARCHIVE.xattr.system.posix_acl_default": text})
rows = "".join("user::rwx\ngroup::r-x\nmask::rwx\nother::---\n" if i == 0 else f"user:{i}:rwx\n" for i in range(9000))
add("e", type=D, pax_headers={"SCHILY.acl.default": rows})
END
    for how in mounted not; do
        begin $how
        fails_with 4 'x: system.posix_acl_access: too big' "$lsmfs" import "$other" <long.tar
        fails_with 4 'd: system.posix_acl_default: too big' "$lsmfs" import "$other" <long.tar
        fails_with 4 'e: system.posix_acl_default: too big' "$lsmfs" import "$other" <long.tar
        see $how
        echo y >"$there/d/y"
        leave
    done
}

# Its entries in an order that the kernel would not take, a list was stored, and shown to it.
refuses_disordered_lists() {
    local how
    pack list.tar <<'END'
import base64, struct
none = 0xffffffff
def listed(name, *entries):
    text = base64.b64encode(struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *e) for e in entries))
    add(name, b"x", mode=0o600, pax_headers={"LIBARCHIVE.xattr.system.posix_acl_access": text.decode()})
listed("x", (0x20, 7, none), (1, 6, none), (2, 0, 77), (4, 0, none), (0x10, 7, none))
listed("y", (1, 6, none), (2, 7, none), (4, 0, none), (0x10, 7, none), (0x20, 0, none))
END
    for how in mounted not; do
        begin $how
        fails_with 4 'x: system.posix_acl_access: Invalid argument' "$lsmfs" import "$other" <list.tar
        fails_with 4 'y: system.posix_acl_access: Invalid argument' "$lsmfs" import "$other" <list.tar
        see $how
        same "600 600" "$(stat -c %a "$there/x" "$there/y" | xargs)"
        leave
    done
}

# A '=' in its name, or a letter that is not ASCII, made another attribute of it; and one file with more
# attributes than a reader takes ended the whole import.
keeps_exported_attributes() {
    local i long
    begin mounted
    echo x >"$there/x"
    setfattr -n 'user.k=v' -v '1=2' "$there/x"
    setfattr -n 'user.100%3D%' -v 3 "$there/x"
    setfattr -n $'user.\xc3\xa9 \xff' -v 4 "$there/x"
    getfattr -d "$there/x" | tail -n +2 >wanted.attributes
    leave
    rm -rf "$store"
    "$lsmfs" export "$other" | "$lsmfs" import "$store"
    "$lsmfs" "$store" "$mnt"
    getfattr -d "$mnt/x" | tail -n +2 | diff wanted.attributes -
    umount_store
    long=$(head -c 60000 /dev/zero | tr '\0' v)
    "$lsmfs" mount "$other" "$there"
    for i in {1..17}; do
        setfattr -n user.long$i -v "$long" "$there/x"
    done
    echo y >"$there/y"
    leave
    rm -rf "$store"
    fails_with 4 'x: an archive has no room for all' "$lsmfs" export -o many.tar "$other"
    "$lsmfs" import "$store" <many.tar
    same "x y" "$("$lsmfs" get "$store" x) $("$lsmfs" get "$store" y)"
}

# ---- values without a path ----

# They had the time of the import.
keeps_times_of_values() {
    local how
    pack value.tar <<'END'
add(".lsmfs/keys/a%2F%2Fb", b"v", mtime=5)
END
    for how in mounted not; do
        begin $how
        "$lsmfs" import "$other" <value.tar
        see $how
        same "v 5" "$(cat "$there/.lsmfs/keys/a%2F%2Fb") $(stat -c %Y "$there/.lsmfs/keys/a%2F%2Fb")"
        leave
    done
}

# A hole at the end was left out; one before the end became zeros, a TiB if the archive wanted it.
refuses_holes_in_values() {
    local how
    pack holes.tar <<'END'
def sparse(key, map, data, size):
    add(key, map.ljust(512, b"\0") + data,
        pax_headers={"GNU.sparse.major": "1", "GNU.sparse.minor": "0",
                     "GNU.sparse.name": ".lsmfs/keys/" + key, "GNU.sparse.realsize": str(size)})
sparse("large%2F%2F", b"1\n1099511627776\n5\n", b"abcde", 2**40 + 5)
sparse("end%2F%2F", b"1\n0\n5\n", b"abcde", 4096)
sparse("whole%2F%2F", b"1\n0\n5\n", b"abcde", 5)
END
    for how in mounted not; do
        begin $how
        fails_with 4 'large%2F%2F: left out: a value has no holes' timeout 60 "$lsmfs" import "$other" <holes.tar
        fails_with 4 'end%2F%2F: left out: a value has no holes' timeout 60 "$lsmfs" import "$other" <holes.tar
        same abcde "$("$lsmfs" get "$other" whole//)"
        same whole// "$("$lsmfs" ls -R "$other")"
        see $how
        leave
    done
}

# A value of a file's path changed what was in the file, and left it its owner and set-user-ID bit.
leaves_files_to_their_paths() {
    local how
    pack keys.tar <<'END'
add(".lsmfs/keys/usr%2Fsu", b"bad")
add(".lsmfs/keys/absent", b"bad")
END
    for how in mounted not; do
        begin mounted
        mkdir "$there/usr"
        echo kept >"$there/usr/su"
        chmod 4755 "$there/usr/su"
        [ $how = mounted ] || leave
        fails_with 4 'keys/usr%2Fsu: left out: it has a path' "$lsmfs" import "$other" <keys.tar >said
        cat said
        grep -q 'keys/absent: left out: it has a path' said
        see $how
        same "kept 4755" "$(cat "$there/usr/su") $(stat -c %a "$there/usr/su")"
        [ ! -e "$there/absent" ]
        leave
    done
}

# ---- contents ----

# A byte that had changed on the way went unnoticed: of gzip's checksum libarchive looks at nothing, and
# others' were not read if they came behind the end of the archive.
notices_damage() {
    local kind
    pack plain.tar <<'END'
add("f", bytes(range(1, 256)) * 800)
END
    python3 - <<'END'
import bz2, gzip
plain = open("plain.tar", "rb").read() + bytes(300 * 512)
at = plain.index(bytes(range(1, 256))) + 50000
def write(kind, contents):
    open(kind + ".packed", "wb").write(contents)
def changed(contents, at):
    return contents[:at] + bytes([contents[at] ^ 1]) + contents[at + 1:]
stored = gzip.compress(plain, 0)
write("gzip", changed(stored, stored.index(plain[at:at + 20])))
write("gzip-sum", changed(gzip.compress(plain), -8 + len(gzip.compress(plain))))
write("gzip-cut", gzip.compress(plain)[:-4])
write("bzip2", changed(bz2.compress(plain), len(bz2.compress(plain)) - 2))
zstd = b"\x28\xb5\x2f\xfd\xa4" + len(plain).to_bytes(4, "little")
parts = [plain[i:i + 65536] for i in range(0, len(plain), 65536)]
for i, part in enumerate(parts):
    zstd += (len(part) << 3 | (i == len(parts) - 1)).to_bytes(3, "little") + part
write("zstd", zstd + b"none")
END
    begin not
    for kind in gzip gzip-sum gzip-cut bzip2 zstd; do
        fails_with 1 'standard input: ' "$lsmfs" import "$other" <$kind.packed
    done
    fails_with 1 'gzip stream is damaged: its checksum is another' "$lsmfs" import "$other" <gzip.packed
    fails_with 1 'gzip stream ends too early' "$lsmfs" import "$other" <gzip-cut.packed
}

# gzip's members may be many, come in small pieces, and have padding behind them.
reads_gzip() {
    pack plain.tar <<'END'
add("f", bytes(range(1, 256)) * 8)
add("g", b"g" * 3000000)
END
    begin not
    python3 - <<'END' | "$lsmfs" import "$other"
import gzip, os, time
plain = open("plain.tar", "rb").read()
packed = gzip.compress(plain[:1000]) + gzip.compress(b"") + gzip.compress(plain[1000:]) + bytes(1000)
for i in range(0, len(packed), 7):
    os.write(1, packed[i:i + 7])
END
    mkdir -p plain.d
    tar -C plain.d -xf plain.tar
    cmp plain.d/f <("$lsmfs" get "$other" f)
    cmp plain.d/g <("$lsmfs" get "$other" g)
}

# Of archives one behind the other the first was taken for all.
takes_archives_in_a_row() {
    echo 1 >one
    echo 2 >two
    tar -cf one.tar one
    tar -cf two.tar two
    begin not
    cat one.tar two.tar | "$lsmfs" import "$other"
    same "1 2" "$("$lsmfs" get "$other" one) $("$lsmfs" get "$other" two)"
}

# What libarchive could not make out, its own form of a sparse file, took the place of a good one.
leaves_out_what_it_cannot_read() {
    local how
    pack unknown.tar <<'END'
add("first", b"first")
add("keep", b"1\n0\n5\n".ljust(512, b"\0") + b"abcde",
    pax_headers={"GNU.sparse.major": "9", "GNU.sparse.minor": "9", "GNU.sparse.name": "keep",
                 "GNU.sparse.realsize": "5"})
END
    for how in mounted not; do
        begin $how
        echo kept | "$lsmfs" put "$other" keep
        fails_with 4 'keep: left out: ' "$lsmfs" import "$other" <unknown.tar
        see $how
        same "first kept" "$(cat "$there/first") $(cat "$there/keep")"
        leave
    done
}

# ---- what happens meanwhile ----

# Its files went where the directory was by then, and nobody was told.
tells_of_a_moved_directory() {
    local status=0
    pack moved.tar <<'END'
add("a/one", b"1")
add("a/large", b"large" * 100000)
add("a/last", b"last")
add("other", b"other")
END
    begin mounted
    mkdir "$there/m"
    {
        head -c 300000 moved.tar
        until_true test -e "$there/m/a/one" >&2
        mv "$there/m/a" "$there/m/z"
        tail -c +300001 moved.tar
    } | "$lsmfs" import "$other" m >said 2>&1 || status=$?
    cat said
    same 4 $status
    grep -q '^lsmfs import: m/a: was moved while files came into it' said
    same other "$(cat "$there/m/other")"
    leave
}

# On a disk that had room for it: what files that were replaced had taken comes back a moment later.
waits_for_space() {
    local how
    mkdir -p small
    pack eight.tar <<'END'
data = os.urandom(18000000)
for i in range(8):
    add("large", data)
END
    for how in mounted not; do
        mount -t tmpfs -o size=64m none small
        "$lsmfs" create small/store
        [ $how = not ] || "$lsmfs" mount small/store "$there"
        "$lsmfs" import small/store <eight.tar
        [ $how = not ] || "$lsmfs" umount "$there"
        "$lsmfs" check --quiet small/store
        umount small
    done
}

# A reader of its messages who had enough ended it as a crash would.
goes_on_without_a_reader() {
    local status=0
    pack many.tar <<'END'
for i in range(5000):
    add("../" + "x" * 100 + str(i), b"bad")
add("last", b"last")
END
    begin not
    "$lsmfs" import "$other" <many.tar 2> >(head -n 1) || status=$?
    same 4 $status
    same last "$("$lsmfs" get "$other" last)"
}

# What was there stays, and the next one goes on.
can_be_killed() {
    local how status
    for how in mounted not; do
        interrupt $how kill -KILL
        same 137 $status
        [ $how = not ] || same 1 "$(find "$there" -name '.lsmfs-import*' | wc -l)"
        "$lsmfs" import "$other" <long.tar
        [ $how = mounted ] || "$lsmfs" mount "$other" "$there" -o "$full"
        same "good last" "$(cat "$there/dir/good" "$there/last" | sed 's/good/good /')"
        leave
    done
}
