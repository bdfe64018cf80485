#!/bin/bash
#
# killed.sh - daemons killed while a thread of theirs waits in the kernel for pages of a shared
# mapping to be written, which the others would have answered.  Such a daemon does not end by itself,
# keeps the store, and lets wait whoever looks at its mount; so each call here has a limit of time.

# shellcheck source=tests/fs/mounted.bash
. "$(dirname "$0")/mounted.bash"

connections=/sys/fs/fuse/connections
user=65534 # nobody
own=$WORK/own
unset LSMFS_MOUNT

# Ends what a failed test leaves.
end_all() {
    local device point
    while read -r device point; do
        echo 1 >"$connections/${device#*:}/abort"
        umount -l "$point" || fusermount3 -uz "$point"
    done < <(awk -v below="$WORK/" 'index($5, below) == 1 { print $3, $5 }' /proc/self/mountinfo)
} 2>/dev/null

clean_up() {
    end_all
    [ ! -e "$WORK/fusectl" ] || umount $connections
    [ ! -e "$WORK/fuse.acl" ] || setfacl --restore="$WORK/fuse.acl"
}
trap clean_up EXIT

stranded() {
    check "$@"
    end_all
}

mount_control() {
    mountpoint -q $connections || {
        mount -t fusectl none $connections
        : >"$WORK/fusectl"
    }
}

cat >strand.py <<'END_OF_PROGRAM'
import mmap, os, signal, sys, time
path, pid = sys.argv[1], int(sys.argv[2])
size = 4 << 20


def states():
    told = ""
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/stat") as file:
            told += file.read().rsplit(")", 1)[1].split()[0]
    return told


# Stopped, the daemon answers nothing; the thread that waits in the kernel waits on.
for i in range(400):
    fd = os.open(f"{path}{i}", os.O_RDWR | os.O_CREAT)
    os.ftruncate(fd, size)
    memory = mmap.mmap(fd, size)
    for at in range(0, size, mmap.PAGESIZE):
        memory[at] = 1
    child = os.fork()
    if child == 0:
        try:
            os.lseek(fd, 0, os.SEEK_DATA)
        finally:
            os._exit(0)
    time.sleep(0.001 + i % 10 * 0.0005)
    os.kill(pid, signal.SIGSTOP)
    time.sleep(0.02)
    if "D" in states():
        os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)
        with open("strand.seen", "w") as seen:
            seen.write("D" if "D" in states() else "ended")
        os.waitpid(child, 0)
        sys.exit(0)
    os.kill(pid, signal.SIGCONT)
    os.waitpid(child, 0)
    memory.close()
    os.close(fd)
    os.unlink(f"{path}{i}")
END_OF_PROGRAM

# strand [COMMAND...]: mounts, and strands the daemon; `pid` is its process, `program` one that waits as
# well.  COMMAND runs what an ordinary user would.
strand() {
    "$@" "$lsmfs" "$store" "$mnt"
    echo kept | "$@" tee "$mnt/kept" >/dev/null
    pid=$("$@" "$lsmfs" status "$store" | sed -n 's/^pid: //p')
    rm -f strand.seen
    "$@" /usr/bin/python3 "$WORK/strand.py" "$mnt/mapped" "$pid" &
    program=$!
    until [ -s strand.seen ]; do
        kill -0 $program
        sleep 0.01
    done
    same D "$(cat strand.seen)"
}

# Everything that waited has ended, and the store has what was acknowledged.
nothing_waits() {
    await_end "$pid"
    await_end $program
    same kept "$("$@" "$lsmfs" get "$store" kept)"
    sound
}

limited() {
    timeout -k 1 20 "$@"
}

umounted() {
    strand
    fails_with 0 'had died; the store is recovered' limited "$lsmfs" umount "$mnt"
    not grep " $mnt " /proc/self/mountinfo
    nothing_waits
}

mounted_over() {
    strand
    fails_with 0 "$mnt: .* has died; that mount is detached" limited "$lsmfs" "$store" "$mnt"
    same 1 "$(grep -c " $mnt " /proc/self/mountinfo)"
    same kept "$(cat "$mnt/kept")"
    "$lsmfs" umount "$mnt"
    nothing_waits
}

mounted_elsewhere() {
    mkdir -p other
    strand
    limited "$lsmfs" "$store" other
    same kept "$(cat other/kept)"
    "$lsmfs" umount other
    fails_with 0 '' limited umount "$mnt"
    nothing_waits
}

# A command finds the store free again.
commanded() {
    strand
    limited "$lsmfs" check --quiet "$store"
    fails_with 0 '' limited "$lsmfs" umount "$mnt"
    nothing_waits
}

remounted() {
    ln -sf "$lsmfs" mount.lsmfs
    strand
    fails_with 32 'not connected' limited ./mount.lsmfs "$store" "$mnt" -o remount,ro
    fails_with 0 '' limited "$lsmfs" umount "$mnt"
    nothing_waits
}

taken_away_lazily() {
    ln -sf "$lsmfs" umount.lsmfs
    strand
    limited ./umount.lsmfs -l "$mnt"
    nothing_waits
}

# Root does without the control file system.
umounted_without_control() {
    strand
    fails_with 0 'No such file.*|had died; the store is recovered' unshare -m sh -c \
        "umount $connections && exec timeout -k 1 20 '$lsmfs' umount '$mnt'"
    umount "$mnt"
    nothing_waits
}

# A daemon that only does not answer is left alone, whatever looks at it.
stopped() {
    mount_store
    pid=$(daemon_pid)
    kill -STOP "$pid"
    fails_with 124 '' timeout 2 "$lsmfs" status "$store"
    kill -CONT "$pid"
    echo alive >"$mnt/alive"
    "$lsmfs" umount "$mnt"
}

nobody() {
    setpriv --reuid $user --regid $user --clear-groups "$@"
}

# Who mounted it may end it.
umounted_by_a_user() {
    store=$own/store mnt=$own/mnt
    cd "$own"
    strand nobody
    fails_with 0 'had died; the store is recovered' nobody timeout -k 1 20 "$lsmfs" umount "$mnt"
    nothing_waits nobody
}

if [ "$(id -u)" = 0 ]; then
    mount_control
fi
if ! mountpoint -q $connections; then
    echo "ok - all # SKIP nothing is mounted at $connections"
    finish
fi
stranded "umount" umounted
stranded "mounted over it" mounted_over
stranded "mounted elsewhere" mounted_elsewhere
stranded "another command" commanded
stranded "mount -o remount" remounted
stranded "umount -l" taken_away_lazily
stranded "only stopped" stopped
if [ "$(id -u)" = 0 ]; then
    stranded "without the control file system" umounted_without_control
    chmod 755 "$WORK"
    mkdir -p "$own/mnt"
    chown -R $user:$user "$own"
    fuse_for $user
    trap clean_up EXIT
    stranded "as an ordinary user" umounted_by_a_user
fi
finish
