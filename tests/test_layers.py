"""Imports point down only, from room to room; and what tasks import stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

from mr_als.engine.runners.runner import RUNNERS, runner_of

ROOT = Path(__file__).resolve().parents[1]
JOBS = sorted((ROOT / "jobs").glob("mr_*.py"))

# room -> the rooms that it may import besides itself, from the top down; what lies flat in mr_als/ is a room of its own
BASE = {"errors", "options", "progress", "mr_als"}  # `mr_als` is the package itself, with its version
TASKS = {"maths", "records", "logs", "plays"}
BELOW_ENGINE = BASE | TASKS | {"storage"}
ALLOWED = {
    "__main__": {"cli"},
    "cli": {"mr_als", "errors", "commands"},
    "commands": BELOW_ENGINE
    | {"engine", "planning", "preparing", "models", "training", "recommending", "evaluating", "api", "reporting", "teaching"},
    "teaching": BELOW_ENGINE | {"engine", "planning", "preparing", "models", "training"},
    "reporting": BELOW_ENGINE | {"models"},
    # what a program has of all that: `mr_als.fit` and the others, which `mr_als/__init__.py` looks up by name when they are used
    "api": BELOW_ENGINE | {"engine", "planning", "preparing", "models", "training", "recommending", "evaluating"},
    "evaluating": BELOW_ENGINE | {"engine", "planning", "preparing", "models", "training", "recommending"},
    "recommending": BELOW_ENGINE | {"engine", "planning", "preparing", "models"},
    "training": BELOW_ENGINE | {"engine", "planning", "preparing", "models"},
    "models": BELOW_ENGINE | {"engine", "planning", "preparing"},
    "preparing": BELOW_ENGINE | {"engine", "planning"},
    "planning": BELOW_ENGINE | {"engine"},
    "engine": BELOW_ENGINE,
    "jobs": {"errors", "options"} | TASKS,
    "storage": {"errors", "mr_als"},
    "plays": {"errors", "options", "maths", "records", "logs"},
    "logs": {"errors", "options", "maths"},
    "records": {"errors", "options", "maths"},
    "maths": {"errors", "options"},
    "progress": set(),
    "options": {"errors"},
    "errors": set(),
    "mr_als": set(),
}
# what jobs may have besides: their base classes, and what measures, which imports records and maths alone
FOR_JOBS = {"mr_als.engine.job", "mr_als.engine.logjob", "mr_als.engine.playsjob", "mr_als.evaluating.measure"}
# libraries that are always installed; extras are free for all but maths and jobs, inside a function
LIBRARIES = {room: {"numpy"} for room in ("maths", "records", "logs", "plays", "planning", "teaching", "reporting", "commands")} | {
    "engine": {"numpy", "mrjob"},
    "jobs": {"numpy", "mrjob"},
    "models": {"numpy", "scipy"},
    "training": {"numpy"},
    "recommending": {"numpy"},
    "evaluating": {"numpy", "scipy"},
    "api": {"numpy", "scipy"},
    "preparing": {"numpy", "scipy"},
}
EXTRAS = {
    "numba",
    "llvmlite",
    "polars",
    "pyarrow",
    "zstandard",
    "pyspark",
    "s3fs",
    "botocore",
    "gcsfs",
    "google",
    "adlfs",
    "azure",
    "aiohttp",
    "pandas",
    "implicit",
    "voyager",
    "IPython",
}
# modules that one extra is for, and that are imported only when it is there
FOR_AN_EXTRA = {"mr_als.maths.solving.kernels_numba", "mr_als.maths.solving.prefetch"}


class Import(NamedTuple):
    """One import of one module."""

    line: int
    name: str
    late: bool


def module_of(path: Path) -> str:
    """Return a file's module name; a job's is that of its file."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(path): path for path in sorted([*(ROOT / "mr_als").rglob("*.py"), *JOBS])}


def layer_of(module: str) -> str:
    first, *rest = module.split(".")
    if first == "jobs" or not rest:
        return first
    return rest[0]


def imports_of(path: Path) -> list[Import]:
    """Find all imports of a file except those for the type checker alone."""

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
        for line, name, _ in imports:
            down = layer_of(name) in ALLOWED[layer] or (layer_of(name) == layer != "jobs")
            base = layer == "jobs" and name in FOR_JOBS
            if is_ours(name) and not (down or base):
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


