#!/bin/bash
#
# completion.sh - what bash, zsh and fish complete of lsmfs is what there is: commands and options
# against the tables in the source and the help, mount options against the helper of mount(8);
# mounted stores, snapshots and keys.

root=$(realpath "$(dirname "$0")/../..")
# shellcheck source=tests/fs/mounted.bash
. "$root/tests/fs/mounted.bash"

folder=$root/mount-helpers/completion
# In there no name of a file is offered beside what is asked for.
mkdir "$WORK/empty"
cd "$WORK/empty" || exit 1
export PATH=$BIN:$PATH

# ---- what a shell offers for a line ----

# As readline splits it: '=' is a word.
complete_in_bash() {
    line=$1 bash --norc -c '
        . /usr/share/bash-completion/bash_completion
        . "$0/lsmfs.bash"
        compopt() { :; }
        mapfile -t COMP_WORDS < <(sed "s/=/ = /g; s/  */\n/g" <<<"$line")
        [[ $line != *= ]] || COMP_WORDS=("${COMP_WORDS[@]::${#COMP_WORDS[@]}-1}" "")
        COMP_LINE=$line COMP_POINT=${#line} COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _lsmfs lsmfs "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}"
        printf "%s\n" "${COMPREPLY[@]}"' "$folder"
}

complete_in_zsh() {
    zsh -f "$root/tests/fs/completion.zsh" "$folder" "$1"
}

complete_in_fish() {
    # shellcheck disable=SC2016
    fish --no-config -c '. $argv[1]/lsmfs.fish; complete -C $argv[2]' "$folder" "$1"
}

# offered LINE: without what the shells have before and behind it, each in its way: a description,
# the part of a list that is there, and in "uid=root" the name.
offered() {
    "complete_in_$shell" "$1" | sed -E 's/\t.*//; s/^[^/]*,//; s/^[a-z]+=(.)/\1/' | grep . | sort -u
}

offers() {
    same "$(sort -u <<<"$2")" "$(offered "$1")"
}

offers_among_others() {
    local all
    all=$(offered "$1")
    echo "$all"
    grep -qxF -- "$2" <<<"$all"
}

# ---- what there is ----

# The first strings of the rows of a table in a source.
table() {
    sed -nE 's/^    \{"([a-z]+)", .*cli_.*/\1/p' "$root/fs/main.c"
}

snapshot_table() {
    sed -nE 's/^    \{"([a-z]+)", "snapshot .*/\1/p' "$root/fs/cli/cli_snapshot.c"
}

options_of() {
    # shellcheck disable=SC2086
    "$lsmfs" $1 --help | awk '/^ +-/ {
        for (i = 1; $i ~ /^-/; i++) {
            more = $i ~ /,$/
            sub(/,$/, "", $i)
            sub(/=.*/, "=", $i)
            print $i
            if (!more) break
        }
    }'
}

# Each long option of a table for getopt_long is one of that file's help.
help_has_every_option() {
    local file option count=0
    for file in "$root"/fs/cli/cli_*.c; do
        # The command lines of these are those of others.
        case ${file##*/} in
        cli_mounted.c | cli_line.c) continue ;;
        esac
        for option in $(sed -nE 's/.*\{"([a-z-]+)", (no|required)_argument.*/\1/p' "$file"); do
            grep -qE "\".* --${option}[=, ]" "$file" ||
                { echo "${file##*/}: no help on --$option" && return 1; }
            count=$((count + 1))
        done
    done
    [ $count -gt 15 ]
}

# ---- what is held against what ----

commands_are_offered() {
    [ "$(table | wc -l)" -gt 10 ]
    offers 'lsmfs ' "$(table)"
    offers 'lsmfs sna' snapshot
    offers 'lsmfs snapshot ' "$(snapshot_table)"
}

options_are_offered() {
    local command
    for command in $(table | grep -vx snapshot) $(snapshot_table | sed 's/^/snapshot:/'); do
        command=${command/:/ }
        echo "lsmfs $command"
        offers "lsmfs $command -" "$(options_of "$command")"
    done
    offers 'lsmfs -' "$(options_of '' | sed '$a-o')"
}

