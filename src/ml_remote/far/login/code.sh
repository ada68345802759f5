# shellcheck shell=sh disable=SC2034,SC2154
# Goes to the checkout that a run has of its own, if it has one; $code_path is where Python is to look
# first then. $python and $FAR are set before.
code_path=''
if [ -n "${LAB_SET-}" ]; then # of a sweep, whose worker has made the checkout
    code_path=${LAB_SET_PATH-}
    cd "${LAB_CODE:-.}" || exit
elif [ -f "${LAB_JOB_FOLDER-}code" ]; then
    { read -r code && read -r _ && read -r _ && read -r _ && read -r code_path; } <"${LAB_JOB_FOLDER}code"
    if [ "$code" = checkout ]; then
        LAB_CODE=$(pwd -P)/.lab/code/$LAB_JOB
        export LAB_CODE
        cd "$LAB_CODE" || exit
        [ "${SLURM_NODEID:-0}" != 0 ] || PYTHONPATH=$code_path "$python" -s "$FAR" checkout prove "$LAB_CODE" "$LAB_JOB_FOLDER"
    fi
fi
