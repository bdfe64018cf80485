#!/bin/bash
#
# security.sh - what other users can reach, and what whoever made a store can do to who mounts it.
# Needs root: mallory and trent are users without rights.

# shellcheck source=tests/fs/mounted.bash
. "$(dirname "$0")/mounted.bash"
: "${TESTS:?the directory of prog_fill}"
if [ "$(id -u)" != 0 ]; then
    echo "ok - skipped: needs root"
    exit 0
fi
# fusermount3 wants users that have names; these two every Debian has.
mallory_id=$(id -u nobody) trent_id=$(id -u games)
fuse_for $mallory_id
fuse_for $trent_id
# Every name on the way here leads others no further than to what is checked.
chmod 755 "$WORK" "$mnt"

# mallory COMMAND..., trent COMMAND...: as they.
mallory() {
    setpriv --reuid $mallory_id --regid $mallory_id --clear-groups --inh-caps=-all "$@"
}

trent() {
    setpriv --reuid $trent_id --regid $trent_id --clear-groups --inh-caps=-all "$@"
}

# somebody COMMAND: one who is in /etc/passwd, with what a login gives.
somebody() {
    su -s /bin/sh nobody -c "$1"
}

options_of() {
    awk -v point="$1" '$2 == point { print $4 }' /proc/mounts
}

# refused COMMAND...: it fails, for want of rights.
refused() {
    local status=0
    "$@" >said 2>&1 || status=$?
    cat said
    [ $status != 0 ]
    grep -qE "Permission denied|Operation not permitted|can't cd|Read-only" said
}

# has_options MOUNTPOINT OPTION...
has_options() {
    local point=$1 option
    shift
    options_of "$point"
    for option in "$@"; do
        [[ ",$(options_of "$point")," == *",$option,"* ]]
    done
}

# A user's own folder, store and mount point: folder_of NAME ID.
folder_of() {
    mkdir "$WORK/$1"
    chown "$2:$2" "$WORK/$1"
    chmod 755 "$WORK/$1"
}

# ---- other users ----

# With what is everybody's as well: the mount point, the modes below it.
is_private() {
    local command
    mount_store
    mkdir "$mnt/open"
    echo secret >"$mnt/open/file"
    chmod -R a+rwX "$mnt"
    mkdir "$mnt/.snapshots/s"
    for command in mallory trent; do
        refused $command cat "$mnt/open/file"
        refused $command ls "$mnt"
        refused $command ls "$mnt/open"
        refused $command cat "$mnt/.snapshots/s/open/file"
        refused $command stat "$mnt/open"
        refused $command touch "$mnt/new"
        refused $command sh -c "cd $mnt"
        # Not by the store beneath either, nor by what the daemon has open.
        refused $command ls "$store"
        refused $command cat "$store/MANIFEST"
        refused $command ls "/proc/$(daemon_pid)/fd/"
        refused $command "$lsmfs" status "$mnt"
        refused $command "$lsmfs" get "$store" open/file
        refused $command "$lsmfs" put "$store" open/file
        refused $command "$lsmfs" rm "$store" open/file
        fails_with 1 '' $command fusermount3 -u "$mnt"
        fails_with 32 'must be superuser' $command umount "$mnt"
        not $command "$lsmfs" umount "$mnt"
        not $command kill -KILL "$(daemon_pid)"
    done
    refused somebody "cat $mnt/open/file"
    refused somebody "ls -l $mnt/."
    same secret "$(cat "$mnt/open/file")"
    umount_store
}

