# shellcheck shell=sh disable=SC1090,SC2034,SC2154
# Read by zsh in place of each of its start-up files, $lab_file: reads the person's own one, and puts
# the environment first after the last of them.
lab_files=$ZDOTDIR
if [ -n "$lab_zdotdir" ]; then ZDOTDIR=$lab_zdotdir; else unset ZDOTDIR; fi
# The system's files may have put the history beside ours.
[ "${HISTFILE-}" != "$lab_files/.zsh_history" ] || HISTFILE=${ZDOTDIR:-$HOME}/.zsh_history
[ ! -r "${ZDOTDIR:-$HOME}/$lab_file" ] || . "${ZDOTDIR:-$HOME}/$lab_file"
if [ "$lab_file" = .zlogin ]; then
    [ -z "$lab_bin" ] || PATH=$lab_bin:$PATH
    PS1=$lab_prompt$PS1
    unset lab_files lab_bin lab_prompt lab_zsh lab_zdotdir lab_file
else
    lab_zdotdir=${ZDOTDIR-}
    ZDOTDIR=$lab_files
fi
