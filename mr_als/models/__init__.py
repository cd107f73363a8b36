"""A published model: reading it, where its files lie (here or on a cluster), publishing, verifying, exporting.

May touch preparing and what is below it.
"""
