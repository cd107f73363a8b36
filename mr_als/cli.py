"""The command line: `mr-als COMMAND ...`. Results go to stdout, all else to stderr.

Exit codes: 0 done, 1 failed, 2 usage, 130 interrupted. A sub-command is a file in `mr_als/commands/` with
`add(subparsers)`, which declares its options, and `run(args)`, which imports what it needs only then.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import importlib
import os
import pkgutil
import sys
from collections.abc import Sequence
from typing import NoReturn

# before NumPy is imported: BLAS threads beside our own are slow, and sums must not depend on their number
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from mr_als import __version__, commands
from mr_als.errors import MRALSError, StorageError, UsageError

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
)

DESCRIPTION = """\
Learn from play logs what listeners may like: implicit-feedback matrix factorisation as MapReduce.
Play logs in; user and item factors, recommendations and explanations out."""

EXAMPLE = """\
example:
  mr-als train sample_logs --model model        learn from logs; the same command resumes
  mr-als recommend --model model USER           what USER may like and has not played
  mr-als explain --model model USER ITEM        which plays earned the recommendation

exit codes: 0 done, 1 failed, 2 usage, 130 interrupted"""


# of a file system that is full, of a quota, of a limit to the size of files
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Parser(argparse.ArgumentParser):
    """A parser that leaves printing to `main`, and takes no abbreviated options."""

    def __init__(self, **options: object) -> None:
        super().__init__(**{"formatter_class": argparse.RawDescriptionHelpFormatter, "allow_abbrev": False, **options})  # type: ignore[arg-type]

    def error(self, message: str) -> NoReturn:
        """Refuse the arguments."""
        msg = f"{message.removeprefix('argument ')}; see: {self.prog} --help"
        raise UsageError(msg)


def make_parser() -> Parser:
    """Build the parser of all sub-commands."""
    parser = Parser(prog="mr-als", description=DESCRIPTION, epilog=EXAMPLE)
    parser.add_argument("--version", action="version", version=f"mr-als {__version__}", help="print the version")
    subparsers = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND", required=True)
    for name in command_names():
        importlib.import_module(f"mr_als.commands.{name}").add(subparsers)
    return parser


def command_names() -> list[str]:
    """List the names of the commands in `mr_als/commands/`."""
    found = {module.name for module in pkgutil.iter_modules(commands.__path__)} - {"shared"}
    return [name for name in ORDER if name in found] + sorted(found - set(ORDER))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and give its exit code."""
    _open_closed_streams()
    try:
        args = make_parser().parse_args(arguments)
        code: int | None = args.run(args)
        sys.stdout.flush()
    except UsageError as error:
        return _fail(error, 2)
    except MRALSError as error:
        return _fail(error, 1)
    except SystemExit as done:  # --help and --version
        return int(done.code or 0)
    except BrokenPipeError:
        return _reader_left()
    except OSError as error:
        if error.errno not in NO_SPACE:
            raise
        where = f"{error.filename}: " if error.filename else ""
        return _fail(
            StorageError(f"{where}{error.strerror}; what is finished counts: make room, and give the same command again"), 1
        )
    except KeyboardInterrupt:
        print("mr-als: interrupted; what is finished counts: the same command resumes", file=sys.stderr)
        return 130
    return code or 0


def _open_closed_streams() -> None:
    """Let what was closed, as by `>&-` in a crontab, lead to nowhere: libraries write to it all the same."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # in this order each gets the number that is free, its own
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115  (as long as the process)


def _fail(error: MRALSError, code: int) -> int:
    print(f"mr-als: {error}", file=sys.stderr)
    return code


def _reader_left() -> int:
    """End quietly when the reader of a pipe, such as `head`, has seen enough."""
    with contextlib.suppress(OSError, ValueError):
        # else Python complains when it flushes stdout at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
