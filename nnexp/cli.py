"""The command `nnexp`: the first word chooses; whatever is not a known command goes to Hydra.

Imports nothing heavy, so that help and shell completion answer at once.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any

from nnexp import kernels
from nnexp.credentials import extract_passwords
from nnexp.errors import ExitStatus, UsageError, tell_failure, wants_traceback
from nnexp.garbage import collect_seldom
from nnexp.presets import CONFIG_GROUPS, FLAGS, choices, own_choices, own_groups, own_presets
from nnexp.terminal import say
from nnexp.timeline import span

COMMANDS = {
    "gradcheck": ("nnexp.commands.gradcheck", "check the whole gradient of the configured network numerically"),
    "evaluate": ("nnexp.commands.evaluate", "evaluate given weights: cost and classification report"),
    "rerun": ("nnexp.commands.rerun", "repeat a run or a sweep from its record, and compare"),
    "report": ("nnexp.commands.report", "compare the runs of a sweep, an experiment or a filter"),
    "sweeps": ("nnexp.commands.sweeps", "list the sweeps of the store and their state"),
    "ui": ("nnexp.commands.ui", "serve the MLflow UI for this store on the loopback address"),
    "sync": ("nnexp.commands.sync", "publish runs that are not in the store yet"),
}

HELP = """\
usage: nnexp [OVERRIDES]                 one run, as conf/config.yaml says
       nnexp -m KEY=A,B ...              a sweep
       nnexp COMMAND [--help]

commands:
{commands}

configuration groups:
{groups}

--config-dir DIR, for every command, adds your own presets; so does $NNEXP_CONFIG_DIR.
Everything else goes to Hydra: nnexp --cfg job shows the config, nnexp --hydra-help all of Hydra's flags.
Examples: nnexp optimizer=lbfgsb model.l2=3      nnexp experiment=ex4      nnexp -m model.l2=0,1,10 seed=0,1,2
"""


def help_text() -> str:
    """What `nnexp --help` prints."""
    width = max(map(len, COMMANDS))
    commands = "\n".join(f"  {name:<{width}}  {text}" for name, (_, text) in COMMANDS.items())
    return HELP.format(commands=commands, groups="\n".join(map(_group_help, (*CONFIG_GROUPS, *own_groups()))))


def _group_help(group: str) -> str:
    """A line that lists the choices of a group; the user's own come last and are said to be his."""
    own = own_choices(group)
    shipped = ", ".join(name for name in choices(group) if name not in own)
    yours = f"yours: {', '.join(own)}" if own else ""
    return f"  {group}: {'; '.join(filter(None, [shipped, yours]))}"


@span("other")
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status. Errors of any command are told in one line here."""
    if argv is None:
        collect_seldom()
    try:
        try:
            return _main(argv)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # nobody reads any further, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitStatus.FAILED
    except KeyboardInterrupt:
        say("Interrupted.")
        return ExitStatus.INTERRUPTED
    except Exception as error:
        if wants_traceback():
            if not isinstance(error, UsageError):
                raise
            traceback.print_exception(error)
        return tell_failure(error)


def _main(argv: Sequence[str] | None) -> int:
    with own_presets(extract_passwords(sys.argv[1:] if argv is None else argv)) as arguments:
        if argv is None:
            words, sys.argv[1:] = sys.argv[1:], arguments
            kernels.of_command(words, arguments)
        return _dispatch(arguments, is_process=argv is None)


def _dispatch(arguments: list[str], *, is_process: bool) -> int:
    # Hydra takes its flags before the overrides only; -m is typed anywhere.
    arguments.sort(key=lambda word: word not in ("-m", "--multirun"))
    if set(arguments) & {"-sc", "--shell-completion"} and (shell := _asks(arguments)):
        offered = _offered(os.environ.get("COMP_LINE", ""))
        if offered is not None:
            print(("\n" if shell == "fish" else " ").join(offered))
            return ExitStatus.DONE
    if arguments[:1] in (["--help"], ["-h"]):
        print(help_text(), end="")
        return 0
    if arguments[:1] == ["--version"]:
        from nnexp import __version__

        print(f"nnexp {__version__}")
        return 0
    from nnexp.own import use_folder
    from nnexp.runs.temporary import use_own_folder

    use_folder(os.getcwd())
    use_own_folder()
    if arguments and arguments[0] in COMMANDS:
        return _command(arguments[0], arguments[1:])
    if arguments and arguments[0][:1].isalpha() and "=" not in arguments[0]:
        near = difflib.get_close_matches(arguments[0], COMMANDS, n=1)
        hint = f"; did you mean `nnexp {near[0]}`?" if near else "."
        say(f"`{arguments[0]}` is neither a command ({', '.join(COMMANDS)}) nor an override (KEY=VALUE){hint}")
        return ExitStatus.BAD_USAGE
    if is_process:
        from nnexp import standby

        standby.prepare(arguments)
    from nnexp.hydra_app import main as hydra_main

    return hydra_main(arguments)


def _asks(arguments: Sequence[str]) -> str | None:
    """The shell that asks how a line can be completed."""
    return next((word.removeprefix("query=") for word in arguments if word.startswith("query=")), None)


def _offered(line: str) -> list[str] | None:
    """How a line can be completed; None where Hydra knows it."""
    from nnexp.completion import complete

    def flags(command: str) -> list[str]:
        actions = _parser(command)[1]._actions
        return [name for action in actions for name in action.option_strings if name.startswith("--")]

    try:
        with own_presets(line.split()):
            return complete(line, COMMANDS, flags)
    except UsageError:  # --config-dir is being typed
        return complete(line, COMMANDS, flags)


class Once(argparse.Action):
    """Stores the value of an option that may be given once: of two, one would be dropped without a word."""

    def __call__(
        self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: str | None = None
    ) -> None:
        """Store, or end with an error."""
        given = vars(namespace).setdefault("_given", set())
        if option_string is not None and self.dest in given:
            parser.error(f"{option_string} was given twice, with {getattr(namespace, self.dest)} and {values}")
        given.add(self.dest)
        setattr(namespace, self.dest, values)


def _command(name: str, arguments: Sequence[str]) -> int:
    module, parser = _parser(name)
    return module.run(parser.parse_intermixed_args(arguments))


def _parser(name: str) -> tuple[Any, argparse.ArgumentParser]:
    """The module of a command and what reads its arguments."""
    module_name, text = COMMANDS[name]
    module = importlib.import_module(module_name)
    parser = argparse.ArgumentParser(prog=f"nnexp {name}", description=text[0].upper() + text[1:] + ".")
    parser.register("action", None, Once)
    if name != "ui":
        parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.add_argument(*FLAGS, metavar="DIR", help="a folder of your own presets")  # taken before, for all commands
    module.add_arguments(parser)
    return module, parser


if __name__ == "__main__":
    sys.exit(main())
