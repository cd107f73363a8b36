"""Spark: one session for all jobs of a process; the classes of `jobs/` run on its RDDs.

May touch storage, records and the files of `engine/` about jobs; only `runners/spark.py` uses it.
"""
