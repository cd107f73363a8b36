"""One file that holds the whole package: for spark-submit in cluster mode, where the driver itself runs elsewhere.

    python -m mr_als.engine.spark.submit mr-als.py
    spark-submit --master yarn --deploy-mode cluster mr-als.py train hdfs:///logs --model hdfs:///models/m -r spark

It is a zip file by another name, as Python runs one. NumPy and mrjob have to be there where it runs.
"""

from __future__ import annotations

import shutil
import sys
import zipfile
from pathlib import Path

import mr_als

__all__ = ["write_package"]

# ends of the names of its files, programs and what pages are made of
SHIPPED = (".py", ".css", ".js", ".html")
MAIN = """\
import sys

from mr_als.cli import main

sys.exit(main())
"""


def write_package(path: str) -> None:
    """Write the package into a zip file, with the files of the jobs, wherever they lie; run as a program it is `mr-als`."""
    package = Path(mr_als.__file__).resolve().parent
    if package.parent.is_file():  # such a file itself
        shutil.copy(package.parent, path)
        return
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("__main__.py", MAIN)
        archive.writestr("mr_als/jobs/__init__.py", "")  # in a zip a folder is one only so
        for file in sorted(file for file in package.rglob("*") if file.suffix in SHIPPED):
            archive.write(file, str(file.relative_to(package.parent)))
        if not (package / "jobs").exists():  # a checkout
            for file in sorted((package.parent / "jobs").glob("mr_*.py")):
                archive.write(file, f"mr_als/jobs/{file.name}")


def main(arguments: list[str]) -> int:
    """Write the file that is named."""
    if len(arguments) != 1 or not arguments[0].endswith(".py"):
        print("usage: python -m mr_als.engine.spark.submit FILE.py", file=sys.stderr)
        return 2
    write_package(arguments[0])
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
