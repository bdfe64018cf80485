#!/bin/bash
#
# writeback.sh - the kernel's writeback cache: what waits there and what does not, and that nothing
# which looks at the store, changes it or ends the mount loses or misses it.

# shellcheck source=tests/fs/mounted.bash
. "$(dirname "$0")/mounted.bash"
unset LSMFS_MOUNT

mount_kept() {
    mount_store -o writeback_cache "$@"
}

remount_kept() {
    umount_store
    mount_kept
}

# requests KIND: how many were made so far.
requests() {
    "$lsmfs" stats --prometheus "$mnt" |
        sed -n "s/^lsmfs_request_duration_seconds_count{opcode=\"$1\"} //p" | grep . || echo 0
}

# by_perl FILE CODE: runs with the file open for reading and writing as $f, `out` writes.
by_perl() {
    perl -e 'use Fcntl; use strict; $| = 1;
        sysopen(my $f, $ARGV[0], O_RDWR | O_CREAT) or die "$ARGV[0]: $!";
        sub at { sysseek($f, $_[0], 0); }
        sub put { my $n = syswrite($f, $_[0]); die "write: $!" if !defined $n || $n != length $_[0]; }
        '"$2" "$1"
}

# keep_open FILE TEXT: writes it, and leaves it open and unsent until let_go.  Not in this shell: its
# children would have the file, too, and their ends are closes.
keep_open() {
    rm -f orders
    : >obeyed
    mkfifo orders
    perl -e 'use strict; use Fcntl; sysopen(my $f, $ARGV[0], O_WRONLY | O_CREAT) or die $!;
        while (<STDIN>) {
            chomp;
            if ($_ eq "sync") { require IO::Handle; print $f->sync ? "ok\n" : "failed\n"; }
            elsif (!defined syswrite($f, $_)) { print "failed\n"; }
            else { print "ok\n"; }
            STDOUT->flush;
        }' "$1" <orders >obeyed &
    holder=$!
    exec 8>orders
    order "$2"
}

# order TEXT, order sync: to that file; leaves what came of it in `obeyed`.
order() {
    local before
    before=$(wc -l <obeyed)
    echo "$1" >&8
    until [ "$(wc -l <obeyed)" -gt "$before" ]; do
        kill -0 "$holder"
        sleep 0.01
    done
}

let_go() {
    exec 8>&-
    wait "$holder" || true
}

is_an_option() {
    mount_store
    same no "$(status writeback_cache)"
    by_perl "$mnt/off" 'put("x" x 100) for 1..1000;'
    [ "$(requests write)" -ge 1000 ]
    remount_kept
    same yes "$(status writeback_cache)"
    by_perl "$mnt/on" 'put("x" x 100) for 1..1000;'
    [ "$(requests write)" -le 5 ]
    same 100000 "$(stat -c %s "$mnt/on")"
    perl -e 'open(my $f, ">", $ARGV[0]); syswrite($f, "x" x 100) for 1..1000;' "$mnt/only"
    [ "$(requests write)" -le 10 ]
    cmp "$mnt/on" "$mnt/only"
    fails_with 2 'sync and writeback_cache contradict' \
        "$lsmfs" "$store" "$WORK/other" -o sync,writeback_cache
    umount_store
    mount_kept -o ro
    cmp "$mnt/on" "$mnt/off"
    umount_store
}

# What close and fsync returned for survives the daemon; what was only written may not, and what
# was written elsewhere before is whole.
close_sends() {
    mount_kept
    echo closed >"$mnt/closed"
    keep_open "$mnt/synced" 12345
    order sync
    order 678
    kill_daemon
    let_go
    sound
    mount_kept
    same closed "$(cat "$mnt/closed")"
    grep -qxE '12345(678)?' "$mnt/synced" # a sync(1) of somebody else sends it, too
    umount_store
}

# What the kernel shows of files, and what a remount shows, are the same.
times_of() {
    (cd "$mnt" && find . -type f -printf '%P %s %m %T@ %C@\n' | sort)
}

