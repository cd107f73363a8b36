"""What is best: scores, the best n of them, places of held-out items, ranking metrics and their uncertainty.

May touch drawing. A new metric is a function in `metrics`.
"""
