"""Parts of the benchmarks, and measurements of single questions that run by themselves."""
