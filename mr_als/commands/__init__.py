"""The sub-commands of `mr-als`, one file each: `add(subparsers)` and `run(args)`. `shared` is what they share.

All of them are imported to print `mr-als --help`, so none imports NumPy or mrjob before `run`.
"""
