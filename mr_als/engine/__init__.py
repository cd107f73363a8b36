"""Where jobs run and where their files live: mrjob, storage, runs, plans."""
