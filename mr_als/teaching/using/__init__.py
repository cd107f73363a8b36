"""Beyond one training by hand: vectors for new users, evaluation, and the same numbers out of the MapReduce job.

May touch what the room may touch, and its lessons; only the walkthrough uses it.
"""
