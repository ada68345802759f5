# shellcheck shell=sh
# How busy the machine is; what it does not have is left out. $1 is the project's folder.
cd || exit
patiently=''
! command -v timeout >/dev/null 2>&1 || patiently='timeout 20' # a broken driver may never answer
ask_gpu() {
    $patiently nvidia-smi --format=csv,noheader,nounits "$1" 2>&1
}
printf 'host\t%s\n' "$(uname -n)"
if command -v nvidia-smi >/dev/null 2>&1; then
    if said=$(ask_gpu --query-gpu=uuid,index,name,utilization.gpu,memory.used,memory.total); then
        printf '%s\n' "$said" | sed 's/^/gpu, /; s/, */\t/g' | tr -d '\r'
        ask_gpu --query-compute-apps=gpu_uuid,pid,used_gpu_memory |
            while IFS=', ' read -r uuid process used; do
                user=$(ps -o user= -p "$process" 2>/dev/null)
                printf 'user\t%s\t%s\t%s\n' "$uuid" "$used" "${user:-somebody}"
            done
    else
        printf 'gpu-fault\t%s\n' "$(printf '%s\n' "$said" | sed -n '/./{p;q;}')"
    fi
fi
if [ -r /proc/loadavg ]; then load=$(cut -d ' ' -f 1 /proc/loadavg); else
    load=$(uptime | sed 's/.*averages*: *//; s/[ ,]* .*//')
fi
printf 'load\t%s\t%s\n' "$load" "$(getconf _NPROCESSORS_ONLN 2>/dev/null || nproc)"
if [ -r /proc/meminfo ]; then
    awk '/^MemTotal:/ { total = $2 } /^MemAvailable:/ { free = $2 }
        END { printf "memory\t%d\t%d\n", free, total }' /proc/meminfo
elif command -v vm_stat >/dev/null 2>&1; then
    vm_stat | awk -v total="$(sysctl -n hw.memsize)" '
        /page size of/ { size = $8 }
        /^Pages (free|inactive|purgeable|speculative):/ { free += $NF }
        END { printf "memory\t%d\t%d\n", free * size / 1024, total / 1024 }'
fi
place=$1
[ -d "$place" ] || place=.
df -Pk "$place" | tr '\t' ' ' | sed -n '
    s/.* \([0-9][0-9]*\)  *[0-9][0-9]*  *\([0-9][0-9]*\)  *[0-9]*% .*/disk \2 \1/p' |
    tr ' ' '\t'
