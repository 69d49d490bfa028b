"""The page of an evaluation: what it shows, and the geometry of its pictures."""
