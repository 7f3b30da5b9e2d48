"""A web service that fuses pairs of images (extra `serve`)."""

from fusejax.serve.app import ServeOptions, create_app

__all__ = ["ServeOptions", "create_app"]
