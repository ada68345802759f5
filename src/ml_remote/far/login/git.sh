# shellcheck shell=sh disable=SC2034
# How every git of these scripts is started, as git.py does it on the laptop: without the variables by
# which somebody's start-up file leads it elsewhere, and with the settings that we rely on.
# shellcheck disable=SC2046 # one word for each
unset $(git rev-parse --local-env-vars 2>/dev/null | grep '^GIT_[A-Z_]*$') \
    GIT_ALTERNATE_OBJECT_DIRECTORIES GIT_COMMON_DIR GIT_CONFIG GIT_CONFIG_COUNT \
    GIT_CONFIG_PARAMETERS GIT_DIR GIT_GRAFT_FILE GIT_IMPLICIT_WORK_TREE GIT_INDEX_FILE \
    GIT_INTERNAL_SUPER_PREFIX GIT_NO_REPLACE_OBJECTS GIT_OBJECT_DIRECTORY GIT_PREFIX \
    GIT_REPLACE_REF_BASE GIT_SHALLOW_FILE GIT_WORK_TREE GIT_ATTR_SOURCE GIT_DEFAULT_HASH \
    GIT_NAMESPACE GIT_QUARANTINE_PATH GIT_ALLOW_PROTOCOL GIT_DIFF_OPTS GIT_EXTERNAL_DIFF \
    GIT_GLOB_PATHSPECS GIT_ICASE_PATHSPECS GIT_LITERAL_PATHSPECS GIT_NOGLOB_PATHSPECS \
    GIT_PAGER_IN_USE GIT_PROTOCOL_FROM_USER GIT_TRACE GIT_TRACE2 GIT_TRACE2_EVENT GIT_TRACE2_PERF \
    GIT_TRACE_PACKET GIT_TRACE_PERFORMANCE GIT_TRACE_SETUP
GIT_TERMINAL_PROMPT=0 GIT_ASKPASS=''
export GIT_TERMINAL_PROMPT GIT_ASKPASS
# With a .gitconfig that it cannot read, git does not even tell its version.
git_version=$(command git --version 2>/dev/null ||
    HOME=/ XDG_CONFIG_HOME=/ command git --version 2>/dev/null)
git() {
    command git \
        -c color.ui=false -c color.advice=false -c color.diff=false -c color.grep=false \
        -c color.push=false -c color.remote=false -c color.status=false -c color.transport=false \
        -c core.askPass= -c core.fsmonitor=false -c core.quotePath=false -c core.safecrlf=false \
        -c diff.noprefix=false -c diff.orderFile=/dev/null -c diff.renames=false \
        -c fetch.prune=false -c fetch.pruneTags=false -c fetch.recurseSubmodules=false \
        -c i18n.logOutputEncoding=utf-8 -c log.follow=false -c log.showSignature=false \
        -c merge.autoStash=false -c push.followTags=false -c push.gpgSign=false \
        -c push.negotiate=false -c push.pushOption= -c push.recurseSubmodules=no \
        -c status.renames=false -c submodule.recurse=false "$@"
}

# is_old_git: whether it is older than the oldest that lab works with
is_old_git() {
    numbers=${git_version#git version }
    numbers=${numbers%% *}
    case $numbers in
    [01].* | 2.[0-9] | 2.[0-9].* | 2.10 | 2.10.*) ;;
    *) return 1 ;;
    esac
}
