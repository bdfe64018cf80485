#!/bin/bash
#
# whole.sh - the file system as a whole: df, du, find, programs run from it, no space, remounted
# read-only, bound, beneath overlays and loop devices, locks, swap, and snapshots dropped under
# who stands in them.

# shellcheck source=tests/fs/mounted.bash
. "$(dirname "$0")/mounted.bash"
# shellcheck source=tests/fs/trees.bash
. "$(dirname "$0")/trees.bash"

options=(-o "acl,suid,dev")

# ---- what it says of itself ----

shows_its_space() {
    local size used free beneath_free
    read -r size used free < <(df -B1 --output=size,used,avail "$mnt" | tail -n 1)
    [ $((used + free)) -le "$size" ]
    # Of the file system beneath, less the reserve; others write there meanwhile.
    beneath_free=$(df -B1 --output=avail "$WORK" | tail -n 1)
    [ "$free" -gt $((beneath_free - (2 << 30))) ]
    [ "$free" -lt $((beneath_free + (2 << 30))) ]
    same "$store fuse.lsmfs $mnt" \
        "$(df --output=source,fstype,target "$mnt" | tail -n 1 | tr -s ' ')"
    same "$mnt" "$(stat -c %m "$mnt")"
    stat -f "$mnt" | grep 'Type: fuse'
    same "$mnt fuse.lsmfs $store" "$(findmnt -n -o TARGET,FSTYPE,SOURCE "$mnt" | tr -s ' ')"
    mountpoint -q "$mnt"
}

# A store of which all was removed gets small by itself, though the disk has space.
gives_back_what_was_removed() {
    local i
    mkdir "$mnt/removed"
    head -c 40M /dev/urandom | split -a 3 -b 64K - "$mnt/removed/file"
    "$lsmfs" sync "$mnt"
    [ "$(du -s -B1 "$store" | cut -f 1)" -gt $((40 << 20)) ]
    rm -r "$mnt/removed"
    for i in {1..60}; do
        [ "$(du -s -B1 "$store" | cut -f 1)" -gt $((10 << 20)) ] || return 0
        sleep 1
    done
    ls -l "$store"
    return 1
}

# All that du counts: names once, by apparent size and by inodes; and blocks of files that fill
# theirs.
uses() {
    local i
    cp -a /usr/include/linux tree
    for i in {1..20}; do
        head -c $((i * 131072)) /dev/zero | tr '\0' "$((i % 10))" >"file$i"
        ln "file$i" "tree/hard$i"
    done
    truncate -s 1G hole
    du --inodes -s . tree
    du -a --apparent-size -b --exclude=tree . | grep -v '\.$' | sort
    du -a --block-size=512 --exclude=tree . | grep -v '\.$' | sort
    du -l -a --block-size=1 tree/hard* | sort
    rm -rf tree file*
    du --block-size=1 hole
}

finds_newer() {
    local i
    mkdir d
    for i in {1..9}; do
        echo "$i" >"d/$i"
        touch -d "2001-01-01 00:00:00.00000000$i" "d/$i"
    done
    find d -type f -newer d/5 | sort
    find d -type f -newermt '2001-01-01 00:00:00.000000007' | sort
    find d -type f -not -newer d/3 | sort
    touch d/reference
    sleep 0.02
    chmod 600 d/2
    mv d/3 d/renamed
    ln d/4 hard
    cat d/5 >/dev/null
    : >>d/6
    find . -cnewer d/reference | sort
    echo -- more >>d/7
    find . -newer d/reference | sort
    find . -empty -o -links 2 -type f | sort
    find . -type f -size -3c -perm 600
    find . -samefile hard | sort
    test d/7 -nt d/6 && test d/1 -ot d/2 && test hard -ef d/4
}

# ---- programs ----

# says PATTERN COMMAND...: what of its output matches, whatever its status.
says() {
    local pattern=$1
    shift
    { "$@" 2>&1 || true; } | grep -oE -m 1 -- "$pattern"
}

