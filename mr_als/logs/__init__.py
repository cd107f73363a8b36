"""From bytes to fields: files and chunks, layouts and their detection, one reader a format, numbers and times, bad lines.

May touch options and errors alone. A new log format is a file here. Runs in tasks.
"""
