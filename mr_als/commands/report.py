"""`mr-als report`: the training run of a model as one HTML page."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from mr_als.commands.shared import add_command, add_model, write_html
from mr_als.errors import BadInputError

DESCRIPTION = """\
Write one HTML page about the training run of a model: convergence, time, how plays are spread, the lengths of the factors,
sample recommendations with their reasons, log lines, options and inputs. The page can be read without a network, and follows
the browser's light or dark mode."""

EXAMPLE = """\
  mr-als report --model model -o report.html
  mr-als evaluate --model model test --json > evaluation.json
  mr-als report --model model --evaluation evaluation.json -o report.html"""


def add(subparsers: Any) -> None:
    """Declare the options."""
    parser = add_command(
        subparsers, "report", "--model DIR -o FILE [options]",
        summary="an HTML page about the training run of a model", description=DESCRIPTION, example=EXAMPLE,
    )  # fmt: skip
    add_model(parser)
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="page to write (required)")
    parser.add_argument("--evaluation", metavar="FILE", help="output of `mr-als evaluate --json` to include (default: none)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the page, and say where it is."""
    from mr_als.api.model import load
    from mr_als.reporting.page import report

    page = report(load(args.model), _evaluation(args.evaluation) if args.evaluation else None)
    return write_html(args, "report", "-o", args.output, page)


def _evaluation(path: str) -> dict[str, Any]:
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        msg = f"--evaluation {path}: cannot be read ({error}); expected what `mr-als evaluate --json` prints"
        raise BadInputError(msg) from None
    if not isinstance(data, dict):
        msg = f"--evaluation {path}: expected one JSON object, as `mr-als evaluate --json` prints it, got {type(data).__name__}"
        raise BadInputError(msg)
    return data
