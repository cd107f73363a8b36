"""From fields to blocks: summing pairs, grouping them by row, merging what several tasks know of a block.

May touch logs, records and maths. Runs in tasks: no files of the driver, no mrjob.
"""
