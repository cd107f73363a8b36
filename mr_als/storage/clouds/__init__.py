"""Files that are objects: S3, Google Cloud Storage, Azure. What they share is `objects`; a new cloud is a file here.

May touch errors and the rest of `storage`; a file system of fsspec is loaded when a URI of its cloud is used.
"""
