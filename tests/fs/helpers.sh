#!/bin/bash
#
# helpers.sh - mount(8) and umount(8) with the helpers: fstab, options, exit statuses, remounts,
# dead daemons, as root and as an ordinary user.
#
# mount(8) looks for helpers in /sbin alone.  They are put there for the time of this script, and
# the line of /etc/fuse.conf that one case needs is bound over it, not written.

root=$(realpath "$(dirname "$0")/../..")
# shellcheck source=tests/fs/mounted.bash
. "$root/tests/fs/mounted.bash"
# shellcheck source=tests/fs/readme.bash
. "$root/tests/fs/readme.bash"

names='mount.lsmfs mount.fuse.lsmfs umount.lsmfs umount.fuse.lsmfs'
fstab=$WORK/fstab
user=65534

# ---- what must be undone however this ends ----

clean_up() {
    local name
    for name in $names; do
        [ "$(readlink "/sbin/$name")" != "$WORK/$name" ] || rm -f "/sbin/$name"
    done
    ! grep -q ' /etc/fuse.conf ' /proc/self/mountinfo || umount /etc/fuse.conf
    [ ! -e "$WORK/fuse.acl" ] || setfacl --restore="$WORK/fuse.acl"
}

# Those of an installed lsmfs stay, and are not what is tested.
put_helpers() {
    local name
    for name in $names; do
        ln -s "$lsmfs" "$WORK/$name"
        [ "$(id -u)" = 0 ] || continue
        # A link to nothing was left by a run that was killed.
        [ -e "/sbin/$name" ] || rm -f "/sbin/$name"
        [ -e "/sbin/$name" ] || ln -s "$WORK/$name" "/sbin/$name"
        [ "$(readlink "/sbin/$name")" = "$WORK/$name" ] || not_ours="$not_ours /sbin/$name"
    done
}

# ---- what the checks share ----

helper() {
    "$WORK/mount.lsmfs" "$@"
}

options_of() {
    sed -n "s,^$store $mnt fuse.lsmfs \([^ ]*\) .*,\1,p" /proc/mounts
}

mounted() {
    [ -n "$(options_of)" ]
}

times_mounted() {
    grep -c "^$store " /proc/mounts || true
}

# line OPTIONS [TYPE]: the private fstab has this one line.
line() {
    printf '%s %s %s %s 0 0\n' "$store" "$mnt" "${2:-lsmfs}" "$1" >"$fstab"
}

mount_a() {
    mount -T "$fstab" -a
}

nobody() {
    setpriv --reuid $user --regid $user --clear-groups "$@"
}

make_store() {
    "$lsmfs" "$store" "$mnt"
    echo kept >"$mnt/file"
    mkdir "$mnt/.snapshots/monday"
    echo later >"$mnt/file"
    "$lsmfs" umount "$mnt"
}

# ---- by hand ----

mounts_by_type() {
    local type
    for type in lsmfs fuse.lsmfs; do
        same "lsmfs: $store mounted on $mnt." "$(mount -v -t $type "$store" "$mnt")"
        same later "$(cat "$mnt/file")"
        fails_with 32 "in use by process .* mounted at $mnt" mount -t $type "$store" "$mnt"
        # As systemd has it done.
        same "lsmfs: $mnt unmounted" "$(umount -v -c "$mnt")"
        # Not only unmounted, but closed.
        [ -e "$store/CLOSED" ]
    done
    # Root's umount of an absolute path calls no helper unless /run/mount/utab has the mount,
    # which takes an option that is kept there.
    mount -t lsmfs -o uhelper=lsmfs "$store" "$mnt"
    umount "$mnt"
    [ -e "$store/CLOSED" ]
    mount -n -t lsmfs -r "$store" "$mnt"
    [[ $(options_of) = ro,* ]]
    umount -n "$mnt"
}

# A disk that is missing leaves an empty directory, which must not be taken for a new store.
makes_no_store() {
    mkdir missing-disk
    fails_with 32 'no store is made.*lsmfs ' mount -t lsmfs "$WORK/missing-disk" "$mnt"
    fails_with 32 'no store is made' mount -t lsmfs "$WORK/missing-disk/store" "$mnt"
    same '' "$(ls -A missing-disk)"
}

