"""The command line: `mr-als COMMAND ...`. Results go to stdout, all else to stderr.

Exit codes: 0 done, 1 failed, 2 usage, 3 a gate was not passed (the old model stays), 130 interrupted, 143 terminated. A sub-command
is a file in `mr_als/commands/` with `add(subparsers)`, which declares its options, and `run(args)`, which imports what it needs
only then.

It is long because whatever ends a command, errors and signals, is turned into an exit code and a line in one place.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import errno
import importlib
import itertools
import json
import os
import pkgutil
import signal
import struct
import sys
import threading
import traceback
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

# before NumPy is imported: BLAS threads beside our own are slow, and sums must not depend on their number
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from mr_als import __version__, commands
from mr_als.commands.shared import complain, damage_of
from mr_als.errors import BadInputError, MRALSError, StorageError, UsageError, did_you_mean

# the order in which `mr-als --help` lists them; a file not named here comes last
ORDER = (
    "train",
    "prepare",
    "plan",
    "recommend",
    "similar",
    "explain",
    "split",
    "evaluate",
    "walkthrough",
    "report",
    "export",
    "verify",
    "models",
)

DESCRIPTION = """\
Learn from play logs what listeners may like: implicit-feedback matrix factorisation as MapReduce.
Play logs go in; user and item factors, recommendations and explanations come out."""

EXAMPLE = """\
example:
  mr-als train sample_logs --model model        learn from logs; repeat it to resume
  mr-als recommend --model model USER           what USER may like but has not played
  mr-als explain --model model USER ITEM        which plays earned the recommendation

exit codes: 0 done, 1 failed, 2 usage, 3 a gate was not passed, 130 interrupted, 143 terminated"""


# of a file system that is full, of a quota, of a limit to the size of files
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# what is given where an option or argument is called so is a name of something
_PATHS = ("DIR", "FILE", "LOGS", "PATH", "TEST", "USER", "ITEM")
# what the libraries that read files raise when one is not what they expect; pyarrow's come by name, as it may be missing
_UNREADABLE = (csv.Error, EOFError, RecursionError, UnicodeError, json.JSONDecodeError, struct.error, zlib.error)
_ARROW = "ArrowException"
# what ends a process without a terminal: a service that is stopped, a terminal that is closed
# seconds after which a signal whose exception got lost raises it again
_AGAIN = 1.0
_ENDING = {128 + signal.SIGTERM: "terminated", 128 + signal.SIGHUP: "hung up"}


_COMMAND = "COMMAND"


class Parser(argparse.ArgumentParser):
    """A parser that leaves printing to `main`, takes no abbreviated options, and knows what was nearly meant."""

    def __init__(self, **options: object) -> None:
        super().__init__(**{"formatter_class": argparse.RawDescriptionHelpFormatter, "allow_abbrev": False, **options})  # type: ignore[arg-type]
        self._given: list[str] = []

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse, and refuse what is left over here, where it is known which options there are."""
        self._given = list(sys.argv[1:] if args is None else args)
        found, left = super().parse_known_args(self._given, namespace)
        if left:
            self.error(f"unrecognized arguments: {' '.join(left)}")
        for action in self._actions:
            value = getattr(found, action.dest, None)
            if action.metavar in _PATHS and value != action.default and (value == "" or (isinstance(value, list) and "" in value)):
                self.error(f"{'/'.join(action.option_strings) or action.metavar}: an empty name; is a shell variable unset?")
        return found, left

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            close = did_you_mean(value, action.choices) or f" (choose from {', '.join(action.choices)})"
            if action.metavar == _COMMAND:
                msg = f"there is no command {value!r}{close}"
                raise argparse.ArgumentError(None, msg)
            msg = f"invalid choice: {value!r}{close}"
            raise argparse.ArgumentError(action, msg)

    def error(self, message: str) -> NoReturn:
        """Refuse the arguments; an option that does not exist is the cause of what else is wrong, such as one that is missing."""
        if message.endswith(f"required: {_COMMAND}"):
            message = "name a command, such as train"
        if message.startswith(("the following arguments are required", "unrecognized arguments")):
            options = (word.partition("=")[0] for word in itertools.takewhile("--".__ne__, self._given) if word.startswith("--"))
            if (unknown := next((option for option in options if option not in self._option_string_actions), None)) is not None:
                message = f"unrecognized arguments: {unknown}{did_you_mean(unknown, self._option_string_actions)}"
        msg = f"{message.removeprefix('argument ')}{' See' if message.endswith('?') else '; see'}: {self.prog} --help"
        raise UsageError(msg)


def make_parser() -> Parser:
    """Build the parser of all sub-commands."""
    parser = Parser(prog="mr-als", description=DESCRIPTION, epilog=EXAMPLE)
    parser.add_argument("--version", action="version", version=f"mr-als {__version__}", help="print the version")
    subparsers = parser.add_subparsers(title="commands", dest="command", metavar=_COMMAND, required=True)
    for name in command_names():
        importlib.import_module(f"mr_als.commands.{name}").add(subparsers)
    return parser


