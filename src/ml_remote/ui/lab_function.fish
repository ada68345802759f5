# The word `lab` of fish where it is not installed; lab_function.sh says what it does.
if not command --query lab
    function lab --description 'The lab of the project that you are in'
        set -l say echo
        test -z "$_LAB_COMPLETE"; or set say true
        set -l folder $PWD
        while test -n "$folder"; and not test -f "$folder/lab.toml"
            set folder (string replace --regex '/[^/]*$' '' -- $folder)
        end
        if test -z "$folder"
            $say "lab: There is no lab.toml in this folder or a folder above it." >&2
            return 1
        end
        if not test -f "$folder/lab.py"
            $say "lab: $folder has no lab.py. Install lab itself: uv tool install git+URL" >&2
            return 1
        end
        set -l others (find -L $folder $folder/lab.toml $folder/lab.local.toml $folder/lab.py \
            $folder/lab.py.lock -prune \
            '(' ! -user 0 ! -user (id -u) -o -perm -002 ')' 2>/dev/null)
        if test -n "$others"
            $say "lab: Another user owns this or can change it: $others" >&2
            $say "If you trust it, run the project's own command: uv run lab.py" >&2
            return 1
        end
        if not command --query uv
            python3 $folder/lab.py $argv
        else if test -f $folder/lab.py.lock
            uv run --frozen --quiet --script $folder/lab.py $argv
        else
            uv run --quiet --script $folder/lab.py $argv
        end
    end
end
