"""`lab init`."""

from __future__ import annotations

import click

from ..context import Context
from ..errors import UsageError
from .options import yes_option

__all__ = ["init"]


@click.command(
    epilog="Example: lab init --alias gpu --address ada@gpu.example.com",
)
@click.option("--alias", metavar="NAME", help="SSH alias for the machine.")
@click.option(
    "--address", metavar="USER@HOST[:PORT]", help="The machine, as you type it after ssh."
)
@click.option(
    "--folder", metavar="PATH", help="The project's folder on the machine. [default: its name here]"
)
@click.option("--package", metavar="NAME", help="The package in src/ that programs import.")
@click.option("--remove", "take_back", is_flag=True, help="Undo what `lab init` added.")
@yes_option
@click.pass_obj
def init(
    context: Context,
    alias: str | None,
    address: str | None,
    folder: str | None,
    package: str | None,
    take_back: bool,
    yes: bool,
) -> None:
    """Turn an existing git repository into a project of lab.

    It adds lab.toml and lab.py, and offers lines for .gitignore and VS Code; a file that exists is
    changed only after you have seen the difference. The environment is made from the repository's
    own list: uv.lock, environment.yml, pyproject.toml or requirements.txt. Nothing is committed.
    """
    from ..initialising.init import init as carry_out
    from ..initialising.init import remove
    from ..initialising.questions import Answers

    if take_back:
        if alias or address or folder or package:
            raise UsageError("The only option that can be used with `--remove` is `--yes`.")
        remove(context, yes=yes)
        return
    answers = Answers(alias=alias, address=address, folder=folder, package=package, yes=yes)
    carry_out(context, answers)
