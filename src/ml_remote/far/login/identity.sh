# shellcheck shell=sh disable=SC2154
# Commits that are made here get the person's name from the laptop, $git_name and $git_email, where
# git on this machine knows none. It is never written into git's configuration.
if [ -n "$git_email" ] && [ -z "${EMAIL-}${GIT_AUTHOR_EMAIL-}${GIT_COMMITTER_EMAIL-}" ] &&
    command -v git >/dev/null 2>&1 && ! git config user.email >/dev/null 2>&1; then
    GIT_AUTHOR_NAME=$git_name GIT_AUTHOR_EMAIL=$git_email
    GIT_COMMITTER_NAME=$git_name GIT_COMMITTER_EMAIL=$git_email
    export GIT_AUTHOR_NAME GIT_AUTHOR_EMAIL GIT_COMMITTER_NAME GIT_COMMITTER_EMAIL
fi
