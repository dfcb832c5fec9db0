"""The rules of the game: what a level is, what happened in an attempt, what it is worth. Pure, no I/O.

Everything here is immutable data or a function from data to data, so that a crash loses nothing, a leaderboard can
replay an attempt, and the tests need no cluster.
"""
