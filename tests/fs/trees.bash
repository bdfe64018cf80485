# shellcheck shell=bash
#
# trees.bash - trees with everything that a file system can hold, and all that can be seen of
# them.  Sourced after mounted.bash; needs root and a mount with -o acl,suid,dev.

: "${mnt:?mounted.bash comes first}"
beneath=$WORK/beneath
mkdir -p "$beneath"

# make_everything DIRECTORY SOURCE: every kind of file and attribute, and a copy of SOURCE.
make_everything() {
    mkdir -p "$1"
    cp -a "$2" "$1/source"
    (
        cd "$1"
        mkdir -p dir/deep/er locked 'odd "names'\'' * \ here'
        # Files of every size that is kept in another way.
        : >empty
        echo small >dir/small
        head -c 4097 /dev/urandom >dir/chunked
        head -c 3000000 /dev/urandom >dir/deep/large
        echo one >'odd "names'\'' * \ here'/$'new\nline'
        echo two >'odd "names'\'' * \ here'/$'\xff\xfe'
        echo three >"$(printf 'n%.0s' {1..255})"
        # Holes at the beginning, within and at the end.
        truncate -s 8M sparse
        head -c 100000 /dev/urandom |
            dd of=sparse bs=1M seek=3 iflag=fullblock conv=notrunc status=none
        truncate -s 5M hole
        # Links.
        ln dir/deep/large dir/hard1
        ln dir/deep/large locked/hard2
        ln dir/small small-hard
        ln -s dir/small symlink
        ln -s "$(printf 'x%.0s' {1..4000})" dangling
        ln symlink symlink-hard
        # What is no file.
        mkfifo -m 640 fifo
        perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => "socket", Listen => 1) or die'
        mknod character c 10 229
        mknod dir/block b 259 70000
        ln dir/block block-hard
        # Owners and modes.
        chown 1234:5678 dir/small
        chown -h 12:34 symlink
        chmod 4751 dir/chunked
        chmod 2775 dir/deep
        chmod 1777 dir/deep/er
        chmod 0000 empty
        # Extended attributes.
        setfattr -n user.note -v kept dir/small
        setfattr -n user.empty dir/small
        setfattr -n user.long -v "$(head -c 3000 /dev/zero | tr '\0' v)" dir/deep
        setfattr -n trusted.note -v secret dir/chunked
        setfattr -h -n trusted.link -v linked symlink
        setfattr -n trusted.device -v null character
        setfattr -n security.capability -v 0x0100000200040000000000000000000000000000 \
            dir/deep/large
        # Access lists.
        setfacl -m u:77:rw,g:88:r,m::rwx dir/small
        setfacl -m u:77:rwx,d:u:77:rwx,d:g:88:rx,d:o::- dir/deep
        mkdir dir/deep/inherits
        echo inherits >dir/deep/inherits/file
        # Times.
        touch -d '1999-12-31 23:59:59.987654321' dir/chunked
        touch -d '1960-01-01 00:00:00.5 UTC' sparse
        touch -d '2100-01-01 UTC' fifo
        touch -h -d '2001-02-03 04:05:06.7' symlink
        chmod 500 locked
        touch -d '2002-02-02 02:02:02.222222222' dir/deep dir locked
    )
}

# all_of DIRECTORY: names, kinds, modes, owners, sizes, link counts, which names are one file,
# times, targets, devices, extended attributes (access lists among them) and contents.
all_of() {
    (
        cd "$1" || exit 1
        find . -mindepth 1 \( -type d -printf '%P %y %m %U %G %n %T@\n' \) -o \
            -printf '%P %y %m %U %G %s %n %T@ %l\n' | sort
        find . -type f -links +1 -printf '%i %P\n' | sort |
            awk '{ n = $1; sub(/^[^ ]* /, ""); if (n != last) { first = $0; last = n } print first " = " $0 }' |
            sort
        find . \( -type b -o -type c \) -print0 | sort -z | xargs -0 -r stat -c '%n %t:%T'
        find . -print0 | sort -z | xargs -0 -r getfattr -h -d -m - -e hex -- 2>/dev/null |
            awk '/^# file: / { name = $0; next } NF { print name " " $0 }' | sort
        find . -type f -print0 | sort -z | xargs -0 -r md5sum
    )
}

same_in_all() {
    all_of "$1" >"$WORK/all.1"
    all_of "$2" >"$WORK/all.2"
    [ -s "$WORK/all.1" ]
    diff "$WORK/all.1" "$WORK/all.2" >"$WORK/all.diff" || {
        head -n 20 "$WORK/all.diff"
        return 1
    }
}

# alike COMMAND...: runs it in a new directory of the mount and in one of the file system beneath.
# What it prints, its status and the trees it leaves must be the same, and some must be printed.
alike() {
    local where status
    for where in "$beneath" "$mnt"; do
        mkdir "$where/alike"
        set +e
        (
            cd "$where/alike" || exit
            set -e
            "$@"
        ) >"$WORK/alike.${where##*/}" 2>&1
        status=$?
        set -e
        echo "status $status" >>"$WORK/alike.${where##*/}"
        tree_of "$where/alike" >>"$WORK/alike.${where##*/}"
    done
    sed 's/^/beneath: /' "$WORK/alike.beneath"
    rm -rf "$beneath/alike" "$mnt/alike"
    diff "$WORK/alike.beneath" "$WORK/alike.mnt"
    grep -q '^status 0$' "$WORK/alike.beneath"
}
