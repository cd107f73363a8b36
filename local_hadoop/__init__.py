"""A single-node Hadoop on this machine: fetched, configured, started and stopped; to play with, and for the tests."""
