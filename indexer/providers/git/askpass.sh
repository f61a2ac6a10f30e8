#!/bin/sh
# Answers git's questions for a credential from two pipes that only the git we started
# inherits: a line for each question, as often as there are lines. Any other host's
# question gets no answer. See command.py.
answer() {
    IFS= read -r line < "/dev/fd/$1" && printf '%s\n' "$line" && exit 0
}
case "$1" in
"Username for '$MUSTER_ASK_ORIGIN'"* | "Username for '$MUSTER_ASK_ORIGIN/"*)
    answer "$MUSTER_ASK_USERNAME" ;;
"Password for '$MUSTER_ASK_ORIGIN'"* | "Password for '$MUSTER_ASK_ORIGIN/"* | \
    "Password for '$MUSTER_ASK_NAMED'"* | "Password for '$MUSTER_ASK_NAMED/"*)
    answer "$MUSTER_ASK_SECRET" ;;
esac
echo "muster: no credential for this host" >&2
exit 1
