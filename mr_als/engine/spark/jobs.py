"""The driver's side of a job on Spark: its input as an RDD, mapped, shuffled by the number of the block, reduced to part files.

Partitions follow from blocks and cores: as many as there are lines of input, each a block or a range of a log, but no more than
keep all cores busy to the end.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from mr_als.engine.runners.runner import Call
from mr_als.engine.spark.session import aside
from mr_als.engine.spark.tasks import Step, partition_of

# partitions a core: some take longer than others
SLICES = 4


def run_step(context: Any, call: Call, job_class: type[Any]) -> list[str]:
    """Run the step of a job whose input files are small: each line refers to what a task reads. List the parts."""
    step = Step(call.name, tuple(call.arguments), call.output)
    Path(call.output).mkdir()
    lines = [line for path in call.inputs for line in Path(path).read_bytes().split(b"\n") if line]
    with_reducer = "reducer" in job_class([*call.arguments]).steps()[0].description(0)
    group = uuid.uuid4().hex

    def run() -> list[str]:
        context.setJobGroup(group, f"mr-als {call.name}", interruptOnCancel=True)
        rdd = context.parallelize(lines, max(1, min(len(lines), SLICES * call.tasks)))
        if with_reducer:
            sent = rdd.mapPartitions(step.map_to_send).repartitionAndSortWithinPartitions(max(1, call.reduces), partition_of)
            return sorted(sent.mapPartitionsWithIndex(step.reduce_to_part).collect())
        return sorted(rdd.mapPartitionsWithIndex(step.map_to_part).collect())

    parts: list[str] = aside(run, lambda: context.cancelJobGroup(group))
    return parts
