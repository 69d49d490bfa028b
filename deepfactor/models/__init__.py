"""Models that predict next month's return from the 80 features."""
