# shellcheck shell=bash
#
# lsmfs.bash - completion of lsmfs for bash.  Commands, options and what they take are read from
# what `lsmfs ... --help` says, so that nothing is known here that could be forgotten there.

# The commands that a help text has behind "lsmfs WORDS".
_lsmfs_commands() {
    sed -nE "s/^(Usage:|      ) lsmfs ${1:+$1 }([a-z|]+)( .*|\$)/\2/p" <<<"$2" | tr '|' '\n'
}

# Options, those with a value with a '=' at their end.
_lsmfs_options() {
    sed -nE 's/^ +(-[^ ,]+(, -[^ ,]+)*).*/\1/p' <<<"$1" | sed 's/, /\n/g' | sed 's/=.*/=/'
}

_lsmfs_mount_options() {
    sed -n '/^Options:/,/^$/s/^  \([^ ]\)/\1/p' <<<"$1" |
        sed 's/  .*//; s/, /\n/g' | sed 's/=[A-Z].*/=/'
}

# The operands of a command, one a line: of the usage the words in capitals, but for those of
# options.  "[NAME]" may be left out, "NAME..." may be repeated.
_lsmfs_operands() {
    sed -nE "s/^Usage: lsmfs ${1:+$1 }//p" <<<"$2" | sed -n 1p | sed -E 's/--? ?[^ ]* [A-Z]+//g' |
        tr ' ' '\n' | grep -E '^\[?[A-Z][A-Z|-]*\]?(\.\.\.)?$' | grep -v OPTION
}

_lsmfs_mounted() {
    awk '$3 == "fuse.lsmfs" { gsub(/\\040/, " ", $2); print $2 }' /proc/self/mounts
}

_lsmfs_snapshots() {
    "$1" snapshot list "$2" 2>/dev/null | sed 's/^[^ ]*  *[^ ]* [a-z]*  //'
}

# The keys of a store that begin as $3 does, down to the next '/'.
_lsmfs_keys() {
    local folder=
    [[ $3 != */* ]] || folder=${3%/*}
    "$1" ls "$2" ${folder:+"$folder"} 2>/dev/null | sed "s,^,${folder:+${folder//,/\\,}/},"
}

# Takes the lines read that begin as the word does into COMPREPLY.
_lsmfs_take() {
    local line
    while IFS= read -r line; do
        [[ $line != "$cur"* ]] || COMPREPLY+=("$line")
    done
}

# What the operand may be: $1 is its name, $2 lsmfs, $3 the store or mount point before it.
_lsmfs_operand() {
    compopt -o filenames
    case $1 in
    *MOUNTPOINT*)
        _lsmfs_take < <(_lsmfs_mounted)
        [ "$1" = MOUNTPOINT ] && [ -z "$3" ] || _filedir -d
        ;;
    STORE* | *NEW-STORE*) _filedir -d ;;
    *KEY* | *PATH*) compopt -o nospace && _lsmfs_take < <(_lsmfs_keys "$2" "$3" "$cur") ;;
    NAME* | OLD | FROM | '[TO]') _lsmfs_take < <(_lsmfs_snapshots "$2" "$3") ;;
    *FILE*) _filedir ;;
    esac
}

# In a list of mount options, behind the last comma.
_lsmfs_mount_option() {
    local list=
    [[ $cur != *,* ]] || list=${cur%,*},
    cur=${cur##*,}
    case $cur in
    snapshot=*) _lsmfs_take < <(_lsmfs_snapshots "$1" "$2" | sed 's/^/snapshot=/') ;;
    uid=*) _lsmfs_take < <(compgen -u | sed 's/^/uid=/') ;;
    gid=*) _lsmfs_take < <(compgen -g | sed 's/^/gid=/') ;;
    *) compopt -o nospace && _lsmfs_take < <(_lsmfs_mount_options "$help") ;; # a comma may follow
    esac
    COMPREPLY=("${COMPREPLY[@]/#/$list}")
    cur=$list$cur
}

_lsmfs() {
    local cur prev words cword help command='' operands=() given=() valued i
    _init_completion -n =: || return
    local program=$1

    help=$("$program" --help 2>/dev/null)
    for ((i = 1; i < cword; i++)); do
        _lsmfs_commands "$command" "$help" | grep -qxF -e "${words[i]}" || break
        command+=${command:+ }${words[i]}
        # shellcheck disable=SC2086
        help=$("$program" $command --help 2>/dev/null)
    done
    if [[ $cur != -* ]] && ((i == cword)); then
        _lsmfs_take < <(_lsmfs_commands "$command" "$help")
        # Without a command it is a store; `lsmfs snapshot` takes nothing but one.
        [ -z "$command" ] || [ -z "$(_lsmfs_commands "$command" "$help")" ] || return
    fi

    valued=" $(_lsmfs_options "$help" | sed -n 's/=$//p' | tr '\n' ' ')-o "
    for (( ; i < cword; i++)); do
        if [ "${words[i]}" = -- ]; then
            _command_offset $((i + 1))
            return
        elif [[ ${words[i]} != -* ]]; then
            given+=("${words[i]}")
        elif [[ $valued == *" ${words[i]} "* ]]; then
            ((++i))
        fi
    done
    mapfile -t operands < <(_lsmfs_operands "$command" "$help")

    if [ -z "$command" ] && [ "$prev" = -o ]; then
        _lsmfs_mount_option "$program" "${given[0]:-}"
    elif [[ $cur == --*=* || $valued == *" $prev "* ]]; then
        cur=${cur#--*=}
        _filedir
        return
    elif [[ $cur == -* ]]; then
        _lsmfs_take < <(_lsmfs_options "$help")
        [ -n "$command" ] || _lsmfs_take <<<-o
        [[ ${#COMPREPLY[@]} != 1 || ${COMPREPLY[0]} != *= ]] || compopt -o nospace
    elif ((${#operands[@]} > 0)); then
        i=${#given[@]}
        ((i < ${#operands[@]})) || [[ ${operands[-1]} != *... ]] || i=$((${#operands[@]} - 1))
        # A name that is to be made is not one of those that there are.
        [ "${operands[i]:-}" = '[NAME]' ] || _lsmfs_operand "${operands[i]:-}" "$program" "${given[0]:-}"
    fi
    # readline takes what is behind the last '=' for the word.
    if [[ $cur == *=* && $COMP_WORDBREAKS == *=* ]]; then
        COMPREPLY=("${COMPREPLY[@]#"${cur%=*}"=}")
    fi
} && complete -F _lsmfs lsmfs
