# shellcheck shell=sh disable=SC2154
# Begins the record of this run, and has the runner complete it; see record.py. FAR is the folder of
# the far half. What cannot be written stops no run.
if [ -x .venv/bin/python ]; then
    recorder=$(CDPATH='' cd -P -- .venv/bin && pwd -P)/python
    {
        printf '%s\n' "$recorder" "$FAR" "$LAB_OUTPUT_DIR" >"${LAB_JOB_FOLDER}record"
        "$recorder" -s -E "$FAR" record begin
    } </dev/null >/dev/null 2>&1
    unset recorder
fi
