"""Pages and terminal output for people; they show what the tables hold and compute nothing of their own."""
