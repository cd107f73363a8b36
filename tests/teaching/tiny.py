"""The half in forty lines, docs/examples/tiny_als.py: how it is run, and what it must give."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from mr_als.teaching.lesson import Lesson
from mr_als.teaching.matrix import EXAMPLE, EXAMPLE_FACTORS

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "docs" / "examples"


def run(script: str, *arguments: str, **environment: str) -> str:
    """Run a script of docs/examples/ and return what it prints."""
    known = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore", **environment}
    command = [sys.executable, str(EXAMPLES / script), *arguments]
    return subprocess.run(command, env=known, check=True, stdout=subprocess.PIPE, text=True, timeout=600).stdout


def half_1() -> list[str]:
    """List the lines that half 1 of the worked example must give, sorted."""
    vectors = zip(EXAMPLE.users, Lesson(EXAMPLE, EXAMPLE_FACTORS).first_users, strict=True)
    return [f"vector\t{user}\t{x[0]:.6f}\t{x[1]:.6f}" for user, x in vectors]