times_last() {
    local i before
    mount_kept
    mkdir "$mnt/times"
    for i in {1..40}; do
        echo "$i" >"$mnt/times/$i"
    done
    sleep 0.05
    (
        cd "$mnt/times"
        chmod 600 1
        mv 2 two
        ln 3 three
        ln 4 four && rm 4
        setfattr -n user.a -v b 5
        touch -d 2001-01-01 6
        : >./7
        truncate -s 1 8
        truncate -s 100000 9
        fallocate -l 100 10
        fallocate -p -o 0 -l 1 11
        echo more >>./12
        touch -a 13
        perl -e 'truncate($ARGV[0], 3) or die' 14
        cp --reflink=never 15 16
        chown 1:1 17
        dd if=18 of=19 conv=notrunc oflag=direct 2>/dev/null
    )
    # Written in the background, and again, while it is open.
    keep_open "$mnt/times/20" "first"
    sync -f "$mnt"
    sleep 0.2
    order second
    sync -f "$mnt"
    sleep 0.2
    let_go
    before=$(times_of)
    remount_kept
    same "$before" "$(times_of)"
    umount_store
}

# What is written after something was made is not older, nor what is made after something was written
# (bug: the kernel's ticks ran behind the daemon's clock); and what was not read yet looks so.
times_in_order() {
    mount_kept
    (
        cd "$mnt"
        perl -e 'use strict; use Time::HiRes qw(stat usleep);
            sub make { open(my $f, ">", $_[0]) or die; syswrite($f, $_[1]) if @_ > 1; close($f);
                my @st = stat($_[0]); die "$_[0]: read already" if $st[8] > $st[9]; return $st[9]; }
            for my $i (1..200) {
                my $made = make("made$i"); my $written = make("written$i", "x"); my $again = make("again$i");
                die "$i: $made, $written, $again" if $written < $made || $again < $written;
                usleep($i * 37 % 3000); }'
    )
    umount_store
}

# A part of a page, by who may not read; at the end, by two at once.
partial_pages() {
    mount_kept
    head -c 20000 /dev/urandom >whole
    cp whole "$mnt/part"
    chmod 200 "$mnt/part"
    remount_kept
    touch -ad 2001-01-01 "$mnt/part"
    dd if=/dev/zero of="$mnt/part" bs=10 seek=500 count=3 conv=notrunc 2>/dev/null
    dd if=/dev/zero of=whole bs=10 seek=500 count=3 conv=notrunc 2>/dev/null
    same 2001 "$(stat -c %x "$mnt/part" | cut -c1-4)"
    cmp whole "$mnt/part"
    for i in 1 2; do
        perl -e 'open(my $f, ">>", $ARGV[0]); for (1..500) { syswrite($f, "$ARGV[1]\n"); }' \
            "$mnt/log" $i &
    done
    wait
    remount_kept
    same '500 1 500 2' "$(sort "$mnt/log" | uniq -c | xargs)"
    umount_store
}

# Set-user-ID goes with a write of another, and what was given after a write stays.
privileges() {
    mount_kept -o allow_other,suid
    chmod 755 "$mnt" .
    echo text >"$mnt/set"
    chmod 6777 "$mnt/set"
    setpriv --reuid=1 --regid=1 --clear-groups perl -e \
        'open(my $f, "+<", $ARGV[0]) or die $!; syswrite($f, "x") or die $!;' "$mnt/set"
    same 777 "$(stat -c %a "$mnt/set")"
    chown 1:1 "$mnt/set"
    chmod 6777 "$mnt/set"
    setpriv --reuid=1 --regid=1 --clear-groups perl -e 'chown(-1, -1, $ARGV[0]) or die' "$mnt/set"
    same 777 "$(stat -c %a "$mnt/set")"
    keep_open "$mnt/program" "#!/bin/true"
    setcap cap_net_raw+p "$mnt/program"
    let_go
    getcap "$mnt/program" | grep -q cap_net_raw
    remount_kept
    getcap "$mnt/program" | grep -q cap_net_raw
    echo more >>"$mnt/program"
    same '' "$(getcap "$mnt/program")"
    same 777 "$(stat -c %a "$mnt/set")"
    umount_store
}

