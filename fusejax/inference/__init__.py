"""Fusing arrays, folders and files with trained weights."""
