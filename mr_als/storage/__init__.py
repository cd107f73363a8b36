"""Files by path or URI, for the driver: local, HDFS, clouds. A new storage is a file here, and a line of `places`.

May touch errors alone.
"""
