"""QUIC (RFC 9000, 9001, 9002, 9221): the seam of the engines, and the engine that is made of aioquic."""
