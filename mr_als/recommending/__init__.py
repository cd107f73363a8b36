"""From a model to recommendations: the best items for many users, fold-in of new ones, popularity for the unknown (cold start).

May touch models, preparing and what is below them; not training.
"""
