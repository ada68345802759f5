# shellcheck shell=sh disable=SC1090,SC1091,SC2154
# What ENV leads to: the files of a login shell, then the environment comes first.
ENV=$lab_env
[ ! -r /etc/profile ] || . /etc/profile
[ ! -r ~/.profile ] || . ~/.profile
[ ! -r "${ENV:-}" ] || . "$ENV"
[ -z "$lab_bin" ] || PATH=$lab_bin:$PATH
PS1=$lab_prompt$PS1
unset lab_env lab_bin lab_prompt
