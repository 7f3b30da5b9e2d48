"""The cost of a configuration: parameters, FLOPs, memory and collectives, without running it."""