# Every option that mount(8) knows and that can come to a helper (libmount's tables), by itself,
# and through mount(8).
takes_what_mount_passes() {
    local option
    for option in defaults auto noauto user user=somebody nouser users nousers owner noowner \
        group nogroup _netdev nofail comment=text x-systemd.automount \
        x-systemd.requires-mounts-for=/srv X-mount.mkdir x-gvfs-show uhelper=udisks2 ro rw exec \
        noexec suid nosuid dev nodev sync async dirsync atime noatime diratime nodiratime \
        relatime norelatime strictatime nostrictatime lazytime nolazytime silent loud iversion \
        noiversion mand nomand symfollow nonempty default_permissions allow_other; do
        fails_with 0 '' helper "$store" "$mnt" -o "rw,$option,nosuid" -t lsmfs
        mounted
        fails_with 0 '' "$WORK/umount.lsmfs" "$mnt" -t fuse.lsmfs
    done
    mount -t lsmfs -o defaults,auto,user,users,owner,group,_netdev,nofail,comment=text \
        -o x-a=b,X-c,lazytime,mand,iversion,silent,loud,dirsync,nodiratime "$store" "$mnt"
    umount "$mnt"
}

refuses_what_it_does_not_know() {
    fails_with 1 "unknown option 'bogus'" mount -t lsmfs -o bogus "$store" "$mnt"
    # Swallowed, it would be a hole.
    fails_with 1 "unknown option 'nosymfollow'" mount -t lsmfs -o nosymfollow "$store" "$mnt"
    not mounted
    mount -s -t lsmfs -o bogus,sync "$store" "$mnt"
    umount "$mnt"
    # Wherever -s stands.
    helper "$store" "$mnt" -o bogus -s
    umount "$mnt"
}

fakes() {
    mount -f -t lsmfs "$store" "$mnt"
    not mounted
    fails_with 1 'unknown option' mount -f -t lsmfs -o bogus "$store" "$mnt"
}

enters_a_namespace() {
    helper "$store" "$mnt" -N $$
    mounted
    "$WORK/umount.lsmfs" "$mnt" -N /proc/self/ns/mnt
    not mounted
    fails_with 2 'namespace /nowhere: No such file' helper "$store" "$mnt" -N /nowhere
}

# -o debug would keep lsmfs in the foreground, and mount(8) waiting.
returns_with_debug() {
    fails_with 0 '' timeout 20 mount -t lsmfs -o debug "$store" "$mnt"
    umount "$mnt"
}

odd_names() {
    local odd="$WORK/a store, \\odd \"name\""
    mkdir "$WORK/other point"
    "$lsmfs" "$odd" "$WORK/other point"
    "$lsmfs" umount "$WORK/other point"
    mount -t lsmfs "$odd" "$WORK/other point"
    echo odd >"$WORK/other point/f"
    umount -c "$WORK/other point"
    same odd "$("$lsmfs" get "$odd" f)"
}

# ---- fstab ----

# With its paths below WORK, and the disk taken away when it says so.
readme_session() {
    local base=$WORK/srv/notes
    mkdir -p "$base"
    "$lsmfs" "$base.store" "$base"
    "$lsmfs" umount "$base"
    echo "$base.store  $base  lsmfs  defaults,nofail,uhelper=lsmfs  0  0" >"$fstab"
    mount() {
        command mount -T "$fstab" "$@"
    }
    umount() {
        command umount "$@"
        mv "$base.store" "$base.gone"
    }
    runs_session 'grep lsmfs /etc/fstab' "s,/etc/fstab,$fstab,g; s,/srv/notes,$base,g"
}

mounts_once() {
    line defaults,nofail,x-systemd.automount
    mount_a
    mount_a
    same 1 "$(times_mounted)"
    fails_with 0 'already mounted' mount -T "$fstab" -a -v
    umount "$mnt"
    # By the mount point alone, and with the type that /proc/mounts has.
    line noauto fuse.lsmfs
    mount_a
    not mounted
    mount -T "$fstab" "$mnt"
    mounted
    umount "$mnt"
}

option_ro() {
    line ro
    mount_a
    [[ $(options_of) = ro,* ]]
    fails_with 1 'Read-only' touch "$mnt/new"
    umount "$mnt"
}

