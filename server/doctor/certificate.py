"""The certificate that clients will see."""

from __future__ import annotations

import itertools
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from chiron.errors import SetupError
from chiron.server.doctor.findings import Fault, Found, problem, warning
from chiron.server.doctor.subject import Subject
from chiron.server.edge import certificates
from chiron.server.platform.addresses import is_local

SOON = timedelta(days=14)
"""Automatic renewal begins a month before the end: what has two weeks left was not renewed."""
AGAIN = "certbot renew && chiron reload   (or whatever made the certificate)"


def certificate(subject: Subject) -> Found:
    tls = subject.settings.tls
    now = datetime.now(UTC)
    if (tls.certificate is None) != (tls.key is None):
        given, missing = ("certificate", "key") if tls.certificate else ("key", "certificate")
        return "half given", [
            problem(f"There is a TLS {given} and no {missing}.", f'[tls] {missing} = "/…/{missing}.pem"')
        ]
    if tls.certificate is None or tls.key is None:
        return _development(subject, now)
    try:
        pair = certificates.from_files(tls.certificate, tls.key)
    except SetupError as error:
        return "cannot be used", [problem(str(error), *_mend_files(tls.certificate, tls.key))]
    chain = x509.load_pem_x509_certificates(pair.chain)
    leaf = chain[0]
    faults = _times(chain, now, AGAIN) + _order(chain, tls.certificate)
    faults += _covers(subject, leaf, '[tls] certificate = "…"   (one for that name)')
    if tls.key.stat().st_mode & 0o077:
        faults.append(warning(f"Others may read the private key {tls.key}.", f"chmod 600 {shlex.quote(str(tls.key))}"))
    if leaf.issuer == leaf.subject:
        faults.append(
            warning(
                "The certificate is signed by itself: no browser trusts it.",
                "certbot certonly --standalone -d NAME   (makes one that browsers trust)",
            )
        )
    return f"{', '.join(_names(leaf)[:3]) or 'no name'}; {left(leaf.not_valid_after_utc - now)}", faults


def _mend_files(chain: Path, key: Path) -> list[str]:
    me = "$(id -un)"
    for file in (chain, key):
        if not file.exists():
            return [
                f"ls -l {shlex.quote(str(file.parent))}   (and set [tls] certificate and key to files that are there)"
            ]
    return [
        f"chown {me} {shlex.quote(str(chain))} {shlex.quote(str(key))}   (if they may not be read)",
        f"openssl pkey -pubout -in {shlex.quote(str(key))}; openssl x509 -pubkey -noout -in {shlex.quote(str(chain))}"
        "   (must print the same key)",
    ]


def _development(subject: Subject, now: datetime) -> Found:
    folder = subject.folder / "tls"
    file, authority = folder / "leaf.pem", folder / "ca.pem"
    mend = ('[tls] certificate = "/…/fullchain.pem", key = "/…/privkey.pem"   (for other names than this machine\'s)',)
    host = urlsplit(subject.settings.public_url or "").hostname
    faults = []
    if host is not None and not is_local(host):
        faults.append(
            problem(
                f"People come to {host}, and the development authority vouches for this machine's loopback names "
                "alone.",
                *mend,
            )
        )
    if not file.is_file() or not authority.is_file():
        return "none yet: a development authority is made at the first start", faults
    leaf = x509.load_pem_x509_certificate(file.read_bytes())
    chain = [leaf, x509.load_pem_x509_certificate(authority.read_bytes())]
    faults += _times(chain, now, f"rm {shlex.quote(str(file))}   (and restart the server: it makes another one)")
    key = folder / "ca.key"
    if key.is_file() and key.stat().st_mode & 0o077:
        faults.append(problem(f"Others may read the authority's key {key}.", f"chmod 600 {shlex.quote(str(key))}"))
    remaining = left(leaf.not_valid_after_utc - now)
    return f"of the development authority, {remaining}; browsers trust it once {authority} is added to them", faults


def _times(chain: list[x509.Certificate], now: datetime, mend: str) -> list[Fault]:
    faults = []
    for place, one in enumerate(chain):
        what = "The certificate" if place == 0 else f"The certificate of {_name(one)}, in the chain,"
        ends, begins = one.not_valid_after_utc, one.not_valid_before_utc
        if ends <= now:
            faults.append(problem(f"{what} has expired on {ends:%Y-%m-%d}: nobody can connect.", mend))
        elif ends - now < SOON:
            faults.append(warning(f"{what} expires on {ends:%Y-%m-%d}, {left(ends - now)}.", mend))
        if begins > now:
            faults.append(
                problem(f"{what} is valid from {begins:%Y-%m-%d %H:%M} UTC only; is the clock right?", "timedatectl")
            )
    return faults


def _order(chain: list[x509.Certificate], file: Path) -> list[Fault]:
    """RFC 8446 §4.4.2: each certificate should certify the one before it."""
    for one, above in itertools.pairwise(chain):
        try:
            one.verify_directly_issued_by(above)
        except (ValueError, TypeError, InvalidSignature):
            return [
                problem(
                    f"In {file} the certificate of {_name(above)} did not sign the one before it, {_name(one)}: some "
                    "clients will refuse the chain.",
                    f"cat cert.pem chain.pem > {shlex.quote(str(file))}   (the server's first, then who signed it)",
                )
            ]
    if len(chain) == 1 and chain[0].issuer != chain[0].subject:
        return [
            warning(
                f"{file} holds the server's certificate alone: clients that do not know {_common(chain[0].issuer)} "
                "refuse it.",
                f"cat cert.pem chain.pem > {shlex.quote(str(file))}   (add who signed it)",
            )
        ]
    return []


def _covers(subject: Subject, leaf: x509.Certificate, mend: str) -> list[Fault]:
    host = urlsplit(subject.settings.public_url or "").hostname
    if host is None or any(_matches(host, name) for name in _names(leaf)):
        return []
    named = ", ".join(_names(leaf)) or "no name at all"
    return [problem(f"People come to {host}, and the certificate is for {named}: browsers refuse it.", mend)]


def _names(leaf: x509.Certificate) -> list[str]:
    """DNS names and addresses of the subject alternative name; browsers look at nothing else (RFC 9525 §6.3)."""
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return names.get_values_for_type(x509.DNSName) + [str(ip) for ip in names.get_values_for_type(x509.IPAddress)]


def _matches(host: str, name: str) -> bool:
    """RFC 9525 §6.3: `*` stands for one whole label, the first."""
    host, name = host.lower().rstrip("."), name.lower()
    if name.startswith("*."):
        return host.partition(".")[2] == name[2:]
    return host == name


def _name(one: x509.Certificate) -> str:
    return next(iter(_names(one)), None) or _common(one.subject)


def _common(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(found[0].value) if found else name.rfc4514_string() or "somebody unnamed"


def left(time: timedelta) -> str:
    """How long a certificate has, for people."""
    if time < timedelta(0):
        return f"expired {-time.days} days ago"
    return f"{time.days} days left" if time.days != 1 else "1 day left"
