"""What the monitor costs, measured against the bare step in the same process."""
