"""Fusing live sources: cameras, network streams, and files that are played in real time."""

from fusejax.inference.time_pairing import hold_last
from fusejax.live.controls import Controls, Settings
from fusejax.live.session import LiveOptions, Output, Session
from fusejax.live.sources import Address, Source, parse_source
from fusejax.live.statistics import Summary

__all__ = [
    "Address",
    "Controls",
    "LiveOptions",
    "Output",
    "Session",
    "Settings",
    "Source",
    "Summary",
    "hold_last",
    "parse_source",
]
