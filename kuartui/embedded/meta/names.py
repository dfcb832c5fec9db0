"""Rules for names, keys and values, with the messages of k8s.io/apimachinery/pkg/util/validation.

Each function gives the messages on what is wrong; an empty list means that all is well.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
SUBDOMAIN = LABEL + r"(\." + LABEL + r")*"
UNDERSCORED = r"_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
UNDERSCORED_SUBDOMAIN = UNDERSCORED + r"(\." + UNDERSCORED + r")*"
LABEL_1035 = r"[a-z]([-a-z0-9]*[a-z0-9])?"
QUALIFIED = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
LABEL_VALUE = rf"({QUALIFIED})?"
CONFIG_KEY = r"[-._a-zA-Z0-9]+"
ENV_NAME_RELAXED = re.compile(r"[ -<>-~]+")
PORT_NAME = r"[-a-z0-9]+"
CACHED = 4096  # names that are known to follow a rule, or not to: most of what is written was written before

_LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
    "with an alphanumeric character"
)
_SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    "and end with an alphanumeric character"
)
_UNDERSCORED_TEXT = _SUBDOMAIN_TEXT.replace("'-' or", "'_', '-' or")
_LABEL_1035_TEXT = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character"
)
_QUALIFIED_TEXT = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
)


def max_length(length: int) -> str:
    return f"must be no more than {length} bytes"


def regex_error(text: str, pattern: str, *examples: str) -> str:
    """The text, with examples and the regex, as validation.RegexError prints it: two blanks before each `or`."""
    shown = "".join(f"{' or ' if i else ''}'{example}', " for i, example in enumerate(examples))
    return f"{text} ({'e.g. ' if examples else ''}{shown}regex used for validation is '{pattern}')"


@lru_cache(CACHED)
def _matches(pattern: str, value: str) -> bool:
    return re.fullmatch(pattern, value) is not None


def _check(value: str, length: int, pattern: str, text: str, *examples: str) -> list[str]:
    problems = []
    if len(value) > length:
        problems.append(max_length(length))
    if not _matches(pattern, value):
        problems.append(regex_error(text, pattern, *examples))
    return problems


def _check_dns(value: str, length: int, pattern: str, text: str, *examples: str) -> list[str]:
    """DNS names count in characters, and a label is told of its dots."""
    problems = [f"must be no more than {length} characters"] if len(value) > length else []
    if pattern == LABEL and "." in value and _matches(SUBDOMAIN, value):
        return [*problems, "must not contain dots"]
    return problems + _check(value, len(value), pattern, text, *examples)


def _prefix(name: str, prefix: bool) -> str:
    """generateName ends where the random part begins, so a trailing dash is fine."""
    return name[:-1] + "a" if prefix and name.endswith("-") else name


def dns1123_label(name: str, prefix: bool = False) -> list[str]:
    return _check_dns(_prefix(name, prefix), 63, LABEL, _LABEL_TEXT, "my-name", "123-abc")


def dns1123_subdomain(name: str, prefix: bool = False) -> list[str]:
    return _check_dns(_prefix(name, prefix), 253, SUBDOMAIN, _SUBDOMAIN_TEXT, "example.com")


def underscored_subdomain(name: str) -> list[str]:
    """A DNS subdomain whose labels may have underscores, as domains that are searched may be."""
    return _check_dns(name, 253, UNDERSCORED_SUBDOMAIN, _UNDERSCORED_TEXT, "example.com")


def dns1035_label(name: str, prefix: bool = False) -> list[str]:
    return _check_dns(_prefix(name, prefix), 63, LABEL_1035, _LABEL_1035_TEXT, "my-name", "abc-123")


def path_segment(name: str) -> list[str]:
    """What RBAC objects may be called."""
    if name in (".", ".."):
        return [f"may not be '{name}'"]
    return [f"may not contain '{bad}'" for bad in ("/", "%") if bad in name]


def label_value(value: str) -> list[str]:
    text = (
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start "
        "and end with an alphanumeric character"
    )
    return _check(value, 63, f"({QUALIFIED})?", text, "MyValue", "my_value", "12345")


def qualified_name(key: str) -> list[str]:
    """Keys of labels and annotations, resource names: an optional DNS prefix and a name."""
    parts = key.split("/")
    problems: list[str] = []
    if len(parts) == 2:
        prefix, name = parts
        if not prefix:
            problems.append("prefix part must be non-empty")
        else:
            problems += [f"prefix part {problem}" for problem in dns1123_subdomain(prefix)]
    elif len(parts) == 1:
        name = key
    else:
        text = f"a qualified name {_QUALIFIED_TEXT}"
        shown = regex_error(text, QUALIFIED, "MyName", "my.name", "123-abc")
        return [f"{shown} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"]
    if not name:
        problems.append("name part must be non-empty")
    elif len(name) > 63:
        problems.append("name part " + max_length(63))
    if not _matches(QUALIFIED, name):
        problems.append("name part " + regex_error(_QUALIFIED_TEXT, QUALIFIED, "MyName", "my.name", "123-abc"))
    return problems


def config_map_key(key: str) -> list[str]:
    problems = []
    if len(key) > 253:
        problems.append("must be no more than 253 characters")
    if not _matches(CONFIG_KEY, key):
        text = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
        problems.append(regex_error(text, CONFIG_KEY, "key.name", "KEY_NAME", "key-name"))
    if key in (".", ".."):
        problems.append(f"must not be '{key}'")
    elif key.startswith(".."):
        problems.append("must not start with '..'")
    return problems


def env_var_name(name: str) -> list[str]:
    """Since 1.34 any printable ASCII but '=' will do."""
    if ENV_NAME_RELAXED.fullmatch(name):
        return []
    return ["a valid environment variable name must consist only of printable ASCII characters other than '='"]


def port_name(name: str) -> list[str]:
    """IANA service names, as container ports carry them."""
    problems = []
    if len(name) > 15:
        problems.append("must be no more than 15 characters")
    if not _matches(PORT_NAME, name):
        problems.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search(r"[a-z]", name):
        problems.append("must contain at least one letter (a-z)")
    if "--" in name:
        problems.append("must not contain consecutive hyphens")
    if name and (name[0] == "-" or name[-1] == "-"):
        problems.append("must not begin or end with a hyphen")
    return problems


def port_number(port: int) -> list[str]:
    return [] if 1 <= port <= 65535 else ["must be between 1 and 65535, inclusive"]


def percent(value: str) -> list[str]:
    if re.fullmatch(r"[0-9]+%", value):
        return []
    return [
        regex_error("a valid percent string must be a numeric string followed by an ending '%'", "[0-9]+%", "1%", "93%")
    ]


NO_ADDRESS = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
NO_CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"


def sloppy_ip(value: str) -> IPv4Address | IPv6Address | None:
    """An address as Kubernetes used to read it: numbers of IPv4 may begin with zeros, and have no other meaning then."""
    import ipaddress

    bare = value if ":" in value else ".".join((part.lstrip("0") or "0") if part else "" for part in value.split("."))
    try:
        return ipaddress.ip_address(bare) if "%" not in bare else None
    except ValueError:
        return None


def ip_address(value: str) -> list[str]:
    """What is wrong with an address (k8s.io/apimachinery/pkg/util/validation: IsValidIPForLegacyField, strict)."""
    address = sloppy_ip(value)
    if address is None:
        return [NO_ADDRESS]
    if address.version == 4:
        return [] if str(address) == value else ["must not have leading 0s"]
    return ["must not be an IPv4-mapped IPv6 address"] if address.ipv4_mapped else []


def canonical_ip(value: str) -> list[str]:
    """The same of a field that takes one form of each address only (IsValidIP)."""
    problems, address = ip_address(value), sloppy_ip(value)
    return problems if problems or str(address) == value else [f'must be in canonical form ("{address}")']


def sloppy_cidr(value: str) -> IPv4Network | IPv6Network | None:
    """The range that is meant, also with leading zeros and bits beyond the prefix; None if it is no range."""
    import ipaddress

    text, slash, length = value.partition("/")
    address = sloppy_ip(text)
    if address is None or not slash or not length.isdecimal() or int(length) > address.max_prefixlen:
        return None
    return ipaddress.ip_network(f"{address}/{length}", strict=False)


def cidr(value: str) -> list[str]:
    """What is wrong with a range of addresses (IsValidCIDRForLegacyField, strict)."""
    network = sloppy_cidr(value)
    text, _, length = value.partition("/")
    address = sloppy_ip(text)
    if network is None or address is None:
        return [NO_CIDR]
    if str(int(length)) != length or (address.version == 4 and str(address) != text):
        return ["must not have leading 0s in IP or prefix length"]
    if address.version == 6 and address.ipv4_mapped:
        return ["must not have an IPv4-mapped IPv6 address"]
    if network.network_address != address:
        return ["must not have bits set beyond the prefix length"]
    return []
