"""A small data set for tests of the whole path: four tastes, a few hits that everybody plays, and what must come out."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mr_als.maths.drawing.initial import initial_factors
from mr_als.options import LoopOptions, PlanOptions, SolverOptions, Training, WeightOptions
from mr_als.records.ids import Ids, hash_ids
from mr_als.training.train import Engine, train

N_USERS, N_ITEMS, RANK = 120, 50, 5


def toy_lines(seed: int = 0) -> list[str]:
    """Generate counts lines; every user plays nine of the twelve items of their taste, and one hit."""
    rng = np.random.default_rng(seed)
    lines = []
    for user in range(N_USERS):
        for item in rng.choice(12, 9, replace=False):
            lines.append(f"user-{user}\ttaste-{user % 4}-item-{item}\t{rng.integers(1, 20)}\n")
        lines.append(f"user-{user}\thit-{rng.integers(0, 2)}\t{rng.integers(1, 20)}\n")
    return lines


def write(path: Path, lines: list[str]) -> str:
    """Write lines to a file and give its path."""
    path.write_text("".join(lines))
    return str(path)


def options(join: str = "broadcast", solver: str = "cg", blocks: int = 2, iterations: int = 3, tolerance: str = "0") -> Training:
    """Build small training options."""
    base = Training(
        weights=WeightOptions(alpha=10.0, regularization=0.003),
        solver=SolverOptions(rank=RANK, solver=solver),
        loop=LoopOptions(tolerance=tolerance, max_iterations=iterations),
        plan=PlanOptions(join=join),
    )
    return replace(base, inputs=replace(base.inputs, user_blocks=str(blocks), item_blocks=str(blocks)))


def run(logs: list[str], model: Path, chosen: Training, **engine: Any) -> dict[str, Any]:
    """Train, and give the content of model.json."""
    return train(logs, str(model), chosen, engine=Engine(**engine))


def generation_bytes(model: Path) -> dict[str, bytes]:
    """Read the bytes of all files of the published generation."""
    import json

    generation = model / "generations" / json.loads((model / "model.json").read_text())["generation"]
    found = {}
    for folder, _, names in os.walk(generation):
        for name in names:
            path = Path(folder) / name
            found[str(path.relative_to(generation))] = path.read_bytes()
    return found


def dense_plays(lines: list[str], users: list[str], items: list[str]) -> np.ndarray:
    """Add lines up into the matrix of plays (n_users, n_items)."""
    rows, columns = {u: n for n, u in enumerate(users)}, {i: n for n, i in enumerate(items)}
    plays = np.zeros((len(users), len(items)))
    for line in lines:
        user, item, amount = line.rstrip("\n").split("\t")
        plays[rows[user], columns[item]] += float(amount)
    return plays


def initial_items(items: list[str], seed: int = 0, rank: int = RANK) -> np.ndarray:
    """Generate the initial factors of items."""
    return initial_factors(hash_ids(Ids.of([item.encode() for item in items])), seed, "items", rank)
