"""Running a job, the one way for all five; what came out of it, and which half counts. A new engine is a file in `runners/`.

May touch storage, records, logs and maths. Nobody else compares the name of a runner.
"""