# Holes and data that only the kernel has.
holes() {
    mount_kept
    by_perl "$mnt/sparse" '
        sub seek_is { my ($to, $how) = @_; my $got = sysseek($f, $to, $how); $got = -1 if !defined $got;
            $got = 0 if $got eq "0 but true"; return int($got); }
        sub expect { my ($wanted, $to, $how) = @_; my $got = seek_is($to, $how);
            die "seek $to $how: $got, not $wanted" if $got != $wanted; }
        truncate($f, 1 << 20);
        at(500000); put("data");
        expect(499712, 0, 3);
        at(1 << 20); put("y" x 4096); at(3 << 20); put("end");
        expect(1 << 20, 600000, 3);
        expect((1 << 20) + 4096, 1 << 20, 4);
        expect(3 << 20, (1 << 20) + 4096, 3);
        expect((3 << 20) + 3, 3 << 20, 4);
        expect(-1, (3 << 20) + 3, 3);
        at(5 << 20); put("end");
        expect((5 << 20) + 3, 5 << 20, 4);
        truncate($f, 6 << 20);
        expect(-1, (5 << 20) + 4096, 3);'
    truncate -s 100000 "$mnt/written"
    keep_open "$mnt/written" begin
    perl -e 'open(my $f, "<", $ARGV[0]); sysseek($f, 0, 3) eq "0 but true" or die;' "$mnt/written"
    let_go
    umount_store
}

# Whoever copies, clones or cuts within what the kernel has sees it.
other_calls() {
    mount_kept
    by_perl "$mnt/a" '
        put("a" x 10000);
        system("fallocate", "-p", "-o", "4096", "-l", "4096", $ARGV[0]) == 0 or die;
        truncate($f, 9000);
        at(9500); put("end");
        at(0); sysread($f, my $all, 100000);
        die if $all ne ("a" x 4096) . ("\0" x 4096) . ("a" x 808) . ("\0" x 500) . "end";
        open(my $t, "+>", $ARGV[0]); at(0); die if sysread($f, $all, 10);
        at(5); put("x");'
    same 6 "$(stat -c %s "$mnt/a")"
    remount_kept
    same 000000000078 "$(od -An -tx1 "$mnt/a" | tr -d ' ')"
    umount_store
}

# Snapshots, export, get, diff and sync hold what was written, though its file is still open.
seen_from_outside() {
    mount_kept
    mkdir "$mnt/.snapshots/before"
    keep_open "$mnt/open" first
    mkdir "$mnt/.snapshots/one"
    order second
    "$lsmfs" snapshot create "$mnt" two >/dev/null
    same first "$(cat "$mnt/.snapshots/one/open")"
    same firstsecond "$(cat "$mnt/.snapshots/two/open")"
    order third
    same firstsecondthird "$("$lsmfs" get "$store" open)"
    order 4
    same firstsecondthird4 "$("$lsmfs" export "$store" | tar -xOf - open)"
    order 5
    "$lsmfs" sync "$store"
    kill_daemon
    let_go
    mount_kept
    same firstsecondthird45 "$(cat "$mnt/open")"
    umount_store
}

times() {
    stat -c '%y %z %s' "$1"
}

