"""Explanations on demand: why a published month predicts what it predicts of a stock or of a portfolio."""
