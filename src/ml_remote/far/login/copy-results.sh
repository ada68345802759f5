# shellcheck shell=sh disable=SC2016,SC2154
# copy_results JOB: copy what the run has written into the folders that the file JOB/folders names, one a
# line, into its results. It is not moved: a program may need it, and may write it again.
copy_results() {
    [ -s "$1/folders" ] || return 0
    { read -r results && while IFS= read -r folder; do
        [ ! -d "$folder" ] || find "$folder/" -type f -newer "$1/started" -exec sh -c '
            results=$1
            shift
            for file; do
                to=$results/$file
                [ ! -e "$to" ] || continue
                mkdir -p "${to%/*}" && cp -p "$file" "$results/.lab-copy" &&
                    mv "$results/.lab-copy" "$to"
            done' sh "$results" {} +
    done; } <"$1/folders"
}
