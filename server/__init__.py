"""The public side: what would run at the coordinator."""
