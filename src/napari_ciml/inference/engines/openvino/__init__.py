"""OpenVINO engine: the network is converted once, cached on disk, and compiled for the CPU.

``graph`` traces the whole network with named inputs and outputs, ``conversion`` converts it, caches
it on disk and extracts parts of it, ``engine`` compiles and runs those. Only these modules import
OpenVINO, and they import it late.
"""
