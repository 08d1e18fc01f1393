"""Reusable parts of networks with no algorithm in them."""
