"""How a row is solved: its normal equations, by the NumPy kernel in padded batches or by the compiled one, row by row.

May touch weighing.
"""
