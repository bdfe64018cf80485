# lsmfs.fish - completion of lsmfs for fish.  Commands, options and what they take are read from
# what `lsmfs ... --help` says, so that nothing is known here that could be forgotten there.

# __lsmfs_commands WORDS HELP...: the commands that a help text has behind "lsmfs WORDS", words with
# a space behind each.
function __lsmfs_commands
    set -l words $argv[1]
    string replace -rf "^(?:Usage:|      ) lsmfs $words([a-z|]+)(?: .*|\$)" '$1' -- $argv[2..] |
        string split '|'
end

# Options, those with a value with a '=' at their end.
function __lsmfs_options
    string replace -rf '^ +(-[^ ,]+(?:, -[^ ,]+)*).*' '$1' -- $argv | string split ', ' |
        string replace -r '=.*' '='
end

function __lsmfs_mount_options
    set -l inside
    for line in $argv
        if test "$line" = Options:
            set inside yes
        else if test -z "$line"
            set inside
        else if test -n "$inside"
            string replace -rf '^  ([^ ].*?)  .*' '$1' -- $line | string split ', ' |
                string replace -r '=[A-Z].*' '='
        end
    end
end

# The operands of a command: of the usage the words in capitals, but for those of options.
# "[NAME]" may be left out, "NAME..." may be repeated.
function __lsmfs_operands
    set -l usage (string replace -rf "^Usage: lsmfs $argv[1]" '' -- $argv[2..])[1]
    string replace -ra -- '--? ?[^ ]* [A-Z]+' '' $usage | string split ' ' |
        string match -r '^\[?[A-Z][A-Z|-]*\]?(?:\.\.\.)?$' | string match -v '*OPTION*'
end

function __lsmfs_mounted
    string replace -rf '^[^ ]* ([^ ]*) fuse\.lsmfs .*' '$1' </proc/self/mounts |
        string replace -a '\\040' ' '
end

function __lsmfs_snapshots
    $argv[1] snapshot list $argv[2] 2>/dev/null | string replace -r '^\S+ +\S+ [a-z]*  ' ''
end

# The keys of a store that begin as the third argument does, down to the next '/'.
function __lsmfs_keys
    set -l folder (string match -r '^.*(?=/)' -- $argv[3])
    for name in ($argv[1] ls $argv[2] $folder 2>/dev/null)
        string join / $folder $name
    end
end

# What the operand may be: its name, lsmfs, and the store or mount point before it.
function __lsmfs_operand
    set -l current (commandline -ct)
    switch $argv[1]
        case '*MOUNTPOINT*'
            __lsmfs_mounted
            if test $argv[1] != MOUNTPOINT -o -n "$argv[3]"
                __fish_complete_directories $current ''
            end
        case 'STORE*' '*NEW-STORE*'
            __fish_complete_directories $current ''
        case '*KEY*' '*PATH*'
            __lsmfs_keys $argv[2] $argv[3] $current
        case 'NAME*' OLD FROM '[TO]'
            __lsmfs_snapshots $argv[2] $argv[3]
        case '*FILE*'
            __fish_complete_path $current ''
    end
end

# In a list of mount options, behind the last comma.
function __lsmfs_mount_option
    set -l list (string match -r '^.*,' -- (commandline -ct))
    set -l last (string replace -r '^.*,' '' -- (commandline -ct))
    switch $last
        case 'snapshot=*'
            printf '%s\n' "$list"snapshot=(__lsmfs_snapshots $argv[1] $argv[2])
        case 'uid=*'
            printf '%s\n' "$list"uid=(__fish_complete_users | string split -f 1 \t)
        case 'gid=*'
            printf '%s\n' "$list"gid=(__fish_complete_groups | string split -f 1 \t)
        case '*'
            printf '%s\n' "$list"(__lsmfs_mount_options $argv[3..])
    end
end

function __lsmfs_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l program $words[1]
    set -l help ($program --help 2>/dev/null)
    set -l commands (__lsmfs_commands '' $help)
    set -l command
    set -l path ''
    set -l i 2

    while test $i -le (count $words); and contains -- $words[$i] $commands
        set -a command $words[$i]
        set path "$command "
        set help ($program $command --help 2>/dev/null)
        set commands (__lsmfs_commands $path $help)
        set i (math $i + 1)
    end
    if test $i -gt (count $words)
        and not string match -q -- '-*' $current
        printf '%s\n' $commands
        # Without a command it is a store; `lsmfs snapshot` takes nothing but one.
        if test -n "$command" -a -n "$commands"
            return
        end
    end

    set -l valued -o (__lsmfs_options $help | string replace -rf '=$' '')
    set -l given
    while test $i -le (count $words)
        if test $words[$i] = --
            set -l rest $words[(math $i + 1)..]
            complete -C (string join ' ' -- (string escape -- $rest) $current)
            return
        else if not string match -q -- '-*' $words[$i]
            set -a given $words[$i]
        else if contains -- $words[$i] $valued
            set i (math $i + 1)
        end
        set i (math $i + 1)
    end

    if test -z "$command" -a "$words[-1]" = -o
        __lsmfs_mount_option $program "$given[1]" $help
    else if string match -q -- '--*=*' $current
        printf '%s\n' (string match -r -- '^--[^=]*=' $current)(__fish_complete_path \
            (string replace -r -- '^--[^=]*=' '' $current) '')
    else if contains -- $words[-1] $valued
        __fish_complete_path $current ''
    else if string match -q -- '-*' $current
        __lsmfs_options $help
        test -n "$command"; or printf '%s\n' -o
    else
        set -l operands (__lsmfs_operands $path $help)
        set -l at (math (count $given) + 1)
        if test $at -gt (count $operands)
            and string match -q -- '*...' $operands[-1]
            set at (count $operands)
        end
        # A name that is to be made is not one of those that there are.
        if test -n "$operands[$at]" -a "$operands[$at]" != '[NAME]'
            __lsmfs_operand $operands[$at] $program "$given[1]"
        end
    end
end

complete -c lsmfs -f -a '(__lsmfs_complete)'
