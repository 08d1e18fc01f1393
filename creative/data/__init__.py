"""Datasets and tokenisers."""
