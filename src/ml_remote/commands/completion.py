"""`lab completion`."""

from __future__ import annotations

import click

from ..context import Context

__all__ = ["completion"]


@click.command(
    epilog="Example: lab completion fish > ~/.config/fish/conf.d/lab.fish",
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_obj
def completion(context: Context, shell: str) -> None:
    """Add the command `lab` to your shell, with Tab completion.

    Prints what the shell has to read: completion for lab's commands, options and labs and, if lab
    is not installed, a function `lab` that runs the version that the current project pins (it asks
    before it runs one for the first time). You need this once, for all projects. Save it in a file
    that the shell reads when it starts:

    \b
      uv run lab.py completion bash > ~/.lab.bash && echo "source ~/.lab.bash" >> ~/.bashrc
      uv run lab.py completion zsh > ~/.lab.zsh && echo "source ~/.lab.zsh" >> ~/.zshrc
      uv run lab.py completion fish > ~/.config/fish/conf.d/lab.fish

    New terminals then have it. Tab does not use the network, so the names of runs, which only the
    machine knows, are not completed.
    """
    from ..ui.completion import completion_script
    from ..version import this_version

    lab = click.get_current_context().find_root().command
    assert isinstance(lab, click.Group)
    context.console.output(completion_script(lab, shell, this_version()))
