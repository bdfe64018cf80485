#!/bin/bash
#
# readme.sh - what the README tells a reader to type does what it says.
#
# Its sessions are run again and what they print is compared; one-line commands are run with the
# README's paths below WORK.  Those that other suites are made of (the two commands, CMake's, the
# packages', fstab's) are named there: a line that is in no list is a failure.

# shellcheck source=tests/fs/mounted.bash
. "$(dirname "$0")/mounted.bash"
# shellcheck source=tests/fs/readme.bash
. "$(dirname "$0")/readme.bash"
PATH=$BIN:$PATH
export HOME=$WORK RESTIC_PASSWORD=secret RESTIC_REPOSITORY=$WORK/restic
export BORG_BASE_DIR=$WORK/borg BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes

first_session() {
    mkdir first
    cd first
    runs_session 'lsmfs store mnt'
    same text "$(lsmfs get store notes/new)"
}

mounts_notes() {
    mkdir notes
    lsmfs notes.store notes
    echo text >notes/file
}

snapshot_session() {
    runs_session 'lsmfs snapshot create notes'
}

# An indented line of the README is a command if it begins as one.
commands() {
    sed -n 's/^    //p' "$readme" | sed -E 's/ {2,}#.*//; s/ {5,}[a-z].*//' |
        grep -E '^(lsmfs|mkdir|rmdir|mv|cat|rsync|cc|cmake|tests/|mount-helpers/)'
}

every_command() {
    local line
    commands >lines
    [ "$(wc -l <lines)" -ge 10 ]
    restic init --quiet
    borg init --encryption none "$WORK/backup.borg"
    mkdir backup
    while IFS= read -r line; do
        echo "$line"
        case $line in
        *OPTION*) ;;           # a synopsis, which fs/helpers holds against --help
        'lsmfs umount '*) ;;   # of it
        mount-helpers/quickstart* | tests/run*) ;; # packages-clean, and this run
        'cc program.c '*) ;;   # install
        *)
            case $line in
            'mv '*) mkdir notes/.snapshots/A ;;
            'rsync '*) mkdir notes/.snapshots/NAME ;;
            esac
            line=${line//MNT/notes}
            line=${line//\/backup::/$WORK/backup.borg::}
            line=${line//\/backup\//$WORK/backup/}
            line=${line//BACKUP/backup}
            (eval "$line") </dev/null
            ;;
        esac
    done <lines
    same text "$(cat backup/file)"
    same text "$(cat backup/notes/file)"
    [ "$(restic snapshots --json | grep -o short_id | wc -l)" = 1 ]
    [ "$(borg list --short "$WORK/backup.borg" | wc -l)" = 1 ]
}

check "the first session" first_session
check "a store at notes" mounts_notes
check "the session of snapshots" snapshot_session
check "every command on a line of its own" every_command
check "unmounts" lsmfs umount notes
finish
