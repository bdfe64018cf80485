#!/bin/bash
#
# git.sh - git with thousands of objects, loose and packed, on a mount.
#
# GIT_COMMITS is the length of the history, some eight objects each; GIT_KILLS how often the daemon
# is killed under gc and commits; GIT_SEED repeats its moments.
#
# The same work on the file system beneath must give the same commits: dates are fixed.  Whether
# an inode number, a ctime or an mtime has changed is what `git diff-files` says, which, unlike
# `git status`, never brings the index up to date; find tells of what is less than a second.

# shellcheck source=tests/fs/mounted.bash
. "$(dirname "$0")/mounted.bash"
commits=${GIT_COMMITS:-600} kills=${GIT_KILLS:-1} seed=${GIT_SEED:-$((RANDOM * 32768 + RANDOM))}
work=$mnt/work
worktrees=(one two)
RANDOM=$seed
echo "GIT_SEED=$seed GIT_COMMITS=$commits GIT_KILLS=$kills"

# Nothing of the caller's settings; no gc but ours; a ref that gc locks is waited for.
export HOME=$WORK GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=$WORK/gitconfig
export GIT_AUTHOR_DATE='1600000000 +0000' GIT_COMMITTER_DATE='1600000000 +0000'
cat >gitconfig <<END
[user]
    name = tester
    email = tester@example.org
[init]
    defaultBranch = main
[gc]
    auto = 0
    autoDetach = false
[core]
    filesRefLockTimeout = 60000
    packedRefsTimeout = 60000
[advice]
    detachedHead = false
END

# A history for git fast-import: 600 files, two of them changed by each commit.
history() {
    awk -v commits="$commits" '
        function data(text) {
            printf "data %d\n%s\n", length(text), text
        }
        function file(n, text) {
            printf "M 100644 inline dir%d/below%d/file%d\n", n % 10, int(n / 10) % 6, n
            data(text)
        }
        function lines(n, c, count,    i, text) {
            for (i = 0; i < count; i++) {
                text = text "line " i " of " n " says " ((i * 7919 + n) % 1000) "\n"
            }
            return "version " c "\n" text
        }
        BEGIN {
            for (c = 1; c <= commits; c++) {
                print "commit refs/heads/main"
                print "committer tester <tester@example.org> " 1500000000 + c * 60 " +0000"
                data("change " c)
                if (c == 1) {
                    for (n = 0; n < 600; n++) {
                        file(n, lines(n, 0, n % 60))
                    }
                    print "M 100644 inline large"
                    text = lines(0, 0, 3000)
                    for (n = 0; n < 5; n++) {
                        text = text text
                    }
                    data(text)
                    print "M 100755 inline script"
                    data("#!/bin/sh")
                    print "M 120000 inline symlink"
                    data("dir1/below1/file11")
                }
                n = c * 7 % 600
                m = c * 331 % 600
                if (c > 1) {
                    file(n, lines(n, c, n % 60))
                    file(m, lines(m, c, m % 60))
                }
            }
        }'
}

# All that a repository holds, as one line.
objects_of() {
    git -C "$1" rev-list --objects --all | sort | sha1sum
}

is_sound() {
    git -C "$1" fsck --strict --no-progress
    same "$all_objects" "$(objects_of "$1")"
}

# is_untouched NAME: a working tree that nobody has touched since remember_times.
is_untouched() {
    diff "$WORK/times.$1" <(times_of "$1") | head
    is_checked_out "$1"
}

times_of() {
    find "$mnt/$1" -name .git -prune -o -printf '%P %i %T@ %C@\n' | sort
}

remember_times() {
    times_of "$1" >"$WORK/times.$1"
    [ -s "$WORK/times.$1" ]
}

is_checked_out() {
    git -C "$mnt/$1" diff-files --quiet || {
        git -C "$mnt/$1" diff-files --name-only | head
        return 1
    }
    git -C "$mnt/$1" diff-index --quiet --cached HEAD
}

makes_history() {
    git init -q --bare source.git
    history | git -C source.git fast-import --quiet
}

# Thousands of small files, and names, in 256 directories.
unpacks() {
    git init -q "$work"
    git -C "$work" config transfer.unpackLimit 10000000
    git -C "$work" fetch -q "file://$WORK/source.git" main:fetched
    git -C "$work" checkout -q -b main fetched
    git -C "$work" branch -q -D fetched
    same "$(git -C source.git count-objects -v | sed -n 's/^in-pack/count/p')" \
        "$(git -C "$work" count-objects -v | grep ^count)"
    same "packs: 0" "$(git -C "$work" count-objects -v | grep ^packs)"
    is_sound "$work"
    is_checked_out work
    # What checks all this notices a change.
    touch -d 2020-02-02 "$work/large"
    not git -C "$work" diff-files --quiet
    git -C "$work" update-index --refresh
    remember_times work
}