# Bug: mount(8) adds rw to what has no ro, and the kernel was told so.
option_snapshot() {
    line snapshot=monday
    mount_a
    mount_a
    same 1 "$(times_mounted)"
    [[ $(options_of) = ro,* ]]
    same kept "$(cat "$mnt/file")"
    fails_with 1 'Read-only' touch "$mnt/new"
    umount "$mnt"
    line snapshot=none
    fails_with 32 'not found: snapshot none' mount_a
}

option_allow_other() {
    line defaults,allow_other
    mount_a
    [[ $(options_of) = *allow_other* ]]
    chmod 755 "$mnt"
    same later "$(nobody cat "$mnt/file")"
    umount "$mnt"
    line defaults
    mount_a
    not nobody cat "$mnt/file"
    umount "$mnt"
}

option_nofail() {
    sed "s,^$store,$WORK/gone/store," <(line nofail && cat "$fstab") >fstab.gone
    fails_with 0 'not there; nothing is mounted' mount -T fstab.gone -a
    not mounted
    sed -i s/nofail/defaults/ fstab.gone
    fails_with 32 'No such file' mount -T fstab.gone -a
}

# ---- other flags ----

remounts() {
    line defaults
    mount_a
    mount -o remount,ro "$mnt"
    [[ $(options_of) = ro,* ]]
    fails_with 1 'Read-only' touch "$mnt/new"
    mount -T "$fstab" -o remount,rw "$mnt"
    [[ $(options_of) = rw,* ]]
    touch "$mnt/new"
    # Bug: mount(8) says suid by not saying nosuid, and it stayed.
    mount -o remount,noexec,suid "$mnt"
    [[ $(options_of) = rw,nodev,noexec,* ]]
    # But a line of fstab that says nothing of it does not take away nosuid.
    mount -o remount,nosuid,exec "$mnt"
    mount -T "$fstab" -o remount,ro "$mnt"
    [[ $(options_of) = ro,nosuid,nodev,relatime,* ]]
    mount -T "$fstab" -o remount,rw "$mnt"
    exec 7>>"$mnt/file"
    fails_with 32 'busy' mount -o remount,ro "$mnt"
    exec 7>&-
    umount "$mnt"
    # The daemon of a mount that was made read-only cannot write.
    line ro
    mount_a
    fails_with 32 'mounted read-only' mount -T "$fstab" -o remount,rw "$mnt"
    umount "$mnt"
    fails_with 32 'not mounted' helper "$store" "$mnt" -o remount,ro
}

unmounts_what_is_in_use() {
    mount -t lsmfs "$store" "$mnt"
    exec 7<"$mnt/file"
    fails_with 32 'in use' umount -c "$mnt"
    mounted
    # -r: at least nothing is written any more.
    fails_with 0 'is read-only now' umount -c -r "$mnt"
    [[ $(options_of) = ro,* ]]
    mount -o remount,rw "$mnt"
    local pid
    pid=$(daemon_pid)
    umount -l "$mnt"
    not mounted
    same later "$(cat <&7)"
    exec 7<&-
    await_end "$pid"
    fails_with 32 'no file system' "$WORK/umount.lsmfs" "$mnt"
}

# ---- dead daemons, and those that do not answer ----

clears_a_dead_mount() {
    mount -t lsmfs "$store" "$mnt"
    echo acknowledged >"$mnt/acknowledged"
    exec 7<"$mnt/file"
    local pid
    pid=$(daemon_pid)
    kill -KILL "$pid"
    await_end "$pid"
    not ls "$mnt"
    fails_with 0 "$mnt: Transport endpoint is not connected: .* of $store has died.*detached" \
        mount -t lsmfs "$store" "$mnt"
    same 1 "$(times_mounted)"
    same acknowledged "$(cat "$mnt/acknowledged")"
    exec 7<&-
    # umount(8) recovers what it takes away.
    pid=$(daemon_pid)
    kill -KILL "$pid"
    await_end "$pid"
    fails_with 0 'had died' umount "$mnt"
    [ -e "$store/CLOSED" ]
}

# A daemon that hangs is waited for by umount, not by umount -f.
forces() {
    mount -t lsmfs "$store" "$mnt"
    local pid
    pid=$(daemon_pid)
    kill -STOP "$pid"
    timeout 20 umount -f "$mnt" || {
        kill -CONT "$pid"
        return 1
    }
    not mounted
    kill -CONT "$pid"
    await_end "$pid"
    same later "$("$lsmfs" get "$store" file)"
}

