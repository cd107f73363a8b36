"""From logs to a plays directory: which files, what their records mean, the ingest job, its checks.

May touch planning, engine and what is below them.
"""
