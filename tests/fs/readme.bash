# shellcheck shell=bash
#
# readme.bash - the README's captured sessions, run again.  Sourced behind mounted.bash.
#
# What differs from one run to the next (times, ages, the totals of ls, which depend on it) is
# the same when both are normal_text.

readme=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../../README.md")

# console_block COMMAND: the session in which that command begins a line.
console_block() {
    awk -v wanted="\$ $1" '
        /^```console$/ { inside = 1; text = ""; found = 0; next }
        /^```$/ { if (inside && found) printf "%s", text; inside = 0; next }
        inside { text = text $0 "\n"; if (index($0, wanted) == 1) found = 1 }' "$readme"
}

normal_text() {
    sed -E -e 's/[A-Z][a-z]{2} +[0-9]+ +[0-9:]{4,5}/DATE/g; s/^total [0-9]+$/total N/
        s/[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]+Z/TIME/g; s/ +[0-9]+ s  / AGE /' \
        -e "s/ $(id -un) $(id -gn) / root root /"
}

# runs_session COMMAND [SED-SCRIPT]: the session with that command shows what the README says of
# it; the script is applied to both, as to put other paths in.
runs_session() {
    local block
    block=$(console_block "$1" | sed "${2:-}")
    [ -n "$block" ]
    sed -E 's/ {2,}#.*//' <<<"$block" >"$WORK/session.wanted"
    # All in one shell, so that cd lasts; what each command prints follows it.
    sed -n 's/^\$ //p' "$WORK/session.wanted" >"$WORK/session.commands"
    while IFS= read -r command; do
        echo "\$ $command"
        eval "$command" </dev/null || true # some fail on purpose, and say so
    done <"$WORK/session.commands" >"$WORK/session.got" 2>&1
    diff <(normal_text <"$WORK/session.wanted") <(normal_text <"$WORK/session.got")
}
