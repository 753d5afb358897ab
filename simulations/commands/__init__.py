"""The commands of ``fedknot``, one file for each or for a group; put together in the cli.

Nothing heavy is imported before a command runs: ``--help`` and a typing error answer at once.
"""
