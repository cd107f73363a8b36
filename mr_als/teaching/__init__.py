"""The numerical example: every number of implicit ALS on a small utility matrix, and every record of its jobs.

May touch training and what is below it; nothing but `commands` uses it.
"""