# Contents of now have times of now, or who makes backups would miss them (bug: those that the kernel
# had told before, until the next snapshot).
seen_as_changed() {
    local before now listed pid
    mount_kept
    echo 0123456789 >"$mnt/changing"
    before=$(times "$mnt/changing")
    sleep 0.05
    keep_open "$mnt/changing" abc
    now=$(times "$mnt/changing")
    not same "$before" "$now"
    sleep 0.05
    mkdir "$mnt/.snapshots/seen-so"
    same "$now" "$(times "$mnt/.snapshots/seen-so/changing")"
    same abc3456789 "$(cat "$mnt/.snapshots/seen-so/changing")"
    sleep 0.05
    order def
    listed=$("$lsmfs" export "$store" | tar --full-time -tvf - changing | awk '{ print $4, $5 }')
    same "$(stat -c %y "$mnt/changing" | cut -d' ' -f1,2)" "$listed"
    same "$now" "$(times "$mnt/.snapshots/seen-so/changing")"
    # So has what is sent because of a signal.
    sleep 0.05
    order ghi
    now=$(times "$mnt/changing")
    pid=$(daemon_pid)
    sleep 0.05
    kill "$pid"
    await_end "$pid"
    let_go
    mount_kept
    same "$now" "$(times "$mnt/changing")"
    same abcdefghi9 "$(cat "$mnt/changing")"
    umount_store
}

# Many snapshots at once beside many writers: nobody waits for himself.
many_snapshots() {
    local i writers=()
    mount_kept
    for i in {1..6}; do
        perl -e 'open(my $f, ">", $ARGV[0]); my $end = time + 4;
            while (time < $end) { sysseek($f, 4096 * int(rand(2000)), 0); syswrite($f, "x" x 100); }' \
            "$mnt/busy$i" &
        writers+=($!)
    done
    for i in {1..30}; do
        timeout 60 mkdir "$mnt/.snapshots/at$i" &
        writers+=($!)
    done
    for i in "${writers[@]}"; do
        wait "$i"
    done
    same 30 "$(find "$mnt/.snapshots" -mindepth 1 -maxdepth 1 -name 'at*' | wc -l)"
    rmdir "$mnt"/.snapshots/at*
    umount_store
}

