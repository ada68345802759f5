# shellcheck shell=sh disable=SC2034
# $patiently COMMAND...: run it for up to ten seconds: a disk in the network may not answer. An old
# busybox wants another word before the number.
patiently=''
! timeout 10 true 2>/dev/null || patiently='timeout 10'
