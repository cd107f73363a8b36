"""The algorithm: alternate the halves until the weighted RMSE stops changing; each half counts once it is checked (checkpoint).

May touch models, preparing and what is below them; not recommending.
"""