runs_programs() {
    local pid
    cp /bin/sleep sleep
    ./sleep 10 &
    pid=$!
    # Until it is no shell any more.
    for _ in {1..500}; do
        [ "$(cat "/proc/$pid/comm")" != sleep ] || break
        sleep 0.01
    done
    says 'Text file busy' sh -c 'echo x >sleep'
    says 'Text file busy' sh -c ': >>sleep'
    says 'Text file busy' truncate -s 1 sleep
    says 'Text file busy' cp /bin/true sleep
    # Other names are not busy, nor is putting another in its place.
    cp /bin/true new
    mv -f new sleep
    ./sleep && echo replaced
    kill "$pid"
    wait "$pid" || true
    cp /bin/true sleep && ./sleep && echo again
    # Open for writing.
    exec 7>>./sleep
    says 'Text file busy' ./sleep
    exec 7>&-
    ./sleep && echo closed
    printf '#!/bin/sh\necho "script $1"\n' >script
    says 'Permission denied' ./script 1
    chmod 711 script
    ./script 2
    printf '#! ./script\n' >nested
    chmod 755 nested
    ./nested | sed 's,\./nested,nested,'
    printf '#!/nowhere\n' >bad
    chmod 755 bad
    says 'No such file|bad interpreter|cannot execute' ./bad
    printf 'int x(void){return 7;}\n' >x.c
    printf 'int x(void);int main(void){return x();}\n' >main.c
    cc -shared -fPIC -o libx.so x.c
    cc -o main main.c -L. -lx -Wl,-rpath,"$PWD"
    ./main || echo "library says $?"
    # Set-user-ID, as who runs it.
    cp /usr/bin/id id
    chown 1234:5678 id
    chmod 6755 id
    ./id -u
    ./id -g
    rm -f main libx.so
}

# A library is mapped by who runs and replaced by who upgrades.
replaces_a_library() {
    cp "$(command -v perl)" perl
    ./perl -e 'unlink "perl" or die; system "cp", "/bin/true", "perl"; print "still here\n"; exec "./perl"'
}

locks() {
    local pid
    : >f
    exec 8<f 9>f
    flock -s 8
    flock -n -s f true && echo shared
    flock -n -x f true || echo "not exclusive"
    flock -u 8
    flock -x 9
    flock -w 0.1 -s f true || echo "not shared"
    # Held by the descriptor, whoever has it.
    (sleep 0.3) &
    pid=$!
    exec 9>&-
    flock -n -x f true || echo "held by the child"
    wait $pid
    flock -n -x f true && echo free
    exec 8<&-
    perl -MFcntl=:DEFAULT,:flock -e '
        open my $f, "+>", "posix" or die;
        my $whole = pack "ssx4qqlx4", F_WRLCK, 0, 10, 20, 0;
        fcntl $f, F_SETLK, $whole or die;
        defined(my $child = fork) or die;
        if (!$child) {
            open my $g, "+<", "posix" or die;
            my $asked = pack "ssx4qqlx4", F_WRLCK, 0, 15, 1, 0;
            fcntl $g, F_GETLK, $asked or die;
            my @of = unpack "ssx4qqlx4", $asked;
            print "type $of[0] from $of[2] of $of[3], ", $of[4] == getppid ? "parent" : "nobody", "\n";
            print fcntl($g, F_SETLK, pack "ssx4qqlx4", F_WRLCK, 0, 15, 1, 0) ? "taken" : "refused", "\n";
            print fcntl($g, F_SETLK, pack "ssx4qqlx4", F_WRLCK, 0, 30, 1, 0) ? "taken" : "refused", "\n";
            exit;
        }
        wait;
        close $f;
    '
}

# ---- what is mounted with it ----

