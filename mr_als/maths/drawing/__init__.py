"""Random numbers that are functions of (seed, id): the same in every task, in any order.

May touch nothing.
"""
