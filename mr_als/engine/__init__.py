"""Running a job: the one way to run all five, on any runner, and what came out of it. A new runner is a file here.

May touch storage, records, logs and maths. Nobody else compares the name of a runner.
"""
