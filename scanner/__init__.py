"""How to scan: endpoints → interview → engine → connection → dialogue → record → sink."""

__version__ = "0.1.0"