def table_of_rooms() -> str:
    """Return the table of the rooms, from the top down, as CONTRIBUTING.md and docs/how-it-works.md show it."""
    rows = ["| room | what belongs there | may import |", "|---|---|---|"]
    for room, allowed in ALLOWED.items():
        path = ROOT / "mr_als" / room / "__init__.py"
        if path.exists():
            what = str(ast.get_docstring(ast.parse(path.read_text()))).splitlines()[0]
            rooms = ", ".join(f"`{name}`" for name in ALLOWED if name in allowed - BASE)
            rows.append(f"| `mr_als/{room}/` | {what} | {rooms} |")
        elif room == "jobs":
            bases = ", ".join(f"`{name.removeprefix('mr_als.')}`" for name in sorted(FOR_JOBS))
            rows.append(
                "| `jobs/`, at top level | One MapReduce job a file: decode, call, encode; never each other. | "
                f"`plays`, `logs`, `records`, `maths`; {bases} |"
            )
    return "\n".join(rows)


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/how-it-works.md"])
def test_the_pages_show_the_table_of_the_rooms(page):
    assert table_of_rooms() in (ROOT / page).read_text(), f"{page} should have this table:\n{table_of_rooms()}"


@pytest.mark.parametrize("room", [room for room in ALLOWED if (ROOT / "mr_als" / room).is_dir()])
def test_a_room_holds_about_twelve_files_of_one_topic_and_says_which(room):
    folders = [ROOT / "mr_als" / room, *(path for path in (ROOT / "mr_als" / room).iterdir() if (path / "__init__.py").exists())]

    assert all(len(list(folder.glob("*.py"))) <= 16 for folder in folders)
    assert all(len(str(ast.get_docstring(ast.parse((folder / "__init__.py").read_text()))).splitlines()) == 3 for folder in folders)


def test_a_file_beyond_250_lines_says_why_it_is_long():
    files = [*(ROOT / "mr_als").rglob("*.py"), *(ROOT / "jobs").glob("*.py"), *(ROOT / "local_hadoop").glob("*.py")]
    long = [path for path in files if len(path.read_text().splitlines()) > 250]

    top = {path: " ".join(str(ast.get_docstring(ast.parse(path.read_text()))).split()) for path in long}
    unsaid = [path for path in long if " is long because " not in top[path]]
    assert unsaid == []


def test_no_function_has_more_than_eight_parameters_but_compiled_kernels():
    files = [*(ROOT / "mr_als").rglob("*.py"), *(ROOT / "jobs").glob("*.py"), *(ROOT / "local_hadoop").glob("*.py")]
    found = []
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and path.name != "kernels_numba.py":
                names = [one.arg for one in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
                if len(names) - (names[:1] in (["self"], ["cls"])) > 8:
                    found.append(f"{path}:{node.lineno} {node.name}")
    assert found == []


RUNNER_NAMES = {"inline", "local", "hadoop", "emr", "spark"}


def names_compared_in(tree: ast.AST) -> Iterator[int]:
    """Yield the lines of comparisons, containers and patterns in which the name of a runner stands."""
    for node in ast.walk(tree):
        parts: list[ast.expr | None] = []
        if isinstance(node, ast.Compare):
            parts = [node.left, *node.comparators]
        elif isinstance(node, (ast.Tuple, ast.List, ast.Set)):
            parts = list(node.elts)
        elif isinstance(node, ast.Dict):
            parts = list(node.keys)
        elif isinstance(node, ast.MatchValue):
            parts = [node.value]
        if any(isinstance(part, ast.Constant) and part.value in RUNNER_NAMES for part in parts):
            yield node.lineno


def test_nobody_outside_of_engine_compares_the_name_of_a_runner_or_lists_them():
    asked = [
        f"{path}:{line}"
        for module, path in MODULES.items()
        if layer_of(module) != "engine"
        for line in names_compared_in(ast.parse(path.read_text()))
    ]

    assert asked == []


@pytest.mark.parametrize(
    "code", ['x == "hadoop"', 'x in ("inline", y)', 'x != "local"', '{"spark": 1}', '["emr"]', 'match x:\n case "spark": pass']
)
def test_names_of_runners_are_found(code):
    assert list(names_compared_in(ast.parse(code))) != []


def test_the_table_of_runners_is_the_only_list_of_them():
    assert set(RUNNERS) == RUNNER_NAMES
    assert all(runner_of(name).name == name for name in RUNNERS)


def test_nothing_else_lies_flat():
    flat = {path.stem for path in (ROOT / "mr_als").glob("*.py")}

    assert flat == {"__init__", "__main__", "cli", "errors", "options", "progress"}


def loaded_by(code: str) -> set[str]:
    """List the top-level modules that a separate interpreter has loaded after running code."""
    command = f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}; print(*{{m.split('.')[0] for m in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_heavy():
    assert loaded_by("import mr_als") & {"numpy", "scipy", "mrjob", "argparse"} == set()


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.stem)
def test_a_task_does_without_libraries_that_take_long_to_load(path):
    code = f"import runpy; runpy.run_path({str(path)!r}, run_name='job')"

    assert loaded_by(code) & {"scipy", "s3fs", "gcsfs", "adlfs", "pandas", "polars", "pyarrow", "pyspark", "boto3"} == set()
