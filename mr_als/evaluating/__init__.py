"""How good a model is: splitting logs, joining held-out plays, measuring, sweeping over options (hyperparameters).

May touch training, recommending and what is below them. `measure` also runs in tasks and touches records and maths only.
"""
