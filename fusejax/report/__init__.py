"""Output for people: panels, maps, progress, score tables, plots and the history of a run."""
