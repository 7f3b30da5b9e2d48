"""A static web page that fuses images in the browser."""
