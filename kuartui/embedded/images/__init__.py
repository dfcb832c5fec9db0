"""Which images exist, what is in them, and how their programs behave."""
