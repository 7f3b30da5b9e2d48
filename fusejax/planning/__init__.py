"""What a configuration costs: parameters, FLOPs, memory and collectives, without running it."""
