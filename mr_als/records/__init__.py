"""What jobs exchange: ids and their hashes, packed blocks, the line codec, the join of blocks.

May touch maths and errors. Runs in tasks.
"""
