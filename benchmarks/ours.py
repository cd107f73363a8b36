"""Measure mr_als, by the commands that everybody uses.

    python benchmarks/ours.py iteration S-counts.tsv -- --rank 64
    python benchmarks/ours.py prepare M-events.tsv
    python benchmarks/ours.py end-to-end M-counts.tsv -- --rank 64
    python benchmarks/ours.py recommend MODEL

What follows `--` goes to `mr-als train` (or `prepare`) as it is.
"""

from __future__ import annotations

import time

STARTED = time.perf_counter()  # before the imports: they are part of what is measured

import argparse  # noqa: E402
import contextlib  # noqa: E402
import io  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
from typing import Any  # noqa: E402

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def run(*arguments: str) -> Any:
    """Run a command of mr-als in this process; return what it printed as JSON."""
    from mr_als.cli import main

    out = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)
    with contextlib.redirect_stdout(out):
        status = main([arguments[0], "-q", *arguments[1:]])
    if status:
        raise SystemExit(status)
    text = out.buffer.getvalue()  # type: ignore[attr-defined]
    return json.loads(text.splitlines()[-1]) if "--json" in arguments else None


def same_objective(options: list[str]) -> list[str]:
    """Return the options for the objective that the peers minimise; `options` come last and take precedence."""
    return ["--alpha=10", "--regularization=1", "--regularization-scaling=none", "--tolerance=0", *options]


def iteration(path: str, counts: list[int], work: str, options: list[str]) -> None:
    """Seconds of an iteration of the whole driver: files, jobs, checks and all; plays are prepared before."""
    from common import per_iteration, report

    plays = os.path.join(work, "plays")
    run("prepare", path, "--plays", plays)

    def train(n: int) -> Any:
        model = os.path.join(work, f"model-{n}")
        return run("train", "--json", "--plays", plays, "--model", model, f"--max-iterations={n}", *same_objective(options))

    seconds, info = per_iteration(train, counts)
    # the peers end with the items; we go on with one more half of the users
    wrmse = next(entry["wrmse"] for entry in info["history"] if entry["half"] == 2 * counts[-1])
    report(seconds, wrmse=wrmse, kernel=info["plan"].get("kernel"), join=info["plan"].get("join"))


def training(path: str, work: str, options: list[str], halves_alone: bool) -> None:
    """Seconds of all passes and halves of a training with the defaults, to its tolerance; or of the halves alone."""
    from common import report

    plays = os.path.join(work, "plays")
    run("prepare", path, "--plays", plays)
    # loading what was compiled happens once a process, and would count as a pass here, and as a half where numbers are given
    run("train", "--plays", plays, "--model", os.path.join(work, "first"), "--max-iterations=0", *options)
    info = run("train", "--json", "--plays", plays, "--model", os.path.join(work, "model"), *options)
    passes, halves = info["auto"]["seconds"], [entry["seconds"] for entry in info["history"]]
    wrmse, shares = info["history"][-1]["wrmse"], {"passes": passes / sum(halves), "halves": len(halves)}
    report(sum(halves) + passes * (not halves_alone), wrmse=wrmse, **shares)


def prepare(path: str, work: str, options: list[str]) -> None:
    """Seconds from the start of the process to the finished plays."""
    run("prepare", path, "--plays", work, *options)
    seconds = time.perf_counter() - STARTED
    from common import report

    from mr_als.preparing.plays import read_plays

    plays = read_plays(work)
    digests = [digest_of(plays, "users", "items"), digest_of(plays, "items", "users")]
    report(seconds, users=plays.n_users, items=plays.n_items, pairs=plays.pairs, plays=plays.plays, digests=digests)


def digest_of(plays: Any, side: str, other: str) -> int:
    """Compute the checksum of one side's plays, using the numbers in the ids."""
    import numpy as np
    from common import digest

    from mr_als.records.blocks import PlaysBlock

    def blocks(name: str) -> list[Any]:
        return [PlaysBlock.unpack(payload) for _, payload in getattr(plays, name).blocks()]

    def numbers(block: Any) -> Any:
        return np.array([int(name.decode().split("-")[-1]) for name in block.ids.to_list()])

    others = blocks(other)
    hashes, known = (np.concatenate(arrays) for arrays in zip(*[(b.hashes, numbers(b)) for b in others], strict=True))
    order = np.argsort(hashes)
    hashes, known = hashes[order], known[order]
    total = 0
    for block in blocks(side):
        rows = np.repeat(numbers(block), np.diff(block.indptr))
        columns = known[np.searchsorted(hashes, block.columns)][block.indices]
        total += digest(*((rows, columns) if side == "users" else (columns, rows)), block.amounts)
    return total % (1 << 64)


def end_to_end(path: str, n: int, work: str, options: list[str]) -> None:
    """Seconds from the start of the process to the published model."""
    model = os.path.join(work, "model")
    info = run("train", "--json", path, "--model", model, f"--max-iterations={n}", *same_objective(options))
    seconds = time.perf_counter() - STARTED
    from common import report

    wrmse = next(entry["wrmse"] for entry in info["history"] if entry["half"] == 2 * n)
    report(seconds, wrmse=wrmse, kernel=info["plan"].get("kernel"))


def recommend(model: str, work: str) -> None:
    """Seconds from the start of the process to the recommendations of all users in files."""
    output = os.path.join(work, "recommendations")
    run("recommend", "--model", model, "--output", output, "-n", "10")
    seconds = time.perf_counter() - STARTED
    from common import report

    lines, total = 0, 0.0
    for folder, _, names in os.walk(output):
        for name in names:
            if not name.startswith((".", "_")):
                with open(os.path.join(folder, name), encoding="utf-8") as file:
                    for line in file:
                        lines += 1
                        total += float(line.rsplit("\t", 1)[1])
    report(seconds, lines=lines, score=total)


def main() -> None:
    """Run one measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=("iteration", "training", "prepare", "end-to-end", "recommend", "model"))
    parser.add_argument("path", help="a file of benchmarks/data.py, or a model")
    parser.add_argument("--iterations", default="2,7", help="few and many (default: 2,7)")
    parser.add_argument("--model", help="where `model` puts it")
    parser.add_argument("--numpy-alone", action="store_true", help="as if numba and the columnar readers were not installed")
    parser.add_argument("--halves-alone", action="store_true", help="of a training, without the passes before half 0")
    words = sys.argv[1:]
    end = words.index("--") if "--" in words else len(words)
    given, options = parser.parse_args(words[:end]), words[end + 1 :]
    if given.numpy_alone:
        sys.modules["numba"] = sys.modules["pyarrow"] = None  # type: ignore[assignment]
    counts = [int(n) for n in given.iterations.split(",")]
    if given.task == "model":
        run("train", given.path, "--model", given.model, "--max-iterations=3", *same_objective(options))
        return
    with tempfile.TemporaryDirectory() as work:
        if given.task == "iteration":
            iteration(given.path, counts, work, options)
        elif given.task == "training":
            training(given.path, work, options, given.halves_alone)
        elif given.task == "prepare":
            prepare(given.path, work, options)
        elif given.task == "end-to-end":
            end_to_end(given.path, counts[-1], work, options)
        else:
            recommend(given.path, work)


if __name__ == "__main__":
    main()
