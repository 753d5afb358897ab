"""The private side: what would run at a hospital."""
