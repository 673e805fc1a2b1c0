"""The deployment in docs/deploy: its files agree, and what they start works on separate hosts."""