# The same between ordinary users; even root's own processes stay outside.
is_private_to_users() {
    folder_of mallory $mallory_id
    folder_of trent $trent_id
    local own=$WORK/mallory
    mallory mkdir "$own/mnt"
    mallory "$lsmfs" "$own/store" "$own/mnt"
    has_options "$own/mnt" default_permissions nosuid nodev "user_id=$mallory_id"
    mallory sh -c "echo mine >$own/mnt/file; chmod 666 $own/mnt/file; chmod 777 $own/mnt"
    refused trent cat "$own/mnt/file"
    refused trent ls "$own/mnt"
    refused cat "$own/mnt/file"
    refused trent ls "$own/store"
    refused trent "$lsmfs" get "$own/store" file
    refused trent "$lsmfs" "$own/store" "$WORK/trent"
    not trent fusermount3 -u "$own/mnt"
    not trent "$lsmfs" umount "$own/mnt"
    # Nor may they mount where it is not theirs, or let others in without the system's leave.
    fails_with 5 '' trent "$lsmfs" "$WORK/trent/store" "$own"
    if ! grep -q '^ *user_allow_other' /etc/fuse.conf; then
        mallory mkdir "$own/mnt2"
        fails_with 5 'user_allow_other' mallory "$lsmfs" "$own/store2" "$own/mnt2" -o allow_other
        [ -z "$(options_of "$own/mnt2")" ]
    fi
    same mine "$(mallory cat "$own/mnt/file")"
    mallory "$lsmfs" umount "$own/mnt"
}

# A folder that is not private is not made so; its socket and its files are.
opens_no_socket() {
    mkdir "$WORK/shared"
    chmod 755 "$WORK/shared"
    (umask 000 && "$lsmfs" "$WORK/shared" "$mnt")
    echo secret >"$mnt/file"
    mallory ls "$WORK/shared" | grep CONTROL
    same '' "$(find "$WORK/shared" -mindepth 1 -perm /077)"
    refused mallory "$lsmfs" status "$WORK/shared"
    refused mallory "$lsmfs" get "$WORK/shared" file
    refused mallory perl -MIO::Socket::UNIX -e \
        'IO::Socket::UNIX->new(Peer => $ARGV[0]) or do { warn "$!\n"; exit 1 }' \
        "$WORK/shared/CONTROL"
    umount_store
}

