"""What an operator runs: archive, backup, restore, diagnose."""
