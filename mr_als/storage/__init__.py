"""Files by path or URI, for the driver: local, HDFS, S3. A new file system is a file here.

May touch errors alone.
"""