makes_private_stores() {
    (umask 000 && "$lsmfs" "$WORK/made" "$mnt")
    same 700 "$(stat -c %a "$WORK/made")"
    head -c 26000000 /dev/urandom >"$mnt/large" # a table is made
    "$lsmfs" sync "$mnt"
    ls "$WORK/made"/*.sst
    same '' "$(find "$WORK/made" -mindepth 1 -perm /077)"
    umount_store
    same '' "$(find "$WORK/made" -mindepth 1 -perm /077)"
}

# ---- permissions ----

# With allow_other everybody gets in, and the kernel holds them to modes and owners whatever the
# options were.
checks_permissions() {
    local options
    for options in allow_other allow_other,default_permissions allow_other,acl \
        allow_other,ro allow_other,suid,dev,exec; do
        mount_store -o "$options"
        has_options "$mnt" default_permissions
        if [ "$options" = allow_other ]; then
            echo secret >"$mnt/secret"
            chmod 600 "$mnt/secret"
            mkdir -m 700 "$mnt/folder"
            echo secret >"$mnt/folder/file"
            chmod 755 "$mnt"
            mkdir "$mnt/.snapshots/p"
        fi
        refused mallory cat "$mnt/secret"
        refused mallory cat "$mnt/folder/file"
        refused mallory cat "$mnt/.snapshots/p/secret"
        refused mallory cat "$mnt/.snapshots/p/folder/file"
        refused mallory sh -c "echo x 2>&1 >>$mnt/secret"
        refused mallory rm -f "$mnt/secret"
        refused mallory mkdir "$mnt/.snapshots/t"
        refused mallory rmdir "$mnt/.snapshots/p"
        refused mallory chmod 777 "$mnt/secret"
        umount_store
    done
    fails_with 2 'unknown option' mount_store -o no_default_permissions
    fails_with 2 'unknown option' mount_store -o default_permissions=0
    # libfuse's own words, which would lead around it.
    fails_with 2 'always the store' mount_store -o fsname=x
    fails_with 2 'unknown option' mount_store -o fd=3
}

# ---- programs and devices with rights ----

# What runs with the rights of its file's owner where nosuid does not stop it.
has_rights() {
    rm -f "$mnt/id" "$mnt/null"
    cp /usr/bin/id "$mnt/id"
    chmod 4755 "$mnt/id"
    mknod -m 666 "$mnt/null" c 1 3
}

gives_no_rights() {
    local options
    for options in allow_other allow_other,rw,defaults allow_other,exec; do
        mount_store -o "$options"
        has_options "$mnt" nosuid nodev
        has_rights
        same $mallory_id "$(mallory "$mnt/id" -u)"
        refused mallory cat "$mnt/null"
        umount_store
    done
    # What root asks for, root gets.
    mount_store -o allow_other,suid,dev
    not has_options "$mnt" nosuid
    not has_options "$mnt" nodev
    same 0 "$(mallory "$mnt/id" -u)"
    mallory cat "$mnt/null"
    umount_store
}

# A store is made of bytes: whoever has one can write there that a file is root's and set-user-ID.
trusts_no_store() {
    local own=$WORK/mallory option
    mount_store -o allow_other
    has_rights
    umount_store
    cp -a "$store" "$own/crafted"
    chown -R $mallory_id:$mallory_id "$own/crafted"
    mallory "$lsmfs" "$own/crafted" "$own/mnt"
    has_options "$own/mnt" nosuid nodev default_permissions
    mallory stat -c '%u %a' "$own/mnt/id" | grep -x '0 4755'
    same $mallory_id "$(mallory "$own/mnt/id" -u)"
    refused mallory cat "$own/mnt/null"
    mallory "$lsmfs" umount "$own/mnt"
    for option in suid dev; do
        mallory "$lsmfs" "$own/crafted" "$own/mnt" -o $option >said 2>&1 || continue
        has_options "$own/mnt" nosuid nodev
        mallory "$lsmfs" umount "$own/mnt"
    done
    [ -z "$(options_of "$own/mnt")" ]
}

# ---- links, and directories that are moved ----

# refuses_link NAME: where a file of the store should be is a link to somebody else's.
refuses_link() {
    local own=$WORK/mallory
    rm -rf "$own/linked"
    cp -a "$store" "$own/linked"
    echo "do not touch" >"$WORK/victim"
    ln -sfn "$WORK/victim" "$own/linked/$1"
    "$lsmfs" "$own/linked" "$mnt" >said 2>&1 && return 1
    cat said
    same "do not touch" "$(cat "$WORK/victim")"
    [ -z "$(options_of "$mnt")" ]
}

follows_no_links() {
    local file
    mount_store
    echo text >"$mnt/file"
    umount_store
    for file in LOCK MANIFEST CLOSED "$(basename "$store"/*.log)" \
        "$(basename "$(find "$store" -name '*.sst' | head -n 1)")"; do
        echo "$file"
        refuses_link "$file"
    done
    # The socket's place is cleared, not followed.
    rm -rf "$WORK/mallory/linked"
    cp -a "$store" "$WORK/mallory/linked"
    ln -sfn "$WORK/victim" "$WORK/mallory/linked/CONTROL"
    "$lsmfs" "$WORK/mallory/linked" "$mnt"
    same "do not touch" "$(cat "$WORK/victim")"
    [ -S "$WORK/mallory/linked/CONTROL" ]
    umount_store
    same "do not touch" "$(cat "$WORK/victim")"
}

# All goes on in the directory that was opened.  The control socket was reached by its path: the
# daemon took away whatever was there when it ended, and kept contents there on their way.
stays_in_its_directory() {
    mount_store
    mv "$store" "$WORK/moved"
    mkdir -p "$WORK/elsewhere"
    echo precious >"$WORK/elsewhere/CONTROL"
    ln -s "$WORK/elsewhere" "$store"
    head -c 26000000 /dev/urandom >"$mnt/large"
    md5sum <"$mnt/large" >sum
    echo text >"$mnt/file"
    same text "$("$lsmfs" get "$WORK/moved" file)"
    echo other | "$lsmfs" put "$WORK/moved" file
    same other "$(cat "$mnt/file")"
    mkdir "$mnt/.snapshots/moved"
    umount "$mnt"
    for _ in {1..500}; do
        [ ! -e "$WORK/moved/CLOSED" ] || break
        sleep 0.02
    done
    same CONTROL "$(ls -A "$WORK/elsewhere")"
    same precious "$(cat "$WORK/elsewhere/CONTROL")"
    [ ! -e "$WORK/moved/CONTROL" ]
    rm "$store"
    mv "$WORK/moved" "$store"
    sound
    mount_store
    md5sum <"$mnt/large" | diff sum -
    rmdir "$mnt/.snapshots/moved"
    umount_store
}

# ---- what the daemon holds ----

# inherits_nothing PID: all that it has open is closed in a program that it starts, but for
# /dev/null.
inherits_nothing() {
    local fd flags target count=0
    for fd in "/proc/$1/fd"/*; do
        target=$(readlink "$fd") || continue
        flags=$(sed -n 's/^flags:\t//p' "/proc/$1/fdinfo/${fd##*/}") || continue
        echo "${fd##*/} $flags $target"
        count=$((count + 1))
        [ "$target" = /dev/null ] || [ $((flags & 02000000)) != 0 ]
    done
    [ $count -gt 6 ]
}

