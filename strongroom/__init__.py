"""The trusted library of Strongroom: what signer, host, client and auditor share.

Sans-IO: nothing in here opens a socket or a file, reads a clock, or draws randomness that it was not handed.
"""