def command_names() -> list[str]:
    """List the names of the commands in `mr_als/commands/`."""
    found = {module.name for module in pkgutil.iter_modules(commands.__path__)} - {"shared"}
    return [name for name in ORDER if name in found] + sorted(found - set(ORDER))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    _open_closed_streams()
    words = list(sys.argv[1:] if arguments is None else arguments)
    # known before the arguments are understood: that they are not is an error, too
    args = argparse.Namespace(log_format=_log_format(words))
    try:
        with _ending_like_an_interrupt():
            args = make_parser().parse_args(words)
            code: int | None = args.run(args)
            sys.stdout.flush()
    except MRALSError as error:
        return _fail(args, error)
    except SystemExit as done:  # --help and --version, and signals
        code = int(done.code or 0)
        return _ended(args, _ENDING[code], code) if code in _ENDING else code
    except BrokenPipeError:
        return _reader_left()
    except OSError as error:
        return _fail(args, _refused(error))
    except MemoryError as error:
        said = f"not enough memory ({str(error) or 'of this machine'}); give a smaller --task-memory, or fewer -n"
        return _fail(args, StorageError(said))
    except KeyboardInterrupt:
        return _ended(args, "interrupted", 130)
    except Exception as error:
        damaged = damage_of(args)
        if not damaged and not isinstance(error, _UNREADABLE) and _ARROW not in {kind.__name__ for kind in type(error).__mro__}:
            raise  # a bug
        if {"-v", "--verbose"} & set(words):
            traceback.print_exc()
        what = f"{type(error).__name__}: {error}"
        said = damaged or f"a file cannot be read ({what}); fetch or write it again, -v says which part of the program read it"
        return _fail(args, BadInputError(said))
    return code or 0


@contextlib.contextmanager
def _ending_like_an_interrupt() -> Iterator[None]:
    """Let signals that end the process leave no scratch files; a process that was forked here ends its own children likewise.

    An exception in a finaliser is ignored by Python, and others catch all there are: one that got lost is raised again.
    """
    ending: list[int] = []

    def end(number: int, _: object) -> NoReturn:
        for other in handled:
            signal.signal(other, signal.SIG_IGN)  # what is cleaned up now is not interrupted again
        ending.append(128 + number)
        sys.unraisablehook = tell_others
        signal.signal(signal.SIGALRM, again)
        signal.setitimer(signal.ITIMER_REAL, _AGAIN, _AGAIN)
        raise SystemExit(128 + number)

    def tell_others(lost: sys.UnraisableHookArgs) -> None:
        if not isinstance(lost.exc_value, SystemExit):
            tell(lost)

    def again(*_: object) -> None:
        if not _is_handled(*ending):
            raise SystemExit(*ending)

    handled, tell = list[int](), sys.unraisablehook
    if threading.current_thread() is threading.main_thread():
        # what is ignored, as by nohup, stays so
        handled = [code - 128 for code in _ENDING if signal.getsignal(code - 128) == signal.SIG_DFL]
    for number in handled:
        signal.signal(number, end)
    try:
        yield
    except Exception:
        if ending:
            raise SystemExit(*ending) from None
        raise
    finally:
        if ending:
            sys.unraisablehook = tell
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
        for number in handled:
            signal.signal(number, signal.SIG_DFL)


def _is_handled(code: int) -> bool:
    """Say whether an exit is on its way: what runs now runs because of it, such as what cleans up."""
    found = sys.exc_info()[1]
    while found is not None and not (isinstance(found, SystemExit) and found.code == code):
        found = found.__context__
    return found is not None


def _log_format(words: Sequence[str]) -> str:
    """Find what --log-format says, as the parser would."""
    found = [word.partition("=")[2] for word in words if word.startswith("--log-format=")]
    return (found + [value for flag, value in itertools.pairwise(words) if flag == "--log-format"] or ["text"])[-1]


def _ended(args: argparse.Namespace, how: str, code: int) -> int:
    complain(args, f"{how}; finished work is kept; repeat the command to resume", "error", how.replace(" ", "-"), exit_code=code)
    return code


def _refused(error: OSError) -> StorageError:
    """Say what the system refused, of which file, and what to do."""
    names = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, (str, bytes))]
    what = f"{' -> '.join(names)}{': ' if names else ''}{error.strerror or str(error) or type(error).__name__}"
    if error.errno in NO_SPACE:
        return StorageError(f"{what}; finished work is kept; make room, then repeat the command")
    return StorageError(f"{what}; check that it exists and that you may read and write it, then repeat the command")


def _open_closed_streams() -> None:
    """Let what was closed, as by `>&-` in a crontab, lead to nowhere: libraries write to it all the same."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # in this order each gets the number that is free, its own
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115  (as long as the process)


def _fail(args: argparse.Namespace, error: MRALSError) -> int:
    complain(args, str(error), "error", "error", kind=type(error).__name__, exit_code=error.exit_code)
    return error.exit_code


def _reader_left() -> int:
    """End quietly when the reader of a pipe, such as `head`, has seen enough."""
    with contextlib.suppress(OSError, ValueError):
        # else Python complains when it flushes stdout at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
