"""An OIDC provider in a process of its own: the login of one user, codes that are worth a token once, and PKCE.

Run as a program it prints its address, and serves until its standard input ends.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote_plus, urlencode

from tests.web.kube.issuer import CLIENT_ID, DISCOVERY, Answer, Issuer, issuing, rsa

ROOT: Final = Path(__file__).parents[3]
SECRET: Final = "the secret of the client"
FORM: Final = "<!doctype html><html lang=en><title>Provider</title><h1>Provider</h1><a href='{}'>Log in as {}</a></html>"


@dataclass
class Provider:
    """Its address, and the certificate that it is trusted by."""

    url: str
    ca_file: Path


@contextmanager
def providing(home: Path, **claims: Any) -> Iterator[Provider]:
    """The provider, until the block ends; its user has these claims."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.web.ui.provider", str(home), json.dumps(claims)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Provider(process.stdout.readline().strip(), home / "issuer.crt")
        finally:
            process.stdin.close()
            process.wait(30)


class Answers:
    """What it answers to a browser, and to the page."""

    def __init__(self, issuer: Issuer, claims: dict[str, Any]) -> None:
        self._issuer = issuer
        self._claims = claims
        self._codes: dict[str, dict[str, str]] = {}

    def discovery(self) -> Answer:
        url = self._issuer.url
        document = {
            "issuer": url,
            "jwks_uri": f"{url}/keys",
            "authorization_endpoint": f"{url}/authorize",
            "token_endpoint": f"{url}/token",
        }
        return 200, {"Content-Type": "application/json"}, json.dumps(document).encode()

    def authorize(self, query: dict[str, str]) -> Answer:
        """A page with a link to where the user came from, with a code."""
        if query.get("client_id") != CLIENT_ID or query.get("response_type") != "code":
            return 400, {}, b"no such client"
        if query.get("code_challenge_method") != "S256" or "openid" not in query.get("scope", "").split():
            return 400, {}, b"no PKCE, or no OpenID Connect"
        code = secrets.token_urlsafe(16)
        self._codes[code] = query
        back = f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"
        page = FORM.format(back.replace("&", "&amp;"), self._claims.get("sub"))
        return 200, {"Content-Type": "text/html", "X-Back": back}, page.encode()

    def token(self, form: dict[str, str], login: str) -> Answer:
        """The token that a code is worth, once."""
        asked = self._codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        wanted = base64.b64encode(f"{quote_plus(CLIENT_ID)}:{quote_plus(SECRET)}".encode()).decode()
        if (
            asked is None
            or challenge != asked["code_challenge"]
            or form.get("redirect_uri") != asked["redirect_uri"]
            or login != f"Basic {wanted}"
        ):
            return 400, {}, b'{"error": "invalid_grant"}'
        made = self._issuer.token(**{"nonce": asked["nonce"], **self._claims})
        return 200, {"Content-Type": "application/json"}, json.dumps({"id_token": made}).encode()


def main(home: Path, claims: dict[str, Any]) -> None:
    """Serve until standard input ends."""
    with issuing(home, rsa("one")) as issuer:
        answers = Answers(issuer, claims)
        issuer.answers[DISCOVERY] = answers.discovery
        issuer.asked_with = {"/authorize": answers.authorize, "/token": answers.token}
        print(issuer.url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
