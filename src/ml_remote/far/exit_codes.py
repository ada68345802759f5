"""The exit codes with which programs on the machine, and ssh itself, end."""

from enum import IntEnum

__all__ = ["ExitCode"]


class ExitCode(IntEnum):
    """Exit codes other than 0 and what they mean; scripts have them as variables."""

    NO_FOLDER = 3
    """The project's folder is not on the machine."""
    NO_JOB = 4
    """There is no such job."""
    DISK = 5
    """Nothing can be written; what is printed is how many KiB are free."""
    NO_SLURM = 6
    """The machine has no sbatch."""
    REFUSED = 7
    """sbatch does not take the job; what it says is printed, then the partitions."""
    NO_GIT = 8
    """The machine has no git."""
    NO_REPOSITORY = 9
    """The project's folder is no repository."""
    NO_SETUP = 10
    """The project has no script that makes its environment."""
    NOT_YOURS = 11
    """The project's folder belongs to another user."""
    OLD_GIT = 12
    """The machine's git is older than the oldest that is of use; its version is printed."""
    LINKED = 13
    """`.lab` in the project's folder, or something in it, is a link."""
    IN_THE_WAY = 40
    """Files that git does not track would be replaced or removed; they are printed."""
    AHEAD = 41
    """The branch leads elsewhere than when it was last looked at."""
    CHANGED = 42
    """There is work that is not committed; the files are printed."""
    REFUSED_BY_GIT = 43
    """git does not check the commit out; what it says is printed."""
    STILL_RUNNING = 44
    """The run that is to be removed is not over."""
    NO_SECRET = 45
    """There is no secret of that name."""
    NO_CARDS = 47
    """There are not so many cards, or none can be handed out; the reason is printed."""
    NO_CODE = 46
    """A run's code cannot be put into a folder of its own; the reason is printed."""
    NO_METRIC = 48
    """A set of a sweep that is optimized saved no such metric; what it saved is noted."""
    NO_OPTUNA = 49
    """The environment has nothing that proposes the sets of a sweep."""
    NO_LINKS = 50
    """The disk has no hard links, by which the runs of a sweep claim their sets."""
    NO_ANSWER = 52
    """Slurm did not answer sbatch in time."""
    NO_KEY = 53
    """ssh-keygen makes no host key there."""
    NO_HOME = 70
    """There is no home directory."""
    NO_SSH_FOLDER = 71
    """`~/.ssh` cannot be made, or belongs to somebody else."""
    NOT_WRITABLE = 72
    """`~/.ssh/authorized_keys` cannot be written."""
    READ_ONLY = 73
    """`~/.ssh/authorized_keys` may not be written."""
    TRY_AGAIN = 75
    """EX_TEMPFAIL: a session of that kind is served already; or a run misses its other hosts."""
    NO_ENVIRONMENT = 90
    """A run or session found no `.venv` to run in, or one that lacks a package."""
    NOT_PREPARED = 91
    """A line of [slurm] prepare failed, or start-up files end the login shell; it is printed."""
    NOT_RUN = 97
    """The script was not run: the login shell, or a file that it reads, has taken its input."""
    SSH = 255
    """ssh itself failed, before the remote command or instead of it."""
