"""Jobs on EMR, Amazon's Hadoop, through mrjob's runner, which makes a cluster or adds steps to one: what it is told, and its traps.

1. Our settings are the first of the mrjob.conf files, so that any that the user names, and -D, have the last word.
2. mrjob's own defaults are of 2020: an image of that year, Python 2 names, 30 seconds between two looks at a step. And where a
   step's log has no counters yet, which is the rule, it waits ten minutes for them: so logs are not read (`read_logs`); they
   lie in S3.
3. mrjob looks for a bucket of its own for scratch files, and makes one; ours go beside the output.

Credentials are found as every AWS client finds them. They are never an option of ours, and none of mrjob that we set.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from mr_als.engine.mrjob_fixes import load_runner
from mr_als.engine.parts import finished
from mr_als.engine.runners.hadoop import check_output, conf_file, jobconf, set_reduces
from mr_als.engine.runners.runner import Call, Runner
from mr_als.errors import UsageError
from mr_als.storage.places import scheme_of
from mr_als.storage.webhdfs import SCHEMES

__all__ = ["Emr"]

RELEASE = "emr-7.10.0"
PYTHON = "python3.11"  # the default of EMR 7, 3.9, is too old for us
# of a job: the driver does not know what the cluster can run at a time
TASKS = 64


class Emr(Runner):
    """Amazon's Hadoop, on files in S3."""

    name = "emr"
    place = "s3://BUCKET/"

    def tasks(self, given: Sequence[str]) -> int:
        """Return a number that suits many clusters."""
        return TASKS

    def check_place(self, path: str) -> None:
        """Check likewise; HDFS is gone with the cluster."""
        if scheme_of(path) in SCHEMES:
            msg = f"{path} is in the HDFS of a cluster, and -r emr works on files in S3; give a URI such as {self.uri(path)}"
            raise UsageError(msg)
        super().check_place(path)

    @contextmanager
    def arguments(self, call: Call) -> Iterator[tuple[list[str], list[str]]]:
        """Yield our settings.

        Raises
        ------
        UsageError
            If boto3 is not installed, or the output would be on this machine.
        """
        check_output(self, call.output)
        if find_spec("boto3") is None:
            needed = "'s3fs>=2024.12' 'botocore>=1.35.21' 'boto3>=1.35.21'"
            msg = f"-r emr needs boto3, which is not installed; install it with: pip install {needed}"
            raise UsageError(msg)
        load_runner("emr")
        options = {
            "applications": ["Hadoop"],
            "bootstrap_mrjob": False,
            "check_cluster_every": 5,
            "check_input_paths": False,
            "cleanup": ["TMP"],
            "cleanup_on_failure": ["TMP"],
            "cloud_fs_sync_secs": 0,
            "cloud_tmp_dir": os.path.join(os.path.dirname(call.output), "mrjob", ""),
            "cmdenv": {"PYTHONPATH": ".", "OPENBLAS_NUM_THREADS": "1"},
            "jobconf": jobconf(call),
            # those of `aws emr create-default-roles`; mrjob would make its own, by policies that AWS has withdrawn
            "iam_instance_profile": "EMR_EC2_DefaultRole",
            "iam_service_role": "EMR_DefaultRole",
            "python_bin": [PYTHON],
            "read_logs": False,
            "release_label": RELEASE,
        }
        with conf_file(self.name, options) as words:
            yield words, []

    @contextmanager
    def around(self, made: Any, call: Call) -> Iterator[None]:
        """Set the number of reduce tasks, and spare mrjob the question for a version: from EMR 6 on it is Hadoop 3."""
        made.get_hadoop_version = lambda: "3"
        set_reduces(made, call)
        yield

    def parts(self, output: str) -> list[str]:
        """List the parts of a job that came to its end."""
        return finished(output)
