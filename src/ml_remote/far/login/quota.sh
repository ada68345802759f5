# needs: time-limit
# shellcheck shell=sh disable=SC2154
# quotas FOLDER...: what the programs that know quotas say of this person's, and of their groups': a line
# `quota`, the program, and what it says. Folders are for Lustre, which is asked about one at a time.
quotas() {
    mute=''
    printf 'quota-of\t%s\t%s\n' "$(id -un)" "$(id -gn)"
    for whose in -u -g; do
        ! command -v quota >/dev/null 2>&1 || said_by quota quota -w "$whose"
        name=$(id "${whose}n")
        for folder; do
            ! command -v lfs >/dev/null 2>&1 || said_by lfs lfs quota "$whose" "$name" "$folder"
        done
        for program in mmlsquota /usr/lpp/mmfs/bin/mmlsquota; do
            command -v "$program" >/dev/null 2>&1 || continue
            said_by mmlsquota "$program" "$whose" "$name" --block-size 1K
            break
        done
    done
}

# said_by TOOL COMMAND...: its lines; one that has not answered in time is not asked again
said_by() {
    tool=$1
    shift
    case $mute in *" $tool "*) return 0 ;; esac
    answered=$(LC_ALL=C $patiently "$@" 2>/dev/null </dev/null)
    [ "$?" != 124 ] || mute="$mute $tool "
    [ -z "$answered" ] || printf '%s\n' "$answered" | awk -v tool="$tool" '{ print "quota\t" tool "\t" $0 }'
}

# large: how many KiB the things take that could be elsewhere, a line `size` for each that is there
large() {
    for folder in .lab/envs .lab/cache .lab/wheels outputs data "$HOME/.cache" "$HOME/.conda/pkgs" \
        "$HOME/.local/share/uv" "$HOME/.vscode-server" "$HOME/.cursor-server"; do
        [ -d "$folder" ] && [ ! -L "$folder" ] || continue
        taken=$($patiently du -sk "$folder" 2>/dev/null | cut -f 1)
        [ -z "$taken" ] || printf 'size\t%s\t%s\n' "$taken" "$folder"
    done
}
