"""Algorithms, one a file, each a generator of Steps."""