mounts_a_loop_device() {
    truncate -s 64M image
    mkfs.ext4 -q image
    mkdir loop
    mount -o loop image loop
    cp -a /usr/include/linux loop/
    diff -r /usr/include/linux loop/linux
    umount loop
    e2fsck -fn image 2>&1 | grep -c 'Pass'
    mount -o loop,ro image loop
    diff -r /usr/include/linux loop/linux
    umount loop
    [ "$(stat -c %b image)" -lt 131072 ]
    rm image
}

overlays() {
    mkdir lower lower/d "$WORK/upper" "$WORK/work" merged
    echo low >lower/f
    echo deep >lower/d/g
    setfattr -n user.x -v y lower/f
    ln lower/f lower/hard
    mount -t overlay overlay -o "lowerdir=$PWD/lower,upperdir=$WORK/upper,workdir=$WORK/work" merged
    cat merged/f merged/d/g
    echo more >>merged/f
    rm merged/d/g
    mkdir merged/d/new
    getfattr --only-values -n user.x merged/f
    cat merged/f lower/f
    find merged lower "$WORK/upper" -printf '%P %y %n\n' | sort
    umount merged
    rm -r "$WORK/upper" "$WORK/work"
}

# As the upper layer it lacks what overlays need there; it is refused, never half accepted.
refuses_to_be_an_upper_layer() {
    mkdir "$mnt/upper" "$mnt/work" lower merged
    fails_with 32 'wrong fs type' mount -t overlay overlay \
        -o "lowerdir=$WORK/lower,upperdir=$mnt/upper,workdir=$mnt/work" merged
    rm -r "$mnt/upper" "$mnt/work"
}

# It is no place for pages that the kernel must have: that would need the daemon, which may be
# among them.
refuses_swap() {
    dd if=/dev/zero of="$mnt/swap" bs=1M count=2 status=none
    chmod 600 "$mnt/swap"
    mkswap "$mnt/swap"
    fails_with 255 'Invalid argument' swapon "$mnt/swap"
    rm "$mnt/swap"
}

binds() {
    mkdir "$mnt/inside" bound
    echo inside >"$mnt/inside/f"
    mount --bind "$mnt/inside" bound
    same inside "$(cat bound/f)"
    echo through >bound/g
    same through "$(cat "$mnt/inside/g")"
    # A link or a rename from one mount to another is refused, though it is one file system.
    fails_with 1 'cross-device' ln bound/f "$mnt/hard"
    same "$(stat -c %d:%i bound/f)" "$(stat -c %d:%i "$mnt/inside/f")"
    mount -o remount,bind,ro bound
    fails_with 1 'Read-only' touch bound/h
    fails_with 1 'Read-only' rm -f bound/f
    echo written >"$mnt/inside/f"
    same written "$(cat bound/f)"
    # A directory that is a mount point elsewhere.
    rm -r "$mnt/inside"
    not ls bound/f
    umount bound
    # A file, and a directory of the outside within it.
    echo file >"$mnt/f"
    : >target
    mount --bind "$mnt/f" target
    same file "$(cat target)"
    umount target
    mkdir "$mnt/within"
    mount --bind /usr/include/linux "$mnt/within"
    diff -r /usr/include/linux "$mnt/within"
    fails_with 1 'busy' rmdir "$mnt/within"
    umount "$mnt/within"
    rmdir "$mnt/within"
    rm "$mnt/f"
}

# ---- read-only ----

# remount_with OPTIONS: as mount(8) does it, directly and through mount.fuse, which finds lsmfs by its
# name.
remount_with() {
    if [ "$way" = directly ]; then
        mount -i -o "remount,$1" "$mnt"
    else
        mount.fuse3 "$lsmfs#$store" "$mnt" \
            -o "rw,suid,dev,relatime,remount,user_id=0,group_id=0,default_permissions,$1"
    fi
}

