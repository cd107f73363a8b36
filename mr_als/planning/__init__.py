"""What a training takes, from sizes alone, and what follows from that: blocks, join, kernel; one model of cost.

May touch engine and what is below it; runs nothing.
"""
