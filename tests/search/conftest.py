"""Pytest finds modules beside this file from all tests below it: ``sequences``, ``strategies``."""
