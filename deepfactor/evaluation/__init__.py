"""What forecasts were worth, held against the returns that came."""
