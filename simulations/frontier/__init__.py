"""Privacy, use and bytes in one picture: what a guarantee costs, and what fewer bits do not buy."""