# Another size than the kernel knows, by a command: new to who looks; who has it open cannot go on.
changed_by_command() {
    mount_kept
    echo short >"$mnt/file"
    ln "$mnt/file" "$mnt/link"
    cat "$mnt/file" "$mnt/link" >/dev/null
    head -c 10000 /dev/urandom >new
    "$lsmfs" put "$store" file <new
    cmp new "$mnt/file"
    keep_open "$mnt/file" unsent
    "$lsmfs" put "$store" file <<<less
    same less "$(cat "$mnt/file")"
    same 5 "$(stat -c %s "$mnt/file")"
    order more
    order sync
    tail -n 2 obeyed | grep failed # the write, if it has to read its page, or else the sync
    let_go
    same less "$(cat "$mnt/file")"
    echo one >"$mnt/single"
    mkdir "$mnt/.snapshots/now"
    cat new new >"$mnt/file"
    cat new >"$mnt/single"
    touch "$mnt/other"
    sleep 0.1
    "$lsmfs" snapshot rollback "$mnt" now >/dev/null
    same one "$(cat "$mnt/single")"
    same 4 "$(stat -c %s "$mnt/single")"
    same less "$(cat "$mnt/file")"
    same 5 "$(stat -c %s "$mnt/file")"
    keep_open "$mnt/file" longer-than-before
    "$lsmfs" snapshot rollback --force "$mnt" now >/dev/null
    let_go
    same less "$(cat "$mnt/file")"
    remount_kept
    same less "$(cat "$mnt/file")"
    rmdir "$mnt"/.snapshots/*
    umount_store
}

# A signal takes the mount from who uses it, with what was written.
ended_in_use() {
    local pid i
    mount_kept
    pid=$(daemon_pid)
    for i in {1..20}; do
        by_perl "$mnt/used$i" 'put("y" x 300000); open(my $s, ">", "ready'"$i"'"); sleep 30;' &
        perls[i]=$!
    done
    for i in {1..20}; do
        until [ -e "ready$i" ]; do sleep 0.01; done
    done
    kill "$pid"
    await_end "$pid"
    kill "${perls[@]}"
    wait "${perls[@]}" || true
    mount_kept
    for i in {1..20}; do
        same 300000 "$(stat -c %s "$mnt/used$i")"
        same 0 "$(tr -d y <"$mnt/used$i" | wc -c)"
    done
    rm "$mnt"/used*
    umount_store
}

# That is waited for, too, where syncfs does not (Linux 6.18.44): of a file that was made and written
# within a tick, so that no times are told behind the contents, which are many requests, by a slow daemon.
ended_slowly() {
    local pid tracer
    command -v strace >/dev/null || return 0
    mount_kept
    pid=$(daemon_pid)
    perl -e 'use strict; use Time::HiRes qw(stat);
        my ($f, $i, @made, @written);
        do {
            unlink($ARGV[0]); open($f, ">", $ARGV[0]); @made = stat($f);
            for $i (0..59) { sysseek($f, $i * 8192, 0); syswrite($f, "y" x 4096); }
            @written = stat($f);
        } while ($made[9] != $written[9]);
        open(my $s, ">", "slow"); sleep 60;' "$mnt/slow" &
    perls[0]=$!
    until [ -e slow ]; do sleep 0.01; done
    strace -f -qq -o strace.out -p "$pid" -e trace=read -e inject=read:delay_exit=20000 &
    tracer=$!
    until grep -q 'TracerPid:.*[1-9]' "/proc/$pid/status"; do sleep 0.01; done
    kill "$pid"
    await_end "$pid"
    kill "${perls[0]}"
    wait "${perls[0]}" "$tracer" || true
    mount_kept
    same 245760 "$(tr -dc y <"$mnt/slow" | wc -c)"
    umount_store
}

# Read-only while nobody writes, with all that was written.
made_read_only() {
    mount_kept
    keep_open "$mnt/kept" text
    not mount -i -o remount,ro "$mnt"
    let_go
    mount -i -o remount,ro "$mnt"
    same text "$(cat "$mnt/kept")"
    mount -i -o remount,rw "$mnt"
    echo >>"$mnt/kept"
    umount_store
}

# Who is told of no space: the one who asks, by fsync or close.
no_space() {
    mkdir -p disk
    mount -t tmpfs -o size=64m none disk
    (
        set -e
        store=$WORK/disk/store
        mount_kept -o commit=30
        perl -e 'use IO::Handle; use Errno; open(my $f, ">", $ARGV[0]);
            for (1..200) { my $n = syswrite($f, join("", map { chr(rand(256)) } 1..1000) x 1049);
                if (!defined $n) { die $! unless $!{ENOSPC}; exit 0; } }
            exit 0 if !$f->sync && $!{ENOSPC};
            exit 0 if !close($f) && $!{ENOSPC};
            exit 1;' "$mnt/large"
        # Bug: times yet to be put, of the kernel or of a read, kept what is removed.
        dd if="$mnt/large" of=/dev/null bs=4096 count=1 iflag=direct status=none
        rm "$mnt/large"
        echo small >"$mnt/small"
        same small "$(cat "$mnt/small")"
        umount_store
        sound
    )
    umount disk
}

alone "an option, and off without it" is_an_option
alone "close and fsync send it" close_sends
alone "a remount shows the times and sizes that were shown" times_last
alone "times follow what was done first" times_in_order
alone "parts of pages, and appending" partial_pages
alone "privileges go with a write, and only then" privileges
alone "data and holes that only the kernel has" holes
alone "other calls see it" other_calls
alone "snapshots and commands see it" seen_from_outside
alone "what they see changed looks changed" seen_as_changed
alone "many snapshots beside many writers" many_snapshots
alone "what a command changes has its new size" changed_by_command
alone "a signal ends the mount in use, and nothing is lost" ended_in_use
alone "nor is what was on its way to a slow daemon" ended_slowly
alone "made read-only, and writable again" made_read_only
alone "no space is told" no_space
finish
