"""The numerical example: every number of implicit ALS on a small utility matrix, and every record of its jobs."""
