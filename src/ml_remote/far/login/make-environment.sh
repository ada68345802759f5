# needs: set-up login-network
# shellcheck shell=sh
# The command of the job that makes the environment; LAB_FAR, LAB_FAR_COMMIT, LAB_LISTS,
# LAB_WHEELS and LAB_UPGRADE are set before it.
LAB_PROGRESS=json
export LAB_FAR LAB_FAR_COMMIT LAB_LISTS LAB_WHEELS LAB_UPGRADE LAB_PROGRESS
take_network
set_up
