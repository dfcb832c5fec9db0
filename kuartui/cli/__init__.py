"""The command line: one module per noun, each thin: parse, play, print.

Nothing heavy is imported before a command runs: `kuartui --help` answers in a fraction of a second.
"""
