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
    """Make `lab` a word of your shell, completed by the Tab key.

    Prints what the shell has to read: the completion of lab's commands, options and labs and, where
    lab is not installed, a function `lab` that does the same as an installed one: it runs the
    version that the project that you are in pins, and asks before it runs one for the first time.
    Once is enough for all your projects. Keep it in a file that the shell reads when it starts:

    \b
      uv run lab.py completion bash > ~/.lab.bash && echo "source ~/.lab.bash" >> ~/.bashrc
      uv run lab.py completion zsh > ~/.lab.zsh && echo "source ~/.lab.zsh" >> ~/.zshrc
      uv run lab.py completion fish > ~/.config/fish/conf.d/lab.fish

    Every terminal that you open from then on has it. Tab asks nothing over the network, so the
    names of runs are not completed: only the machine knows them.
    """
    from ..ui.completion import completion_script
    from ..version import this_version

    lab = click.get_current_context().find_root().command
    assert isinstance(lab, click.Group)
    context.console.say(completion_script(lab, shell, this_version()))
