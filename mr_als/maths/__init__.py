"""The mathematics: functions of NumPy arrays, no files, no Hadoop. `reference` is the place to begin, then `solve`.

May touch options and errors alone. Every formula stands here, once.
"""
