"""Listeners and transports: where bytes come in and go out.

Nothing is imported here: who binds sockets and makes certificates, as a supervisor, needs no transport.
"""
