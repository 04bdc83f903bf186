"""`python -m dujiang_client token …`: a signed token on standard output, for one request with curl."""

import argparse
import sys
from pathlib import Path

from dujiang_client.signing import Signer


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m dujiang_client", description=__doc__)
    token = parser.add_subparsers(required=True).add_parser("token", help="sign a token for one request")
    token.add_argument("--partner", required=True, help="your partner id")
    token.add_argument("--kid", required=True, help="the key's name, as registered")
    token.add_argument("--key", required=True, type=Path, help="private key in PEM, without a password")
    token.add_argument("--audience", required=True, help="the gateway's name, as its operator gives it")
    token.add_argument("--scope", action="append", default=[], help="narrow what the token may (repeat it)")
    given = parser.parse_args()
    try:
        signer = Signer(given.partner, given.kid, given.key.read_bytes(), given.audience, scopes=tuple(given.scope))
    except (OSError, TypeError, ValueError, ModuleNotFoundError) as error:
        print(f"{given.key}: {error}", file=sys.stderr)
        return 1
    print(signer.token())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
