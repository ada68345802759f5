# needs: folder
# shellcheck shell=sh
# The absolute path of the project's folder, on the last line: start-up files may print before it.
pwd -P
