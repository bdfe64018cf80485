# completion.zsh - prints what zsh offers for a line, one candidate a line: a shell in a terminal of
# its own, in which compadd notes what it is given.
#
#     zsh -f completion.zsh FOLDER LINE
zmodload zsh/zpty
folder=$1 line=$2
noted=$(mktemp)

cat >$noted.rc <<RC
fpath=($folder \$fpath)
autoload -U compinit && compinit -u -D
unsetopt auto_list auto_menu beep
compadd() {
    local -a hits
    [[ " \$* " == *" -"[OAD]" "* ]] && { builtin compadd "\$@"; return }
    builtin compadd -A hits "\$@"
    (( \$#hits )) && print -rl -- \$hits >>$noted
    builtin compadd "\$@"
}
# Before the editor reads, the terminal would take ^U for itself.
zle-line-init() { : >$noted.reads }
zle -N zle-line-init
RC

# Reads what the shell writes, which it else would wait for, until a file is there.
await() {
    local output
    for ((i = 0; i < 1000; i++)); do
        [[ ! -e $1 ]] || return
        zpty -r -t shell output || sleep 0.02
    done
    print -u2 "zsh does not go on"
    exit 1
}

zpty shell zsh -f -i
zpty -w shell ". $noted.rc"
await $noted.reads
zpty -w -n shell "$line"$'\t\C-u'
zpty -w shell ": >$noted.end"
await $noted.end
zpty -d shell
sort -u $noted
rm -f $noted $noted.*
