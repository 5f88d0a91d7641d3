"""The OpenVINO engine: a network converted once, kept on disk, and compiled for the processor.

``traced`` is the whole network as one graph with named inputs and outputs, ``models`` converts it,
keeps it in a folder beside its checkpoint and cuts parts out of it, ``engine`` compiles and runs
those. OpenVINO is imported in here alone, late.
"""
