"""What watching costs: step time, first step, memory and bytes logged."""
