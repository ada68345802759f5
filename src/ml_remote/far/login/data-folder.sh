# needs: folder
# shellcheck shell=sh
# data_folder WAY FOLDER: prints the state of `data`, which is to be a link to FOLDER if that is not
# empty. With `make` what is missing is made, with `link` the link alone, with `look` nothing. What is
# there already stays as it is.
same_folder() { [ "$(cd -- "$1" && pwd -P)" = "$(cd -- "$2" && pwd -P)" ]; }
data_folder() {
    [ "$1" != make ] || [ -e "${2:-data}" ] || { [ -z "$2" ] && [ -L data ]; } ||
        mkdir -p -- "${2:-data}" 2>/dev/null
    if [ "$1" != look ] && [ -n "$2" ] && [ -d "$2" ] && [ ! -e data ] && [ ! -L data ]; then
        ln -s "$2" data 2>/dev/null
    fi
    if [ -n "$2" ] && [ ! -d "$2" ]; then
        echo missing
    elif [ -d data ] && { [ -z "$2" ] || same_folder data "$2"; }; then
        echo there
    elif [ -e data ] || { [ -L data ] && [ -n "$2" ]; }; then
        echo taken
    elif [ -L data ]; then
        echo dangling
    else
        echo none
    fi
}