# Interrupted while it waits for a daemon that does not end; then with the new daemon killed.
# The one who waits is told first: of a daemon that ended by itself it has another status.
interrupted_and_killed() {
    local old new child i status
    for i in INT KILL; do
        mount -t lsmfs "$store" "$mnt"
        old=$(daemon_pid)
        kill -STOP "$old"
        timeout 20 umount -l "$mnt"
        "$WORK/mount.lsmfs" "$store" "$mnt" &
        new=$!
        until child=$(pgrep -P $new); do
            kill -0 $new
            sleep 0.02
        done
        sleep 0.1
        status=0
        if [ $i = INT ]; then
            kill -INT $new "$child"
        else
            kill -KILL "$child"
        fi
        wait $new || status=$?
        kill -CONT "$old"
        await_end "$old"
        [ $i = KILL ] || same 8 $status
        [ $i = INT ] || same 4 $status
    done
    not mounted
}

# ---- exit statuses; 4 and 8 are above, 16 and 64 have no cause here ----

statuses() {
    local table
    fails_with 1 'Usage: mount.lsmfs' helper "$store"
    fails_with 1 'Usage: mount.lsmfs' helper "$store" "$mnt" more
    fails_with 1 'Usage: mount.lsmfs' helper "$store" "$mnt" -z
    fails_with 1 'Usage: umount.lsmfs' "$WORK/umount.lsmfs"
    fails_with 1 'value is expected' helper "$store" "$mnt" -o commit
    fails_with 1 'within' helper "$store" "$store"
    fails_with 32 'No such file' helper "$store" "$WORK/nowhere"
    cp -a "$store" damaged
    for table in damaged/*MANIFEST*; do
        printf 'these bytes do damage' | dd of="$table" bs=1 seek=5 conv=notrunc status=none
    done
    fails_with 32 'damaged' helper damaged "$mnt"
    # No process can be had.
    fails_with 2 'cannot start a daemon' nobody prlimit --nproc=0 "$WORK/mount.lsmfs" \
        "$own/store" "$own/mnt"
}

# ---- an ordinary user ----

own=$WORK/own

by_the_owner_of_the_line() {
    printf '%s %s lsmfs noauto,user,nofail 0 0\n' "$own/store" "$own/mnt" >"$fstab"
    nobody mount -T "$fstab" "$own/mnt"
    grep -q "^$own/store $own/mnt fuse.lsmfs rw,nosuid,nodev,noexec,.*user_id=$user" /proc/mounts
    nobody sh -c "echo mine >'$own/mnt/f'"
    fails_with 1 'Permission denied' cat "$own/mnt/f"
    same $user "$(ps -o uid= -p "$(nobody "$lsmfs" status "$own/store" |
        sed -n 's/^pid: //p')" | tr -d ' ')"
    nobody umount "$own/mnt"
    same mine "$(nobody "$lsmfs" get "$own/store" f)"
    # Without such a line mount(8) gives up the rights of root, too, and lets the helper try.
    nobody mount -t lsmfs "$own/store" "$own/mnt"
    same mine "$(nobody cat "$own/mnt/f")"
    nobody umount "$own/mnt"
    nobody "$lsmfs" check -q "$own/store"
}

by_the_helper_itself() {
    fails_with 0 'mounted on' nobody "$WORK/mount.lsmfs" "$own/store" "$own/mnt" -v
    same mine "$(nobody cat "$own/mnt/f")"
    nobody "$WORK/umount.lsmfs" "$own/mnt"
    # Not where the user may not write.
    mkdir roots
    fails_with 1 'cannot mount at' nobody "$WORK/mount.lsmfs" "$own/store" "$WORK/roots"
    # Nor a store that the user may not read.
    chmod 700 "$store"
    fails_with 1 'Permission denied' nobody "$WORK/mount.lsmfs" "$store" "$own/mnt"
}

# The advice is followed to the letter.
allow_other_for_users() {
    local advice
    printf 'mount_max = 100\n# user_allow_other\n' >fuse.conf
    chmod 644 fuse.conf
    mount --bind "$WORK/fuse.conf" /etc/fuse.conf
    fails_with 1 '' nobody "$WORK/mount.lsmfs" "$own/store" "$own/mnt" -o allow_other |
        tee said
    advice=$(sed -n 's/.*allow_other is for root alone.*as root: `\(.*\)`$/\1/p' said)
    [ -n "$advice" ]
    sh -c "$advice"
    fails_with 0 '' nobody "$WORK/mount.lsmfs" "$own/store" "$own/mnt" -o allow_other
    chmod 755 "$own"
    ls "$own/mnt"
    nobody "$WORK/umount.lsmfs" "$own/mnt"
    umount /etc/fuse.conf
}

dead_mount_of_a_user() {
    nobody "$WORK/mount.lsmfs" "$own/store" "$own/mnt"
    local pid
    pid=$(nobody "$lsmfs" status "$own/store" | sed -n 's/^pid: //p')
    kill -KILL "$pid"
    await_end "$pid"
    fails_with 0 'has died.*detached' nobody "$WORK/mount.lsmfs" "$own/store" "$own/mnt"
    same mine "$(nobody cat "$own/mnt/f")"
    nobody "$WORK/umount.lsmfs" "$own/mnt"
}

# ---- words and tables ----

# Each option of options.c that is not refused is in a man page, and each that the help names is taken.
help_and_options_agree() {
    local option pages
    pages=$(sed 's/\\-/-/g; s/\\f[BIR]//g' "$root"/mount-helpers/{lsmfs.5,mount.lsmfs.8})
    sed -n '/^} settings\[\] = {/,/^};/p; /passed\[\] = {/,/^};/p; /ignored\[\] = {/,/^};/p
        /^set_flag/,/^}/p' "$root/fs/daemon/options.c" | grep -v 'refuse_' | grep -o '"[a-z_]*"' | tr -d '"' >options
    [ "$(wc -l <options)" -gt 50 ]
    while read -r option; do
        grep -qw -- "$option" <<<"$pages" || {
            echo "no man page has $option"
            return 1
        }
    done <options
    "$lsmfs" --help | sed -n '/^Options:/,/^$/s/^  \([a-z_].*\)$/\1/p' |
        sed 's/  .*//; s/, / /g; s/SECONDS/1/; s/NAME/monday/; s/USER\|GROUP/0/g; s/MASK/022/; s/LEVEL/info/; s/SIZE/64M/' | tr ' ' '\n' >named
    [ "$(wc -l <named)" -gt 10 ]
    while read -r option; do
        helper "$store" "$mnt" -f -o "$option"
    done <named
}