remounts_read_only() {
    local way
    for way in directly helper; do
        echo one >"$mnt/f"
        exec 7>>"$mnt/f"
        # Somebody writes.
        fails_with 32 'busy' mount -i -o remount,ro "$mnt"
        exec 7>&-
        # A name has gone, the file has not.
        exec 7<"$mnt/f"
        rm "$mnt/f"
        fails_with 32 'busy' mount -i -o remount,ro "$mnt"
        exec 7<&-
        echo two >"$mnt/f"
        # Closing is told to the daemon without waiting for it.
        for _ in {1..100}; do
            remount_with ro && break
            sleep 0.01
        done
        grep " $mnt fuse.lsmfs ro,relatime" /proc/mounts
        fails_with 1 'Read-only' touch "$mnt/f"
        fails_with 1 'Read-only' mkdir "$mnt/d"
        fails_with 1 'Read-only' mkdir "$mnt/.snapshots/none"
        fails_with 1 'Read-only' rm -f "$mnt/f"
        same two "$(cat "$mnt/f")"
        remount_with rw
        grep " $mnt fuse.lsmfs rw,relatime" /proc/mounts
        echo three >"$mnt/f"
        same three "$(cat "$mnt/f")"
        remount_with noexec,nosuid
        grep " $mnt fuse.lsmfs rw,nosuid,noexec" /proc/mounts
        remount_with exec,suid
        rm "$mnt/f"
    done
}

# What the daemon opened for reading only it cannot write.
stays_read_only() {
    remount -o ro
    fails_with 1 'mounted read-only' "$lsmfs" "$store" "$mnt" -o remount,rw
    grep " $mnt fuse.lsmfs ro," /proc/mounts
    remount "${options[@]}"
    # Nothing of ours is mounted there.
    mkdir -p elsewhere
    fails_with 6 'not mounted' "$lsmfs" "$store" "$WORK/elsewhere" -o remount,ro
    fails_with 6 'not mounted' "$lsmfs" "$WORK/other" "$mnt" -o remount,ro
    grep " $mnt fuse.lsmfs rw," /proc/mounts
}

# ---- no space ----

# In a file system of its own, as small as it may be.
fills_up() {
    local own=$WORK/small free
    mkdir "$own" "$own-mnt"
    truncate -s 400M small.img
    mkfs.ext4 -q -m 0 small.img
    mount -o loop small.img "$own"
    "$lsmfs" "$own/store" "$own-mnt"
    echo kept >"$own-mnt/kept"
    # As on ext4, which then keeps what it could get.
    fails_with 1 'No space left' fallocate -l 1G "$own-mnt/long"
    same 0 "$(stat -c %s "$own-mnt/long")"
    fallocate -l 100M "$own-mnt/long"
    same 104857600 "$(stat -c %s "$own-mnt/long")"
    rm "$own-mnt/long"
    # Not compressible.
    fails_with 1 'No space left' dd if=/dev/urandom of="$own-mnt/full" bs=1M
    fails_with 1 'No space left' dd if=/dev/urandom of="$own-mnt/more" bs=1M count=5
    [ "$(stat -c %s "$own-mnt/full")" -gt 50000000 ]
    same kept "$(cat "$own-mnt/kept")"
    [ "$(df --output=avail "$own-mnt" | tail -n 1)" -lt 40000 ]
    # Deleting needs room, too, and gets it; and what it frees can be written again at once, of
    # the whole disk within seconds.
    rm -f "$own-mnt/more"
    truncate -s 100M "$own-mnt/full"
    dd if=/dev/urandom of="$own-mnt/more" bs=1M count=30 status=none
    rm -f "$own-mnt/full" "$own-mnt/more"
    same kept "$(ls "$own-mnt")"
    for _ in {1..100}; do
        free=$(df -m --output=avail "$own-mnt" | tail -n 1)
        [ "$free" -lt 300 ] || break
        sleep 0.1
    done
    echo "$free MiB came free"
    [ "$free" -ge 300 ]
    "$lsmfs" umount "$own-mnt"
    "$lsmfs" "$own/store" "$own-mnt"
    same kept "$(cat "$own-mnt/kept")"
    same kept "$(ls "$own-mnt")"
    "$lsmfs" umount "$own-mnt"
    umount "$own"
    rm small.img
}

