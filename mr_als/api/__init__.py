"""From Python: fit a model, ask it for recommendations, one user or a million, and hand it to other libraries.

May touch evaluating and what is below it.
"""
