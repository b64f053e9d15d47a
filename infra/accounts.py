"""The number of an AWS account, which settings name. Pure, and without botocore: `--help` answers at once."""

import re


def check_account(number: str) -> None:
    """Raises ValueError for what is not the number of an account."""
    if not re.fullmatch(r"[0-9]{12}", number):
        raise ValueError(f"{number!r} is not the number of an AWS account: 12 digits.")