# ---- snapshots ----

# What an open directory is after rmdir, seen on the file system beneath.
stands_in_a_removed_directory() {
    mkdir -p gone/sub
    cd gone/sub
    rmdir ../sub ../../gone
    ls -A
    find .
    stat -c '%F %h' .
    cat file 2>&1 || true
    cat ../file 2>&1 || true
    ls ../.. 2>&1
    ls ..
    says 'No such' sh -c 'echo x >new'
    says 'No such' mkdir new
}

# A dropped snapshot goes on for who stands in it, as an open file does: all that is open can be
# read, what is below can be opened, and nobody else gets there.
stands_in_a_dropped_snapshot() {
    local inside
    mkdir -p "$mnt/tree/sub/sub"
    echo text >"$mnt/tree/sub/f"
    head -c 3000000 /dev/urandom >"$mnt/tree/sub/large"
    ln "$mnt/tree/sub/f" "$mnt/tree/hard"
    setfattr -n user.x -v y "$mnt/tree/sub/f"
    mkdir "$mnt/.snapshots/drop"
    inside=$(stat -c %i "$mnt/.snapshots/drop/tree/sub/f")
    cp "$mnt/tree/sub/large" large
    exec 6<"$mnt/.snapshots/drop/tree/sub/large" 5<"$mnt/.snapshots/drop/tree/sub"
    (
        cd "$mnt/.snapshots/drop/tree/sub"
        rmdir "$mnt/.snapshots/drop"
        rm -r "$mnt/tree"
        same "f large sub" "$(echo *)"
        same text "$(cat f)"
        same text "$(cat ../hard)"
        same "$inside 2" "$(stat -c '%i %h' f)"
        same y "$(getfattr --only-values -n user.x f)"
        cmp large "$WORK/large"
        cmp - "$WORK/large" <&6
        same "f large sub" "$(echo /proc/self/fd/5/* | xargs -n 1 basename | xargs)"
        fails_with 1 'Read-only' touch f
        fails_with 1 'Read-only' touch new
        fails_with 1 'No such file' stat "$mnt/.snapshots/drop"
        # The name is free, and another snapshot by it is another.
        mkdir "$mnt/.snapshots/drop"
        fails_with 1 'No such file' stat "$mnt/.snapshots/drop/tree"
        same text "$(cat f)"
        rmdir "$mnt/.snapshots/drop"
        # Its root is what a removed directory is: empty, though what is below is there.
        same "" "$(cd ../.. && ls -A)"
        fails_with 1 "No such file" cat ../../new
        "$lsmfs" sync "$mnt"
        same text "$(cat f)"
        fails_with 1 'in use' "$lsmfs" umount "$mnt"
    )
    cmp large /proc/self/fd/6
    exec 6<&- 5<&-
    same "" "$(ls -A "$mnt/.snapshots")"
    remount "${options[@]}"
    same "" "$(ls -A "$mnt/.snapshots")"
}

mount_store "${options[@]}" || exit 1
check "df, findmnt, stat -f" shows_its_space
check "what was removed leaves the store" gives_back_what_was_removed
check "du as on ext4" alike uses
check "find -newer as on ext4" alike finds_newer
check "programs, scripts, libraries; ETXTBSY as on ext4" alike runs_programs
check "a program replaced while it runs" alike replaces_a_library
check "flock and POSIX locks as on ext4" alike locks
check "a loop device with ext4 on a file" alike mounts_a_loop_device
check "an overlay's lower layer as ext4 is" alike overlays
check "no overlay's upper layer" refuses_to_be_an_upper_layer
check "no swap file" refuses_swap
check "bind mounts" binds
check "remounted read-only and back" remounts_read_only
check "what was mounted read-only stays so" stays_read_only
check "ENOSPC" fills_up
check "who stands in a removed directory, as on ext4" alike stands_in_a_removed_directory
check "who stands in a dropped snapshot" stands_in_a_dropped_snapshot
check "unmounts" umount_store
finish
