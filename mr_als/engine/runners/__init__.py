"""The engines, a file each: what mrjob is told, what we do in its place. A new engine is a file here and a line of `RUNNERS`.

May touch storage and the files of `engine/` about mrjob; nobody outside `engine/` compares their names.
"""
