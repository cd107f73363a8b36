"""Imports point down only: maths <- data <- engine <- jobs and drivers <- commands <- cli. And what tasks import stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
JOBS = sorted((ROOT / "jobs").glob("mr_*.py"))
# files directly in mr_als/ that are not a layer of their own: prepare, train, model ...
DRIVERS = "drivers"

# layer -> the layers of ours that it may import besides itself; `mr_als` is the package itself, with its version
ALLOWED = {
    "mr_als": set(),
    "errors": set(),
    "options": {"errors"},
    "maths": {"errors"},
    "data": {"errors", "maths"},
    "engine": {"mr_als", "errors", "options", "maths", "data"},
    DRIVERS: {"mr_als", "errors", "options", "maths", "data", "engine"},
    "teaching": {"mr_als", "errors", "options", "maths", "data", "engine", DRIVERS},
    "commands": {"mr_als", "errors", "options", "maths", "data", "engine", DRIVERS, "teaching"},
    "cli": {"mr_als", "errors", "commands"},
    "__main__": {"cli"},
    "jobs": {"errors", "options", "maths", "data"},
}
# what jobs may have of engine: the base classes
JOB_BASES = {"mr_als.engine.job", "mr_als.engine.logjob"}
# libraries that are always installed; extras are free for all but maths and jobs, inside a function
LIBRARIES = {
    "maths": {"numpy"},
    "data": {"numpy"},
    "engine": {"numpy", "mrjob", "fsspec"},
    DRIVERS: {"numpy", "scipy", "fsspec"},
    "teaching": {"numpy"},
    "commands": {"numpy"},
    "jobs": {"numpy", "mrjob"},
}
EXTRAS = {"numba", "llvmlite", "polars", "pyarrow", "zstandard", "pyspark", "s3fs", "botocore"}
# modules that one extra is for, and that are imported only when it is there
FOR_AN_EXTRA = {"mr_als.maths.kernels_numba", "mr_als.maths.prefetch"}


class Import(NamedTuple):
    """One import of one module."""

    line: int
    name: str
    late: bool


def module_of(path: Path) -> str:
    """Give a file's module name; a job's is its file's."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(path): path for path in sorted([*(ROOT / "mr_als").rglob("*.py"), *JOBS])}


def layer_of(module: str) -> str:
    first, *rest = module.split(".")
    if first == "jobs" or not rest:
        return first
    return rest[0] if rest[0] in ALLOWED else DRIVERS


def imports_of(path: Path) -> list[Import]:
    """Give all imports of a file but those for the type checker alone."""

    def walk(node: ast.AST, late: bool) -> Iterator[Import]:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        if isinstance(node, ast.Import):
            yield from (Import(node.lineno, alias.name, late) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: a relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield Import(node.lineno, inner if inner in MODULES else str(node.module), late)
        for child in ast.iter_child_nodes(node):
            yield from walk(child, late or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))

    return list(walk(ast.parse(path.read_text()), False))


IMPORTS = {module: imports_of(path) for module, path in MODULES.items()}


def is_ours(name: str) -> bool:
    return name.split(".")[0] in {"mr_als", "jobs"}


def test_no_module_imports_from_a_layer_above_its_own():
    wrong = []
    for module, imports in IMPORTS.items():
        layer = layer_of(module)
        for line, name, late in imports:
            down = layer_of(name) in ALLOWED[layer] or (layer_of(name) == layer != "jobs")
            base = layer == "jobs" and name in JOB_BASES
            loads = module == "mr_als" and late  # mr_als.load()
            if is_ours(name) and not (down or base or loads):
                wrong.append(f"{MODULES[module]}:{line}: {layer} imports {name}")

    assert wrong == []


def test_each_layer_has_only_the_libraries_that_are_meant_for_it():
    wrong = []
    for module, imports in IMPORTS.items():
        layer = layer_of(module)
        for line, name, late in imports:
            top = name.split(".")[0]
            extra = top in EXTRAS and (module in FOR_AN_EXTRA or (late and layer not in {"maths", "jobs"}))
            if not (is_ours(name) or top in sys.stdlib_module_names or top in LIBRARIES.get(layer, set()) or extra):
                wrong.append(f"{MODULES[module]}:{line}: {layer} imports {name}")

    assert wrong == []


def test_no_module_imports_itself_by_way_of_others():
    graph = {module: {i.name for i in imports if i.name in MODULES and not i.late} for module, imports in IMPORTS.items()}

    order = list(TopologicalSorter(graph).static_order())  # raises CycleError

    assert set(order) == set(MODULES)


def test_every_layer_of_the_table_exists():
    """A name mistyped in the table would allow what it should not."""
    assert {layer_of(module) for module in MODULES} == set(ALLOWED)


def loaded_by(code: str) -> set[str]:
    """Give the top-level modules that an interpreter of its own has loaded after running code."""
    command = f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}; print(*{{m.split('.')[0] for m in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_heavy():
    assert loaded_by("import mr_als") & {"numpy", "scipy", "mrjob", "fsspec", "argparse"} == set()


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.stem)
def test_a_task_does_without_libraries_that_take_long_to_load(path):
    code = f"import runpy; runpy.run_path({str(path)!r}, run_name='job')"

    assert loaded_by(code) & {"scipy", "fsspec", "pandas", "polars", "pyarrow", "pyspark", "boto3"} == set()
