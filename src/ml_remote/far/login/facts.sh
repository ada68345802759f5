# needs: owner free git
# shellcheck shell=sh disable=SC2154
# What `lab doctor` asks the machine. $1 is the project's folder; the disk that counts is the one it
# is on, or will be on. Every line begins with a mark: the login shell may print lines of its own.
case $1 in /*) place=$1 ;; *) place=$HOME/$1 ;; esac
say() { printf 'lab-fact %s\n' "$*"; }
say time "$(date +%s)"
say python "$(python3 -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null)"
say git "$git_version"
[ ! -x "$place/.venv/bin/python" ] || [ -e "$place/.lab/environment.incomplete" ] || say made yes
if is_foreign "$place"; then
    say foreign yes
elif [ -e "$place/.git" ] && [ ! -e "$place/.git/shallow" ]; then
    say roots "$(git -C "$place" rev-list --max-parents=0 HEAD 2>/dev/null | tr '\n' ' ')"
fi
while [ -n "$place" ] && [ ! -d "$place" ]; do place=${place%/*}; done
say free "$(free_kib "${place:-/}")"
say quota "$(quota -w 2>/dev/null | awk 'NR > 2 { print $2, $3, $4; exit }')"
