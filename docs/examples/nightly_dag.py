"""The steps of nightly.sh as a DAG of Airflow 3: a task for each, in a row, so that a task that fails is seen and cleared by name.

Copy it into the folder of DAGs. LOGS, STATE and what psql needs are in the environment of the workers, or in `ENVIRONMENT`.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

NIGHTLY = "/opt/mr_als/docs/examples/nightly.sh"
ENVIRONMENT = {"LOGS": "/srv/logs", "STATE": "/var/lib/mr_als"}
# the same answer comes again from a gate, but what failed may have been the network
RETRIES = {"add": 2, "train": 2, "verify": 0, "gate": 0, "recommend": 2, "load": 2, "swap": 2}

with DAG(
    "mr_als_nightly",
    schedule="30 3 * * *",
    start_date=datetime(2024, 1, 1),
    catchup=False,  # one night adds all days that are there
    max_active_runs=1,
) as dag:
    before = None
    for step, retries in RETRIES.items():
        task = BashOperator(
            task_id=step,
            bash_command=f"{NIGHTLY} {step}",
            env=ENVIRONMENT,
            append_env=True,
            retries=retries,
            retry_delay=timedelta(minutes=10),
        )
        if before is not None:
            before >> task
        before = task