# All that it offers the helper accepts, and it has what the parser has for this.
mount_options_are_offered() {
    local option all
    all=$("complete_in_$shell" 'lsmfs store mnt -o ' | sed 's/\t.*//')
    ln -sf "$lsmfs" "$WORK/mount.lsmfs"
    for option in $all; do
        case $option in
        loglevel=) option+=info ;;
        memory=) option+=64M ;;
        *=) option+=1 ;;
        remount) continue ;; # of what is mounted
        esac
        echo "$option"
        "$WORK/mount.lsmfs" -f -o "$option" "$WORK/one" "$WORK/other"
    done
    for option in $(sed -nE 's/.*\(strcmp\(option, "([a-z]+)"\).*/\1/p; s/^    \{"([a-z]+)", true, set_.*/\1/p' \
        "$root/fs/daemon/options.c"); do
        case $option in
        # What is so without them, what says who asks, and what is an option of its own.
        default_permissions | relatime | atime | nostrictatime | diratime | nofail | debug) ;;
        *) grep -q "^$option\(=.*\)\?\$" <<<"$all" || { echo "not offered: $option" && return 1; } ;;
        esac
    done
    offers 'lsmfs store mnt -o ro,commi' commit=
    offers 'lsmfs store mnt -o ro,uid=roo' root
}

mounts_are_offered() {
    local command
    for command in umount status sync import 'snapshot list' 'snapshot prune' backup check export repair; do
        offers_among_others "lsmfs $command " "$mnt"
    done
}

snapshots_are_offered() {
    local names=$'monday\ntuesday'
    offers "lsmfs snapshot delete $mnt " "$names"
    offers "lsmfs snapshot delete $mnt monday t" tuesday
    offers "lsmfs snapshot rename $mnt " "$names"
    offers "lsmfs snapshot rename $mnt monday " ''
    offers "lsmfs snapshot create $mnt " ''
    offers "lsmfs $store $WORK/other -o ro,snapshot=" "$names"
}

keys_are_offered() {
    offers "lsmfs get $store " $'greeting\nnotes/'
    offers "lsmfs rm $store greeting notes/t" $'notes/today\nnotes/tomorrow'
    offers "lsmfs ls $store notes/to" $'notes/today\nnotes/tomorrow'
    offers "lsmfs put $store gr" greeting
}

files_are_offered() {
    mkdir -p here/below
    : >here/file
    offers_among_others 'lsmfs check he' here/ || offers_among_others 'lsmfs check he' here
    "complete_in_$shell" "lsmfs put $store greeting here/f" | grep -x 'here/file\|file'
    "complete_in_$shell" 'lsmfs export -o here/f' | grep -x 'here/file\|file'
    rm -r here
}

command_is_offered() {
    offers_among_others "lsmfs backup $mnt -- rsyn" rsync
}

# Unmounted keys and snapshots are read, and nothing is written for that.
nothing_is_changed() {
    local before
    before=$(cd "$store" && stat -c '%n %Y %s' -- *)
    offers "lsmfs get $store gr" greeting
    offers "lsmfs snapshot delete $store m" monday
    same "$before" "$(cd "$store" && stat -c '%n %Y %s' -- *)"
}

each() {
    for shell in bash zsh fish; do
        check "$shell: $1" "$2"
    done
}

mount_store || exit 1
mkdir "$mnt/notes"
echo hello | tee "$mnt/greeting" "$mnt/notes/today" >"$mnt/notes/tomorrow"
mkdir "$mnt/.snapshots/monday" "$mnt/.snapshots/tuesday"

check "the help has every option of the commands" help_has_every_option
each "commands" commands_are_offered
each "options" options_are_offered
each "mount options" mount_options_are_offered
each "what is mounted" mounts_are_offered
each "snapshots" snapshots_are_offered
each "keys" keys_are_offered
each "files" files_are_offered
each "the command of a backup" command_is_offered
check "unmounts" umount_store
each "of a store that is not mounted, without a change" nothing_is_changed
finish
