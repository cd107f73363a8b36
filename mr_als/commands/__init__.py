"""The sub-commands of `mr-als`, one file each: arguments in, text out; a new file here is a new command.

May touch every room below; holds no logic of its own. `shared` is what the commands have in common.
"""
