#!/bin/sh
# Answers git's questions for a credential, once each, from two pipes that only the
# git we started inherits. Any other host's question gets no answer. See command.py.
case "$1" in
"Username for '$MUSTER_ASK_ORIGIN'"* | "Username for '$MUSTER_ASK_ORIGIN/"*)
    exec cat "/dev/fd/$MUSTER_ASK_USERNAME" ;;
"Password for '$MUSTER_ASK_ORIGIN'"* | "Password for '$MUSTER_ASK_ORIGIN/"* | \
    "Password for '$MUSTER_ASK_NAMED'"* | "Password for '$MUSTER_ASK_NAMED/"*)
    exec cat "/dev/fd/$MUSTER_ASK_SECRET" ;;
esac
echo "muster: no credential for this host" >&2
exit 1
