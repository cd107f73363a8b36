"""What is minimised: confidence, lambda of a row, the loss and its weighted RMSE.

May touch options and errors alone.
"""
