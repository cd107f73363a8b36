"""Records and how they travel: ids and hashes, log lines, blocks of plays and factors, the join. No mrjob."""
