"""The options of `tlsweep scan`: one module for each panel of its help, and what their text means in `values`."""
