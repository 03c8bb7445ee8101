"""Which certificates are trusted on the way to Azure: those of this machine's own store, as its browser trusts them."""

from __future__ import annotations

import functools

from sidecar.words.text import Text


@functools.cache
def trust_this_machine() -> None:
    """For this process, from now on. A company that looks into TLS installs its authority on the machine; Python's packages bring
    a list of their own, which does not know it. What SSL_CERT_FILE or REQUESTS_CA_BUNDLE name is trusted besides.

    Called before there is a second thread: a context that another one is just making when Python's own class is replaced calls
    itself without end."""
    import truststore  # noqa: PLC0415  (it loads what speaks TLS; only who goes somewhere waits)

    truststore.inject_into_ssl()


def way_out(problem: str) -> Text:
    """What helps somebody who gets no usable answer from Azure, from what the SDK says of it."""
    if "CERTIFICATE_VERIFY_FAILED" in problem.upper().replace(" ", "_"):
        return Text(
            "This machine does not trust the certificate. A proxy that looks into TLS needs its authority in the machine's "
            "certificate store, or in the file that SSL_CERT_FILE names."
        )
    return Text("Check the network, a proxy and the system clock, then run the command again.")
