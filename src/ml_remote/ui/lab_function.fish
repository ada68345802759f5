# The word `lab` of fish where it is not installed; lab_function.sh says how.
if not command --query lab
    function lab --description 'The lab of the project that you are in'
        if command --query uv
            uv tool run --quiet SOURCE lab $argv
        else
            test -n "$_LAB_COMPLETE"; or echo "lab needs uv: https://docs.astral.sh/uv/" >&2
            return 1
        end
    end
end
