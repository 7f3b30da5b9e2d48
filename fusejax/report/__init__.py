"""What people look at: panels, maps, progress, score tables, plots and the history of a run."""
