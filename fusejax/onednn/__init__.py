"""Convolutions by oneDNN on x86 CPUs, a plug-in that works if its library is installed."""
