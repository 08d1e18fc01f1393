"""Architectures: modules and their frozen configurations, one family a file."""