# At work, with tables, a log, pipes for contents, a connection and files of the caller's.
closes_on_exec() {
    local own=$WORK/mallory
    exec 8>"$WORK/caller"
    mount_store
    exec 8>&-
    head -c 26000000 /dev/urandom >"$mnt/large"
    cat "$mnt/large" >/dev/null
    inherits_nothing "$(daemon_pid)"
    not grep -q "$WORK/caller" <(readlink "/proc/$(daemon_pid)/fd"/*)
    umount_store
    # Of an ordinary user, who needs fusermount3.
    mallory "$lsmfs" "$own/store" "$own/mnt"
    mallory cat "$own/mnt/file"
    inherits_nothing "$(mallory "$lsmfs" status "$own/store" | sed -n 's/^pid: //p')"
    mallory "$lsmfs" umount "$own/mnt"
}

# What fusermount3 finds open that the daemon starts to unmount: a program of that name tells.
starts_programs_with_nothing() {
    local own=$WORK/mallory pid
    mkdir "$WORK/bin"
    cat >"$WORK/bin/fusermount3" <<END
#!/bin/sh
for fd in /proc/\$\$/fd/*; do readlink "\$fd"; done | grep -v "^$WORK/bin/" >>$own/inherited
PATH=/usr/bin:/bin exec fusermount3 "\$@"
END
    chmod 755 "$WORK/bin/fusermount3"
    mallory env PATH="$WORK/bin:$PATH" "$lsmfs" "$own/store" "$own/mnt"
    mallory cat "$own/mnt/file"
    rm -f "$own/inherited"
    pid=$(mallory "$lsmfs" status "$own/store" | sed -n 's/^pid: //p')
    kill "$pid"
    await_end "$pid"
    [ -z "$(options_of "$own/mnt")" ]
    sort -u "$own/inherited"
    # A pipe is for what it says.
    same "/dev/null pipe" "$(sed "\\|^$own/inherited\$|d; s/^pipe:.*/pipe/" "$own/inherited" |
        sort -u | tr '\n' ' ' | sed 's/ $//')"
}

# ---- the lock ----

# It is the daemon's, who forked and has closed and opened files; nobody who opens and closes the
# lock's file, a child of who started it included, takes it away.
keeps_its_lock() {
    local way
    mkdir -p other
    mount_store
    for way in "cat $store/LOCK" "$lsmfs status $mnt" "flock -n $store/LOCK true" \
        "perl -e 'open F, \"+<\", \"$store/LOCK\" or die; close F'" "cp -a $store copy"; do
        sh -c "$way" >/dev/null 2>&1 || true
        fails_with 3 "mounted at $mnt" "$lsmfs" "$store" "$WORK/other"
        fails_with 3 '' "$lsmfs" "$store" "$WORK/other" -o ro
    done
    # A lock is of the file, not of its name.
    mv "$store/LOCK" "$store/LOCK.old"
    mv "$store/LOCK.old" "$store/LOCK"
    fails_with 3 "mounted at $mnt" "$lsmfs" "$store" "$WORK/other"
    kill_daemon
    # At once.
    "$lsmfs" "$store" "$WORK/other"
    "$lsmfs" umount "$WORK/other"
}

