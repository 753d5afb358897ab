"""What would it cost to hide a whole client behind noise on the mean of all?

    python benchmarks/client_level.py [--epsilon 8] [--delta 1e-3] [--rows 1000]

Prints for several numbers of clients the standard deviation of the noise on every averaged
probability, the same on a count of votes, and how often the winner of a vote is still the winner
if two thirds of the clients vote for it and one third for another. Nothing is run: these are
formulas (common/gaussian_dp.py).
"""

import argparse

from common.gaussian_dp import client_level_sigma, winner_survives

CLIENTS = (10, 50, 100, 250, 1000)


def main() -> None:
    """Print one table, in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epsilon", type=float, default=8.0)
    parser.add_argument("--delta", type=float, default=1e-3)
    parser.add_argument("--rows", type=int, default=1000)
    told = parser.parse_args()
    print("| clients | noise on a probability | noise on a count of votes | the winner stays |")
    print("|---|---|---|---|")
    for clients in CLIENTS:
        sigma = client_level_sigma(told.epsilon, told.delta, told.rows, clients)
        stays = winner_survives(clients / 3, clients * sigma)
        print(f"| {clients:,} | {sigma:.3g} | {clients * sigma:.3g} | {100 * stays:.1f} % |")


if __name__ == "__main__":
    main()
