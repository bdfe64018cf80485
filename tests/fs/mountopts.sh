#!/bin/bash
#
# mountopts.sh - options, messages, exit statuses, locking, signals, and the daemon's death.

# shellcheck source=tests/fs/mounted.bash
. "$(dirname "$0")/mounted.bash"

mounted() {
    grep -q " $mnt fuse.lsmfs " /proc/mounts
}

# ---- what needs no mount ----

helps() {
    "$lsmfs" --help | grep -q 'commit=SECONDS'
    "$lsmfs" --version | grep -qE '^lsmfs [0-9]+\.[0-9]+.*libfuse 3'
    local command
    for command in umount status sync put get rm ls snapshot backup; do
        "$lsmfs" $command --help | grep -q "^Usage: lsmfs $command"
    done
}

refuses_bad_lines() {
    fails_with 2 'Usage' "$lsmfs"
    fails_with 2 'store and a mount point' "$lsmfs" "$store"
    fails_with 2 'store and a mount point' "$lsmfs" "$store" "$mnt" more
    fails_with 2 "unknown option 'nonsense'" "$lsmfs" "$store" "$mnt" -o ro,nonsense
    fails_with 2 "unknown option '-x'" "$lsmfs" -x "$store" "$mnt"
    fails_with 2 'commit=soon' "$lsmfs" "$store" "$mnt" -o commit=soon
    fails_with 2 'commit=0' "$lsmfs" "$store" "$mnt" -o commit=0
    fails_with 2 'value is expected' "$lsmfs" "$store" "$mnt" -o commit
    fails_with 2 'uid=nobody-at-all' "$lsmfs" "$store" "$mnt" -o uid=nobody-at-all
    fails_with 2 'gid=-1' "$lsmfs" "$store" "$mnt" -o gid=-1
    fails_with 2 'umask=9' "$lsmfs" "$store" "$mnt" -o umask=9
    fails_with 2 'contradict' "$lsmfs" "$store" "$mnt" -o acl,umask=022
    fails_with 2 "visible" "$lsmfs" "$store" "$mnt" -o snapdir=maybe
    fails_with 2 "auto_unmount" "$lsmfs" "$store" "$mnt" -o auto_unmount
    fails_with 2 'within' "$lsmfs" "$WORK" "$mnt"
    fails_with 2 'within' "$lsmfs" "$mnt/store" "$mnt"
    [ ! -e "$store" ]
}

refuses_bad_places() {
    fails_with 6 'No such file' "$lsmfs" "$store" "$WORK/nowhere"
    : >plain
    fails_with 6 'Not a directory' "$lsmfs" "$store" "$WORK/plain"
    [ ! -e "$store" ]
    mkdir full
    echo mine >full/precious
    fails_with 4 'not a store' "$lsmfs" full "$mnt"
    same precious "$(ls full)"
    fails_with 4 '' "$lsmfs" "$WORK/plain" "$mnt"
    fails_with 4 '' "$lsmfs" "$WORK/absent" "$mnt" -o ro
    [ ! -e absent ]
    not mounted
}

makes_a_store() {
    mkdir empty
    "$lsmfs" empty "$mnt"
    mounted
    umount_store
    "$lsmfs" "$WORK/brand-new" "$mnt"
    umount_store
    [ -e brand-new/LOCK ]
}