# In a user namespace that somebody made himself he has all capabilities, and none over the files.
# Bug: that they were his was believed, and a set-user-ID file kept its bit with new contents.
strips_in_user_namespaces() {
    local mine=(setpriv --reuid=65533 --regid=65533 --clear-groups) change
    "${mine[@]}" unshare -Ur true 2>/dev/null || return 0
    "$lsmfs" "$WORK/spaces" "$mnt" -o allow_other
    for change in 'echo new >f' 'echo new >>f' 'truncate -s 2 f' \
        'dd if=/dev/zero of=f bs=9 count=1 conv=notrunc status=none' 'fallocate -l 99 f'; do
        echo contents >"$mnt/f"
        chmod 6777 "$mnt/f"
        (cd "$mnt" && "${mine[@]}" unshare -Ur sh -c "$change")
        same "777 after $change" "$(stat -c %a "$mnt/f") after $change"
        rm "$mnt/f"
    done
    umount_store
}

# owned_by ID FOLDER: by nobody else.
owned_by() {
    same '' "$(find "$2" ! \( -uid "$1" -gid "$1" \) -printf '%p of %u:%g\n')"
}

# Bug: root's command on a store of somebody else's, not mounted, left files of root's in it, and its
# owner could not open it any more.
leaves_stores_to_their_owners() {
    local own=$WORK/left store=$WORK/left/store
    folder_of left $mallory_id
    mkdir "$own/mnt" "$own/new"
    chown $mallory_id:$mallory_id "$own/mnt" "$own/new"
    mallory "$lsmfs" create "$store"
    head -c 3000000 /dev/urandom | mallory "$lsmfs" put "$store" file
    echo new | "$lsmfs" put "$store" other
    owned_by $mallory_id "$store"
    "$lsmfs" rm "$store" other
    "$lsmfs" snapshot create "$store" one
    "$lsmfs" compact "$store"
    owned_by $mallory_id "$store"
    mount_store
    head -c 30000000 /dev/urandom >"$mnt/file"
    kill_daemon
    mount_store
    umount_store
    owned_by $mallory_id "$store"
    "$lsmfs" create "$own/new"
    owned_by $mallory_id "$own/new"
    mallory "$lsmfs" check --quiet "$store"
    mallory "$lsmfs" "$store" "$own/mnt"
    mallory sh -c "echo mine >$own/mnt/mine"
    mallory "$lsmfs" umount "$own/mnt"
    same mine "$(mallory "$lsmfs" get "$store" mine)"
}

# No program of ours has rights of its own.
installs_no_rights() {
    same '' "$(find "$BIN" -perm /7000)"
    same '' "$(getcap "$BIN"/* 2>/dev/null)"
}

check "root's mount is private" is_private
check "an ordinary user's mount is private" is_private_to_users
check "capabilities of somebody's own namespace" strips_in_user_namespaces
check "the socket is private in a shared folder" opens_no_socket
check "stores are made private" makes_private_stores
check "permissions are checked whatever the options" checks_permissions
check "nosuid and nodev unless root asks otherwise" gives_no_rights
check "a crafted store gives no rights" trusts_no_store
check "no links are followed" follows_no_links
check "a store that is moved meanwhile" stays_in_its_directory
check "the daemon's files are closed on exec" closes_on_exec
check "fusermount3 inherits nothing" starts_programs_with_nothing
check "the lock stays" keeps_its_lock
check "root leaves a store to its owner" leaves_stores_to_their_owners
check "no program has rights of its own" installs_no_rights
finish
