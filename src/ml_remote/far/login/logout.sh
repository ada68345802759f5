# shellcheck shell=sh
# at_logout [ROOT]: what systemd-logind does with what a person has left running when their last
# connection ends: `ends` or `keeps` it; nothing where there is no systemd. ROOT stands for / in tests.
# Whether the person lingers (loginctl) is no matter of what a connection has started.
at_logout() {
    [ -d "${1-}/run/systemd/system" ] || return 0
    manager='org.freedesktop.login1 /org/freedesktop/login1 org.freedesktop.login1.Manager'
    bounded=''
    ! command -v timeout >/dev/null 2>&1 || bounded='timeout 10'
    # shellcheck disable=SC2086
    said=$($bounded busctl get-property $manager KillUserProcesses KillOnlyUsers KillExcludeUsers \
        2>/dev/null) || said=$(logind_settings "${1-}")
    # As manager_shall_kill() in logind-core.c decides it.
    printf '%s\n' "$said" | awk -v user="$(id -un)" '
        { gsub(/"/, ""); for (i = 3; i <= NF; i++) if ($i == user) named[NR] = 1 }
        NR == 1 { ends = $2 == "true" }
        NR == 2 && $2 > 0 { ends = named[2] }
        NR == 3 { if (named[3] || ($2 == 0 && user == "root")) ends = 0; known = 1 }
        END { if (known) print ends ? "ends" : "keeps" }'
}

# logind_settings ROOT: the same three settings from its files, in the words of busctl
logind_settings() {
    set -- "$1/etc/systemd" "$1/run/systemd" "$1/usr/local/lib/systemd" "$1/usr/lib/systemd"
    settings=''
    for folder; do
        [ -n "$settings" ] || [ ! -r "$folder/logind.conf" ] || settings=$folder/logind.conf
    done
    names=$(for folder; do
        for file in "$folder"/logind.conf.d/*.conf; do
            [ ! -e "$file" ] || printf '%s\n' "${file##*/}"
        done
    done | sort -u)
    {
        [ -z "$settings" ] || awk 1 "$settings"
        printf '%s\n' "$names" | while read -r name; do
            for folder; do
                if [ -n "$name" ] && [ -e "$folder/logind.conf.d/$name" ]; then
                    printf '[]\n' # what comes before a heading is in no section
                    awk 1 "$folder/logind.conf.d/$name"
                    break
                fi
            done
        done
    } 2>/dev/null | awk -F = '
        /^[ \t]*[#;]/ { next }
        /^[ \t]*\[/ { inside = /^[ \t]*\[Login\][ \t]*$/; next }
        inside && NF > 1 {
            key = $1; value = substr($0, index($0, "=") + 1)
            gsub(/^[ \t]+|[ \t]+$/, "", key); gsub(/^[ \t]+|[ \t]+$/, "", value)
            if (key == "KillUserProcesses") kill = tolower(value)
            if (key == "KillOnlyUsers") only = value == "" ? "" : only " " value
            if (key == "KillExcludeUsers") exclude = value == "" ? "" : exclude " " value
        }
        END {
            print "b", kill ~ /^(1|yes|y|true|t|on)$/ ? "true" : "false"
            print "as", split(only, some, " "), only
            print "as", split(exclude, some, " "), exclude
        }'
}
