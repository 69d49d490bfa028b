"""Layer-wise relevance propagation as a ledger that adds up."""
