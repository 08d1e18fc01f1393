"""Torch-free settings of every action: all that --help needs."""
