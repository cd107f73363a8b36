"""The mathematics: functions of NumPy arrays, no files, no Hadoop. `reference` is the place to begin."""
