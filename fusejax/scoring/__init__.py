"""Scoring folders of images with the metrics of `fusejax.metrics`."""
