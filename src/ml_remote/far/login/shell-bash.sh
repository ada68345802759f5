# shellcheck shell=bash disable=SC1090,SC1091,SC2154
# What bash reads instead of ~/.bashrc: the files of a login shell, then the environment comes first.
[ ! -r /etc/profile ] || . /etc/profile
for lab_file in ~/.bash_profile ~/.bash_login ~/.profile ~/.bashrc; do
    if [ -r "$lab_file" ]; then
        . "$lab_file"
        break
    fi
done
[ -z "$lab_bin" ] || PATH=$lab_bin:$PATH
PS1=$lab_prompt$PS1
unset lab_file lab_bin lab_prompt
