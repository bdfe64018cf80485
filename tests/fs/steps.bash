# shellcheck shell=bash
#
# steps.bash - random steps on a mount and on the file system beneath, for scripts that kill the
# daemon in between.  Sourced after mounted.bash.
#
# The state that a death leaves must be exactly that after the acknowledged steps, or after one
# more, the one under way.

: "${TESTS:?the directory of prog_steps}"

# number_in FILE: how far a program says it has come.
number_in() {
    local number=0
    read -r number <"$1" 2>/dev/null || true
    echo "${number:-0}"
}

extended_of() {
    (cd "$1" && find . -type f | sort | xargs -r getfattr -d -m user. 2>/dev/null)
}

# Names, contents and extended attributes.
same_states() {
    same_trees "$1" "$2" && diff <(extended_of "$1") <(extended_of "$2")
}

# steps_hold SEED FIRST DONE EXPECTED DIRECTORY: is DIRECTORY as it must be when steps FIRST to
# DONE - 1 were acknowledged?  EXPECTED, which is as it was before FIRST, becomes what it is now;
# the steps go on from the number `next_step`.  A last step that is a write of many pages may be
# there in part.
steps_hold() {
    local pages
    "$TESTS/prog_steps" "$1" "$2" "$3" "$4"
    next_step=$3
    ! same_states "$4" "$5" >differs || return 0
    next_step=$(($3 + 1))
    # One page more each time; what is no write is done by the first, and not done again.  The
    # largest write touches 26.  (Bug: 25 were tried, and a whole one was taken for a loss.)
    for pages in {1..26}; do
        "$TESTS/prog_steps" "$1" "$3" "$next_step" "$4" /dev/null "$pages"
        ! same_states "$4" "$5" >/dev/null || return 0
    done
    echo "not the state after $3 steps, nor one more; after $3 it should have been"
    cat differs
    return 1
}

# All of `script` with the seed `seed` again, as the user of number `user`.
an_ordinary_user_can() {
    local theirs=$WORK/theirs
    mkdir "$theirs"
    # shellcheck disable=SC2154
    chown "$user:$user" "$theirs"
    # shellcheck disable=SC2154
    setpriv --reuid "$user" --regid "$user" --clear-groups \
        env WORK="$theirs" BIN="$BIN" TESTS="$TESTS" SEED="$seed" "$script" >theirs.log 2>&1 || {
        cat theirs.log
        return 1
    }
    cat theirs.log
    not grep '^not ok' theirs.log
}