not_ours=''
trap clean_up EXIT
chmod 755 "$WORK"
put_helpers
alone "a store" make_store
if [ "$(id -u)" = 0 ]; then
    [ -z "$not_ours" ] || alone "helpers of this build in place of:$not_ours" false
    alone "mount -t lsmfs, mount -t fuse.lsmfs, umount" mounts_by_type
    alone "no store is made" makes_no_store
    alone "all options of mount(8)" takes_what_mount_passes
    alone "other options, and -s" refuses_what_it_does_not_know
    alone "-f of mount" fakes
    alone "-N" enters_a_namespace
    alone "-o debug" returns_with_debug
    alone "odd names" odd_names
    alone "mount -a mounts once" mounts_once
    alone "fstab: the README's session" readme_session
    alone "fstab: ro" option_ro
    alone "fstab: snapshot=" option_snapshot
    alone "fstab: allow_other" option_allow_other
    alone "fstab: nofail" option_nofail
    alone "mount -o remount" remounts
    alone "umount of what is in use, -r, -l" unmounts_what_is_in_use
    alone "a dead mount" clears_a_dead_mount
    alone "umount -f" forces
    alone "interrupted, killed" interrupted_and_killed
    fuse_for $user
    trap clean_up EXIT
    mkdir "$own"
    chown $user:$user "$own"
    alone "a user's store" nobody sh -c "mkdir '$own/mnt' && '$lsmfs' '$own/store' '$own/mnt' &&
        '$lsmfs' umount '$own/mnt'"
    alone "exit statuses" statuses
    alone "fstab: user, and no line at all, as a user" by_the_owner_of_the_line
    alone "mount.lsmfs as an ordinary user" by_the_helper_itself
    alone "allow_other without user_allow_other" allow_other_for_users
    alone "a user's dead mount" dead_mount_of_a_user
else
    # mount(8) is for root, the helper for everybody.
    alone "the helper" fails_with 0 'mounted on' helper "$store" "$mnt" -v
    alone "umount" "$WORK/umount.lsmfs" "$mnt"
fi
alone "help, man pages and options" help_and_options_agree
finish