# A local clone links every object; in a shared one there are none.
clones() {
    local name
    git clone -q --no-local "$work" "$mnt/plain"
    git clone -q --local "$work" "$mnt/local"
    git clone -q --shared "$work" "$mnt/shared"
    for name in plain local shared; do
        is_sound "$mnt/$name"
        is_checked_out "$name"
        remember_times "$name"
    done
    same 2 "$(find "$mnt/local/.git/objects" "$work/.git/objects" -type f -path '*/??/*' \
        -exec stat -c %h {} + | sort -u)"
    same "$(cd "$work/.git/objects" && find ?? -type f -printf '%p %i\n' | sort)" \
        "$(cd "$mnt/local/.git/objects" && find ?? -type f -printf '%p %i\n' | sort)"
    same "" "$(find "$mnt/shared/.git/objects" -type f -path '*/??/*')"
}

are_untouched() {
    local name
    for name in "$@"; do
        is_untouched "$name"
    done
}

untouched_later() {
    remount
    are_untouched work plain local shared
    kill_daemon
    mount_store
    are_untouched work plain local shared
}

untouched_in_snapshot() {
    mkdir "$mnt/.snapshots/now"
    echo changed >>"$mnt/plain/large"
    umount_store
    mount_store -o snapshot=now
    are_untouched work plain local shared
    remount
    not git -C "$mnt/plain" diff-files --quiet
    git -C "$mnt/plain" checkout -q large
    remember_times plain
    rmdir "$mnt/.snapshots/now"
}

# The names that gc takes away in one repository leave the other's their objects.
collects() {
    git -C "$work" gc --quiet
    same "count: 0" "$(git -C "$work" count-objects -v | grep ^count)"
    is_sound "$work"
    same 1 "$(find "$mnt/local/.git/objects" -type f -path '*/??/*' -exec stat -c %h {} + |
        sort -u)"
    is_sound "$mnt/local"
    is_sound "$mnt/shared"
    git -C "$mnt/local" repack -q -a -d -f
    same "count: 0" "$(git -C "$mnt/local" count-objects -v | grep ^count)"
    is_sound "$mnt/local"
    # A clone of what is packed links the packs.
    git clone -q --local "$mnt/local" "$mnt/packed"
    remember_times packed
    same 2 "$(find "$mnt/packed/.git/objects" -name '*.pack' -exec stat -c %h {} +)"
    rm -rf "$mnt/local"
    is_sound "$mnt/packed"
}

# session DIRECTORY: what a day's work prints there.
session() {
    local n
    git clone -q --no-local source.git "$1"
    (
        cd "$1"
        git checkout -q -b topic main~20
        for n in {1..15}; do
            mkdir -p "new$((n % 3))"
            echo "$n" >"new$((n % 3))/file$n"
            git mv "dir0/below0/file$((n % 3 * 60))" "moved$n"
            git mv "moved$n" "dir0/below0/file$((n % 3 * 60))"
            sed -i "s/^version .*/topic $n/" "dir1/below1/file11"
            git add -A
            git commit -q -m "topic $n"
        done
        git rebase -q main
        git checkout -q main
        git merge -q --no-ff -m merged topic
        git tag -a -m tagged v1
        git revert --no-edit HEAD~1 >/dev/null
        rm -r dir2
        echo changed >script
        echo untracked >untracked
        ln -sfn elsewhere symlink
        git stash push -q -u
        git status --porcelain
        git stash pop -q
        git status --porcelain
        git stash push -q -u
        git checkout -q -b picked main~2
        git cherry-pick -x main~2..topic >/dev/null
        git checkout -q main
        git reset -q --hard v1
        git clean -q -fdx
        git bisect start HEAD main~30
        git bisect run sh -c '! grep -q ^topic dir1/below1/file11'
        git bisect reset
        git bundle create -q ../bundle --all
        git bundle verify -q ../bundle
        git clone -q --mirror ../bundle ../mirror.git
        git -C ../mirror.git show-ref
        git fsck --strict --no-progress
        git show-ref
        git ls-files -s | sha1sum
        find . -name .git -prune -o -printf '%P %y %m %l\n' | sort | sha1sum
    )
    rm -rf "$(dirname "$1")"/{bundle,mirror.git}
}

works_alike() {
    mkdir beneath
    session "$WORK/beneath/day" >beneath.out 2>&1
    session "$mnt/day" >mnt.out 2>&1
    grep -q refs/tags/v1 beneath.out
    diff beneath.out mnt.out
    rm -rf "$mnt/day" beneath/day
}

adds_worktrees() {
    local name
    for name in "${worktrees[@]}"; do
        git -C "$work" worktree add -q "$mnt/$name" -b "$name"
        is_checked_out "$name"
        : >"made.$name"
    done
}