# Damage is reported, not mounted.
refuses_a_damaged_store() {
    cp -a empty damaged
    local file
    for file in damaged/*MANIFEST*; do
        printf 'XXXXXXXXXXXXXXXXXXXX' | dd of="$file" bs=1 seek=5 conv=notrunc status=none
    done
    fails_with 4 'damaged' "$lsmfs" damaged "$mnt"
    not mounted
}

refuses_without_permission() {
    [ "$(id -u)" = 0 ] || return 0
    cp -a empty private
    chmod 700 private
    chmod 755 "$WORK"
    mkdir -p user-mnt
    chmod 777 user-mnt
    fails_with 5 'Permission denied' setpriv --reuid 65534 --clear-groups "$lsmfs" \
        "$WORK/private" "$WORK/user-mnt"
}

# ---- locking ----

says_who_has_it() {
    mount_store
    local pid
    pid=$(daemon_pid)
    mkdir -p other
    fails_with 3 "process $pid.*mounted at $mnt" "$lsmfs" "$store" "$WORK/other"
    mounted
}

waits_for_a_closing_holder() {
    # Right behind umount(8), which does not wait for the daemon.
    local i
    for i in {1..10}; do
        head -c 2000000 /dev/urandom >"$mnt/file$i"
        umount "$mnt"
        mount_store
        same 2000000 "$(stat -c %s "$mnt/file$i")"
    done
}

lock_is_free_after_umount() {
    local i
    for i in {1..10}; do
        head -c 1000000 /dev/zero >"$mnt/zeros"
        umount_store
        "$lsmfs" ls "$store" >/dev/null
        mount_store
    done
}

umount_says_busy() {
    exec 7>"$mnt/open"
    fails_with 1 'in use' "$lsmfs" umount "$mnt"
    mounted
    echo still >&7
    exec 7>&-
    same still "$(cat "$mnt/open")"
    fails_with 6 'no file system' "$lsmfs" umount "$WORK/other"
}

shows_status() {
    "$lsmfs" status "$mnt" | grep -q "^store: $store$"
    same "$mnt" "$(status mounted_at)"
    same read-write "$(status mode)"
    kill -0 "$(daemon_pid)"
    fails_with 1 'not mounted' "$lsmfs" status "$WORK/empty"
    fails_with 1 'not mounted' "$lsmfs" sync "$WORK/empty"
    same 600 "$(stat -c %a "$store/CONTROL")"
}

# ---- the end ----

ends_by_signal() {
    local signal pid
    for signal in TERM INT HUP; do
        mounted || mount_store
        echo $signal >"$mnt/signal"
        pid=$(daemon_pid)
        kill -$signal "$pid"
        await_end "$pid"
        not mounted
        mount_store
        same $signal "$(cat "$mnt/signal")"
    done
}

ends_by_signal_though_in_use() {
    local pid
    exec 7>"$mnt/held"
    # Hand the lead of the daemon's loop around: once its end waited for a thread that itself
    # waited for the reading one.
    for _ in {1..20}; do
        sync "$mnt/held" &
        sync "$mnt/held"
    done
    wait
    echo written >&7
    pid=$(daemon_pid)
    kill -TERM "$pid"
    await_end "$pid"
    not mounted
    not echo more >&7
    exec 7>&- || true
    mount_store
    same written "$(cat "$mnt/held")"
}

stays_in_the_foreground() {
    umount_store
    "$lsmfs" -f "$store" "$mnt" &
    local pid=$!
    await_mount
    same "$pid" "$(daemon_pid)"
    kill -INT $pid
    wait $pid
    not mounted
}

death_is_explained() {
    mount_store
    echo acknowledged >"$mnt/acknowledged"
    local pid
    pid=$(daemon_pid)
    kill -KILL "$pid"
    await_end "$pid"
    # A call that the death finds under way is ECONNABORTED.
    fails_with 1 'not connected|connection abort' cat "$mnt/acknowledged"
    fails_with 0 "not connected: .* of $store has died.*detached" "$lsmfs" "$store" "$mnt"
    same 1 "$(grep -c " $mnt fuse.lsmfs " /proc/mounts)"
    same acknowledged "$(cat "$mnt/acknowledged")"
    # By hand.
    pid=$(daemon_pid)
    kill -KILL "$pid"
    await_end "$pid"
    fusermount3 -u "$mnt"
    mount_store
    same acknowledged "$(cat "$mnt/acknowledged")"
    # lsmfs umount clears such a mount away as well.
    pid=$(daemon_pid)
    kill -KILL "$pid"
    await_end "$pid"
    fails_with 0 'had died' "$lsmfs" umount "$mnt"
    not mounted
    mount_store
    same acknowledged "$(cat "$mnt/acknowledged")"
}

# ---- options ----

option_ro() {
    remount -o ro
    same acknowledged "$(cat "$mnt/acknowledged")"
    fails_with 1 'Read-only' touch "$mnt/new"
    fails_with 1 'Read-only' rm "$mnt/acknowledged"
    umount_store
    find "$store" -type f ! -name LOCK -exec md5sum {} + | sort >sums
    mount_store -o ro
    cat "$mnt/acknowledged" >/dev/null
    # Two may read at once, none may write meanwhile.
    "$lsmfs" "$store" other -o ro
    same acknowledged "$(cat other/acknowledged)"
    fails_with 3 'being read' "$lsmfs" "$store" other
    "$lsmfs" umount other
    umount_store
    # Free at once, for those who wait for nobody.
    "$lsmfs" ls "$store" >/dev/null
    find "$store" -type f ! -name LOCK -exec md5sum {} + | sort | diff sums -
    mount_store
}

option_sync() {
    local before
    case ,${LSMFS_MOUNT:-}, in
    *,writeback_cache,*)
        umount_store
        fails_with 2 'sync and writeback_cache contradict' mount_store -o sync
        mount_store
        return
        ;;
    esac
    remount -o sync
    before=$(status log_syncs)
    for i in {1..20}; do echo "$i" >"$mnt/synced$i"; done
    [ $(($(status log_syncs) - before)) -ge 40 ]
    remount
}

option_commit() {
    remount -o commit=0.05
    local before
    before=$(status log_syncs)
    echo x >"$mnt/x"
    sleep 0.5
    [ "$(status log_syncs)" -gt "$before" ]
    remount -o commit=600
    # The first file of a mount reserves inode numbers, durably.
    echo first >"$mnt/first"
    before=$(status log_syncs)
    echo y >"$mnt/y"
    sleep 1.5
    same "$before" "$(status log_syncs)"
    "$lsmfs" sync "$mnt"
    [ "$(status log_syncs)" -gt "$before" ]
    remount
}

option_loglevel() {
    remount >said 2>&1
    same '' "$(cat said)"
    remount -o loglevel=info >said 2>&1
    grep -q '^lsmfs: recovery: clean close; ' said
    kill_daemon
    mount_store >said 2>&1
    grep -q '^lsmfs: recovery: unclean stop; ' said
    kill_daemon
    mount_store -o loglevel=error >said 2>&1
    same '' "$(cat said)"
    fails_with 2 'loglevel=loud' "$lsmfs" "$store" "$mnt" -o loglevel=loud
    remount
}

option_allow_other() {
    [ "$(id -u)" = 0 ] || return 0
    echo public >"$mnt/public"
    chmod 755 "$mnt"
    echo secret >"$mnt/secret"
    chmod 600 "$mnt/secret"
    fails_with 1 'Permission denied' setpriv --reuid 65534 --clear-groups cat "$mnt/public"
    remount -o allow_other
    same public "$(setpriv --reuid 65534 --clear-groups cat "$mnt/public")"
    fails_with 1 'Permission denied' setpriv --reuid 65534 --clear-groups cat "$mnt/secret"
    remount
}

options_passed_through() {
    cp /bin/true "$mnt/true"
    remount -o noexec,nosuid,nodev,rw,defaults,nofail,x-systemd.automount
    grep " $mnt " /proc/mounts | grep -q noexec
    fails_with 126 '' "$mnt/true"
    remount -o suid,dev
    "$mnt/true"
    not sh -c "grep ' $mnt ' /proc/mounts | grep -qE 'nosuid|nodev'"
    remount
}

# Bug: libfuse refused it.
option_nodiratime() {
    local before
    mkdir "$mnt/listed"
    echo text >"$mnt/listed/file"
    remount -o nodiratime
    before=$(stat -c %x "$mnt/listed/file" "$mnt/listed")
    sleep 0.05
    ls "$mnt/listed"
    same "$(tail -n 1 <<<"$before")" "$(stat -c %x "$mnt/listed")"
    cat "$mnt/listed/file"
    not same "$(head -n 1 <<<"$before")" "$(stat -c %x "$mnt/listed/file")"
    remount -o diratime
    ls "$mnt/listed"
    not same "$(tail -n 1 <<<"$before")" "$(stat -c %x "$mnt/listed")"
    remount
}

# reads_count YES|NO: a file, a directory and a link, read twice, get a new access time each time.
reads_count() {
    local before after i
    for _ in 1 2; do
        before=$(stat -c %x "$mnt/timed/file" "$mnt/timed" "$mnt/timed/link")
        sleep 0.05
        cat "$mnt/timed/file"
        ls "$mnt/timed"
        readlink "$mnt/timed/link"
        after=$(stat -c %x "$mnt/timed/file" "$mnt/timed" "$mnt/timed/link")
        for i in 1 2 3; do
            if [ "$(sed -n "${i}p" <<<"$before")" = "$(sed -n "${i}p" <<<"$after")" ]; then
                same "$1" NO
            else
                same "$1" YES
            fi
        done
    done
}

# Times in the past, so that relatime would count the first read.
options_atime() {
    mkdir "$mnt/timed"
    echo text >"$mnt/timed/file"
    ln -s file "$mnt/timed/link"
    remount -o noatime
    touch -h -a -d '2020-01-01' "$mnt/timed/file" "$mnt/timed" "$mnt/timed/link"
    reads_count NO
    remount -o strictatime
    reads_count YES
    # Now they are later than any change, and of today.
    remount
    reads_count NO
    touch -a -d '2020-01-01' "$mnt/timed/file"
    remount # what the kernel has kept is read without
    cat "$mnt/timed/file"
    [[ $(stat -c %x "$mnt/timed/file") != 2020-* ]]
}

option_shown() {
    [ "$(id -u)" = 0 ] || return 0
    "$lsmfs" "$WORK/shown" "$mnt"
    mkdir "$mnt/dir"
    echo contents >"$mnt/dir/file"
    chmod 4600 "$mnt/dir/file"
    ln -s file "$mnt/dir/link"
    mkdir "$mnt/.snapshots/kept"
    umount_store
    "$lsmfs" "$WORK/shown" "$mnt" -o allow_other,uid=65533,gid=games,umask=027
    local games
    games=$(id -g games)
    same "65533 $games 750" "$(stat -c '%u %g %a' "$mnt")"
    same "65533 $games 750" "$(stat -c '%u %g %a' "$mnt/dir/file")"
    same "65533 $games 777" "$(stat -c '%u %g %a' "$mnt/dir/link")"
    same "65533 $games 750" "$(stat -c '%u %g %a' "$mnt/.snapshots/kept/dir/file")"
    # What is shown is what counts, as a listing has it too.
    same "65533 $games 750" "$(find "$mnt/dir" -name file -printf '%U %G %m')"
    setpriv --reuid=65533 --regid=65533 --clear-groups sh -c "echo more >>'$mnt/dir/file'"
    setpriv --reuid=65532 --regid="$games" --clear-groups cat "$mnt/dir/file" >/dev/null
    not setpriv --reuid=65532 --regid="$games" --clear-groups sh -c "echo >>'$mnt/dir/file'" 2>/dev/null
    not setpriv --reuid=65532 --regid=65532 --clear-groups cat "$mnt/dir/file" 2>/dev/null
    # No change that would not show.
    chmod 750 "$mnt/dir/file"
    chown "65533:$games" "$mnt/dir/file"
    not chmod 700 "$mnt/dir/file" 2>/dev/null
    not chown 0 "$mnt/dir/file" 2>/dev/null
    not chown ":0" "$mnt/dir/file" 2>/dev/null
    touch -d 2001-01-01T00:00:00Z "$mnt/dir/file"
    umount_store
    # Who is shown as the owner makes no program of the real one's (bug: he did).
    "$lsmfs" "$WORK/shown" "$mnt" -o allow_other,suid,uid=65533
    not setpriv --reuid=65533 --regid=65533 --clear-groups chmod 4755 "$mnt/dir/file" 2>/dev/null
    setpriv --reuid=65533 --regid=65533 --clear-groups chmod 600 "$mnt/dir/file"
    setpriv --reuid=65533 --regid=65533 --clear-groups sh -c "echo new >'$mnt/dir/new'"
    touch -d 2001-01-01T00:00:00Z "$mnt/dir/file"
    umount_store
    "$lsmfs" "$WORK/shown" "$mnt"
    # Set-user-ID went with the stranger's write.
    same '0 0 600 2001' "$(stat -c '%u %g %a %y' "$mnt/dir/file" | cut -c1-12)"
    same "contents more" "$(tr '\n' ' ' <"$mnt/dir/file" | sed 's/ $//')"
    same 65533 "$(stat -c %u "$mnt/dir/new")"
    umount_store
}

debug_prints_requests() {
    umount_store
    "$lsmfs" -d "$store" "$mnt" 2>trace &
    local pid=$!
    await_mount
    ls "$mnt" >/dev/null
    umount_store
    wait $pid
    grep -q 'opcode: INIT' trace
    grep -q 'opcode: LOOKUP\|opcode: READDIRPLUS' trace
    mount_store
}

# A descriptor that the daemon keeps would keep its opener waiting.
keeps_nothing_open() {
    umount_store
    same returned "$("$lsmfs" "$store" "$mnt" && echo returned)"
    (
        flock -n 8
        umount_store
        mount_store
    ) 8>lockfile
    flock -n lockfile true
    local link
    for link in 0 1 2; do
        same /dev/null "$(readlink "/proc/$(daemon_pid)/fd/$link")"
    done
    same / "$(readlink "/proc/$(daemon_pid)/cwd")"
}

# nobody COMMAND...: as a user without rights.
nobody() {
    setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
}

ordinary_user() {
    [ "$(id -u)" = 0 ] || return 0
    local own=$WORK/own pid
    mkdir "$own" other-root
    chown 65534:65534 "$own"
    nobody mkdir "$own/mnt"
    nobody "$lsmfs" "$own/store" "$own/mnt"
    nobody sh -c "echo mine >'$own/mnt/file'"
    # Without allow_other not even root gets in.
    fails_with 1 'Permission denied' cat "$own/mnt/file"
    nobody "$lsmfs" umount "$own/mnt"
    fails_with 5 '' nobody "$lsmfs" "$own/store" "$WORK/other-root"
    nobody "$lsmfs" "$own/store" "$own/mnt"
    pid=$(nobody "$lsmfs" status "$own/store" | sed -n 's/^pid: //p')
    kill "$pid"
    await_end "$pid"
    same mine "$(nobody "$lsmfs" get "$own/store" file)"
}

# A bind mount is unmounted by itself; the daemon goes on until the last of them has gone.
bind_mounts() {
    [ "$(id -u)" = 0 ] || return 0
    local pid
    mkdir -p bound
    mount --bind "$mnt" bound
    echo through >bound/through
    same through "$(cat "$mnt/through")"
    "$lsmfs" umount bound
    mounted
    same through "$(cat "$mnt/through")"
    pid=$(daemon_pid)
    mount --bind "$mnt" bound
    umount "$mnt"
    same through "$(cat bound/through)"
    umount bound
    await_end "$pid"
    mount_store
}

# It waited for ever for the end of a session that was mounted elsewhere, too.
bound_elsewhere() {
    [ "$(id -u)" = 0 ] || return 0
    local pid
    mounted || mount_store
    pid=$(daemon_pid)
    mkdir -p bound
    mount --bind "$mnt" bound
    fails_with 1 "still mounted at $WORK/bound" timeout 10 "$lsmfs" umount "$mnt"
    not mounted
    echo bound >bound/still
    "$lsmfs" umount bound
    await_end "$pid"
    mount_store
    same bound "$(cat "$mnt/still")"
}

# A signal took away what was mounted over it.
ends_beneath_another_mount() {
    [ "$(id -u)" = 0 ] || return 0
    local pid
    mounted || mount_store
    echo beneath >"$mnt/beneath"
    pid=$(daemon_pid)
    mount -t tmpfs none "$mnt"
    kill -TERM "$pid"
    await_end "$pid"
    same tmpfs "$(stat -f -c %T "$mnt")"
    umount "$mnt"
    umount "$mnt" # the dead one
    mount_store
    same beneath "$(cat "$mnt/beneath")"
}

strange_paths() {
    local odd="$WORK/a, store\\with \"odd\" name"
    mkdir -p "$WORK/a mount, point"
    "$lsmfs" "$odd" "$WORK/a mount, point"
    echo fine >"$WORK/a mount, point/file"
    "$lsmfs" status "$odd" | grep -q '^pid'
    "$lsmfs" umount "$WORK/a mount, point"
    same fine "$("$lsmfs" get "$odd" file)"
    # Longer than the address of a socket.
    local long
    long=$WORK/$(printf 'l%.0s' {1..200})
    "$lsmfs" "$long" other
    "$lsmfs" umount other
}

[ "$(id -u)" != 0 ] || fuse_for 65534
check "help and version" helps
check "bad command lines" refuses_bad_lines
check "bad places" refuses_bad_places
check "a store is made where nothing is" makes_a_store
check "a damaged store" refuses_a_damaged_store
check "no permission" refuses_without_permission
check "a locked store: by whom, and where" says_who_has_it
check "a closing holder is waited for" waits_for_a_closing_holder
check "the lock is free when lsmfs umount returns" lock_is_free_after_umount
check "a mount in use is not unmounted" umount_says_busy
check "status and control socket" shows_status
check "SIGTERM, SIGINT, SIGHUP unmount" ends_by_signal
check "SIGTERM unmounts even what is in use" ends_by_signal_though_in_use
check "-f" stays_in_the_foreground
check "the daemon's death" death_is_explained
check "-o ro" option_ro
check "-o sync" option_sync
check "-o commit" option_commit
check "-o loglevel" option_loglevel
check "-o allow_other" option_allow_other
check "options for the kernel and for others" options_passed_through
check "-o uid, gid, umask" option_shown
check "-o nodiratime" option_nodiratime
check "-o noatime, strictatime, and neither" options_atime
check "-d" debug_prints_requests
check "the daemon keeps nothing of its caller" keeps_nothing_open
check "an ordinary user" ordinary_user
check "bind mounts" bind_mounts
check "unmounted while bound elsewhere" bound_elsewhere
check "ended beneath another mount" ends_beneath_another_mount
check "strange and long paths" strange_paths
check "unmounts" umount_store
finish
