# needs: data-folder
# shellcheck shell=sh
# Makes the link `data` to the folder $2 as `data_folder` does, and prints the state of it.
data_folder "$1" "$2"