# in_worktree WORKTREE COMMAND...: git there, again if gc got in between.  Git makes an object's
# directory and then a file in it, and gc removes directories that are empty: on any filesystem
# a collection at that moment is an error of the command.
in_worktree() {
    local tries
    for ((tries = 1; tries <= 5; tries++)); do
        git -C "$mnt/$1" "${@:2}" 2>"git_$1.err" && return
        grep -q 'unable to create temporary file: No such file or directory' "git_$1.err" || break
        echo "# gc came between: $1 ${*:2}"
    done
    cat "git_$1.err" >&2
    return 1
}

# commits_in WORKTREE: until told that it is enough.  What was made is in made.WORKTREE.
commits_in() {
    local n
    n=$(wc -l <"made.$1")
    while [ ! -e enough ]; do
        n=$((n + 1))
        echo "$1 $n" >"$mnt/$1/dir3/below$((n % 6))/$1$((n % 50))"
        in_worktree "$1" add -A
        in_worktree "$1" commit -q -m "$1 $n"
        echo "$1 $n" >>"made.$1"
    done
}

start_commits() {
    local name
    rm -f enough
    committers=()
    for name in "${worktrees[@]}"; do
        commits_in "$name" &
        committers+=($!)
    done
}

# holds_commits SLACK: all that were made, and no more than SLACK others, one after another.
holds_commits() {
    local name made
    for name in "${worktrees[@]}"; do
        made=$(wc -l <"made.$name")
        git -C "$work" log --reverse --format=%s "main..$name" >"log.$name"
        diff "made.$name" <(head -n "$made" "log.$name")
        [ "$(wc -l <"log.$name")" -le $((made + $1)) ]
    done
}

collects_beside_commits() {
    local pid
    start_commits
    git -C "$work" gc --quiet
    git -C "$work" repack -q -a -d -f
    git -C "$work" gc --quiet
    touch enough
    for pid in "${committers[@]}"; do
        wait "$pid"
    done
    wc -l made.*
    [ -s made.one ]
    [ -s made.two ]
    holds_commits 0
    git -C "$work" fsck --strict --no-progress
    is_checked_out one
    is_checked_out two
    is_untouched work
}

# A lock whose holder could not remove it any more is the user's to remove.
remove_locks() {
    find "$work/.git" \( -name '*.lock' -o -name gc.pid \) -print -delete
}

dies_while_collecting() {
    local pid collector name
    (
        while git -C "$work" repack -q -a -d -f && git -C "$work" gc --quiet; do
            :
        done
    ) 2>collector.err &
    collector=$!
    start_commits 2>committers.err
    # As long as gc may take.
    sleep "$((RANDOM % (commits / 200 + 1))).$((RANDOM % 10))"
    kill_daemon
    touch enough
    wait $collector
    for pid in "${committers[@]}"; do
        wait "$pid" || true
    done
    mount_store
    remove_locks
    # What a worktree had not committed yet is not what is asked here.
    for name in "${worktrees[@]}"; do
        git -C "$mnt/$name" reset -q --hard
        git -C "$mnt/$name" clean -q -f -d
        holds_commits 1
        git -C "$work" log --reverse --format=%s "main..$name" >"made.$name"
    done
    git -C "$work" fsck --strict --no-progress
    are_untouched work plain shared packed
    git -C "$work" gc --quiet --prune=now
    same "" "$(find "$work/.git/objects" -name 'tmp_*')"
    git -C "$work" fsck --strict --no-progress
}

ends() {
    local name
    for name in "${worktrees[@]}"; do
        git -C "$work" worktree remove "$mnt/$name"
    done
    remount
    git -C "$work" fsck --strict --no-progress
    is_sound "$mnt/shared"
    is_sound "$mnt/plain"
    rm -rf "$work" "$mnt"/{plain,shared,packed}
    same "" "$(ls -A "$mnt")"
}

mount_store || exit 1
check "a history of $commits commits, made beneath" makes_history
all_objects=$(objects_of source.git)
echo "# $(git -C source.git count-objects -v | tr '\n' ' ')"
check "all of its objects loose" unpacks
check "clones: plain, with links, shared" clones
check "no file changes over a remount and the daemon's death" untouched_later
check "nor in a mounted snapshot" untouched_in_snapshot
check "gc and repack, beside a clone with links and a shared one" collects
check "branches, rebase, merge, stash, bisect, bundle as beneath" works_alike
check "worktrees" adds_worktrees
check "gc while worktrees commit" collects_beside_commits
for ((kill = 1; kill <= kills; kill++)); do
    check "the daemon killed while gc runs and worktrees commit ($kill)" dies_while_collecting
done
check "all of it again, and removed" ends
check "unmounts after all that" umount_store
finish
