"""What gives secrets away: words in names and before values, and shapes of tokens.

The words are those of settings, headers, query strings and statements as they come in texts: plain, quoted, as JSON
inside JSON, percent-encoded, as options of a command.
"""

from __future__ import annotations

from typing import Final


def words(*alternatives: str) -> str:
    """Return a pattern of one of several."""
    return "|".join(alternatives)


_ALWAYS: Final = words(
    r"passw(?:or)?ds?", r"pwd", r"passcodes?", r"pass[-_ ]?phrases?", r"(?:x[-_])?api[-_]?keys?",
    r"secret[-_]?(?:access[-_]?)?keys?", r"private[-_]?keys?", r"access[-_]?keys?", r"(?:signing|encryption)[-_]?keys?",
    r"client[-_]?secrets?", r"connection[-_]?strings?",
)  # fmt: skip
"""Words that say it even inside of others, as in `PGPASSWORD` or `stripeApiKey`."""
_ALONE: Final = words(
    r"authorization", r"cookies?", r"secrets?", r"credentials?",
    r"(?:access|refresh|auth|id|session|bearer|csrf|xsrf|security)[-_]?tokens?",
)  # fmt: skip
"""Words that say it where they stand by themselves."""
_CAPITALISED: Final = (
    r"(?-i:[a-z0-9](?:Authorization|Cookie|Secret|Credential|(?:Access|Refresh|Auth|Session|Id)Token)s?)"
)
_MORE: Final = r"(?:[._-]?(?:keys?|values?|hash|pem|text|base64|b64|string|data)){0,2}"

SECRET_NAME: Final = (
    rf"(?:(?:^|.*[._-])(?:{_ALONE})|.*(?:{_ALWAYS})|.*{_CAPITALISED})(?:$|[._-].*|{_MORE}$)"
    r"|.*\bheaders?\..*(?:token|signature)"
)
"""What the name of an attribute looks like whose value is secret, upper and lower case alike."""

ENDING: Final = r"(?:^|.*[._-])(?:token|jwt|auth)|.*(?-i:[a-z0-9](?:Token|Jwt|JWT|Auth))"
"""What the name of an attribute looks like whose text is secret, unless it names a way of logging in …"""
VOCABULARY: Final = (
    r"(?:^|.*[._-])(?:bos|eos|pad|unk|sep|cls|mask|stop|start|end|special|first|last|input|output|prompt|completion)"
    r"[._-]?token"
)
"""… or is one of these, which are tokens of a language model."""
_ENDS: Final = r"(?i:token|jwt|auth)"
SUSPICIOUS_ENDING: Final = rf"{_ENDS}\x12\C{{0,3}}?[\x00-\x7f][\n*2:]"
"""The end of such a name, and the beginning of a value that is no number, as protobuf writes them."""
WAYS: Final = words(
    "none", "basic", "bearer", "digest", "negotiate", "ntlm", "kerberos", r"oauth[12]?", "oidc", "openid", "saml",
    "ldap", "radius", "m?tls", "iam", "jwt", "api[-_ ]?key", "token", "password(?:less)?", "session", "cookie", "hmac",
    r"sigv4", r"scram(?:-sha-(?:1|256|512))?", "md5", "plain", "anonymous", "required", "optional", "(?:en|dis)abled",
    "on", "off", "yes", "no", "true", "false", "ok", "success", "fail(?:ed|ure)",
)  # fmt: skip
"""What such an attribute may say without giving anything away."""

_QUERY: Final = words(
    "token", "sig", "signature", "awsaccesskeyid", r"x-(?:amz|goog)-(?:signature|credential|security-token)"
)
_STATEMENT: Final = r"identified\s+by"
_USER_OPTION: Final = r"(?:-u|--(?:proxy-)?user)"
_NAME_OF_USER: Final = r"(?:\s+|=)[\"']?[^\s:\"']{1,128}:"
USER_OPTION: Final = rf"(?-i:{_USER_OPTION})"
"""An option of a command whose argument is a user and, after a colon, a password."""
SUSPICIOUS: Final = rf"(?i:{_ALWAYS}|{_ALONE}|headers?\.[a-z0-9_.-]{{0,80}}(?:token|signature))"
"""What is in a name or a text that holds a secret in any of these ways, but for queries, options and statements."""
_LOOSE_USER: Final = rf"(?:-[A-Za-z]{{0,6}}[uU]|user){_NAME_OF_USER}[^\s\"']"
SUSPICIOUS_ARGUMENT: Final = rf"{_USER_OPTION}\n\C{{1,3}}\n\C{{1,3}}[^\s:]{{1,128}}:"
"""Such an option and what follows it, as items of a list, as protobuf writes them."""
ACROSS: Final = words(_ENDS, _USER_OPTION)
"""What is in all that the last two find, in whatever order the parts of a message were written."""
LOOSE: Final = rf"{SUSPICIOUS}|(?i:(?:{_QUERY})(?:=|%3D)|-token[\s=]|{_STATEMENT})|{_LOOSE_USER}"

_KEY: Final = rf"(?:{_ALWAYS}|(?:\b|_|%[0-9A-F]{{2}})(?:{_ALONE})|{_CAPITALISED}){_MORE}"
_CLOSE: Final = r"\\*[\"']?\]?"
_IS: Final = r"\s{0,4}(?:=>|:=|[=:]|%3[AD])\s{0,4}"
_QUOTED: Final = words(r"[bru]{0,2}\"((?:[^\"\\]|\\.)*)", r"[bru]{0,2}'((?:[^'\\]|\\.)*)")
_ENCLOSED: Final = words(
    r"\\\"((?:[^\"\\]|\\\\\\?.)*)",  # JSON inside of JSON
    r"\\{2,}[\"']([^\"']*)",  # and deeper
    _QUOTED,
    r"\[\s*([\\\"'][^\]]*)",
    r"\{([^}]*)",
)
_PLAIN: Final = r"([^\s\"'&,;{}\[\]<>\\][^\s\"'&,;}<>\\]*)"
_HEADER: Final = (
    rf"\b(?:(?:set|proxy)[-_])?(?:authorization|cookie2?){_CLOSE}\s{{0,4}}:\s{{0,4}}"
    r"(digest\s[^\r\n]*|[^\s\"'\[{\\][^\r\n\"'\\]*)"
)
_PHRASE: Final = rf"pass[-_ ]?phrases?{_CLOSE}{_IS}([^\s\"'\[{{\\][^\r\n\"'\\,;&]*)"

OPTION: Final = rf"--?[a-z-]*(?:{_ALWAYS}|{_ALONE}|token)"
"""An option of a command whose argument, which follows it, is secret."""

SECRET: Final = "(?is)" + words(
    rf"{_KEY}{_CLOSE}{_IS}(?:{_ENCLOSED})",
    _HEADER,
    _PHRASE,
    rf"{_KEY}{_CLOSE}{_IS}{_PLAIN}",
    rf"{_KEY}>([^<>]+)</",
    rf"(?:^|[\s\"']){OPTION}(?:\s+|=)(?:{_QUOTED}|([^\s\"'\[-][^\s\"']*))",
    rf"(?:^|[?&;\s]|%26|%3F)(?:{_QUERY})(?:=|%3D)([^&\s\"'<>;\\\[]+)",
    rf"(?:{_STATEMENT}|\bpassword)\s+'([^']*)'",
    rf"\bcurl\s(?:[^\n]*?\s)?(?:-[a-z]{{0,6}}u|--(?:proxy-)?user){_NAME_OF_USER}([^\s\"']+)",
    rf"(?:^|[\s\"'])(?-i:{_USER_OPTION}){_NAME_OF_USER}([^\s\"']*\pL[^\s\"']*)",  # 1000:1000 are no secrets
)
"""A secret after the word that says so; its last group that is there is what is secret."""
_TOKEN_SHAPES: Final = (
    r"gh[pousr]_[A-Za-z0-9]{36,}",
    r"github_pat_[A-Za-z0-9_]{36,}",
    r"glpat-[A-Za-z0-9_-]{20,}",
    r"(?:AKIA|ASIA)[0-9A-Z]{16}",
    r"AIza[0-9A-Za-z_-]{35}",
    r"ya29\.[0-9A-Za-z_-]{20,}",
    r"xox[abeprs]-[A-Za-z0-9-]{10,}",
    r"hooks\.slack\.com/services/[A-Za-z0-9/]{20,}",
    r"(?:sk|rk|pk)[-_](?:live|test|proj|ant|or)?[-_]?[A-Za-z0-9_-]{20,}",
    r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",
    r"whsec_[A-Za-z0-9+/=]{24,}",
    r"hf_[A-Za-z0-9]{30,}",
    r"npm_[A-Za-z0-9]{36}",
    r"pypi-[A-Za-z0-9_-]{40,}",
)
_JWT: Final = r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"
_KEY_BLOCK: Final = r"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----(?s:.*?)(?:-----END [A-Z ]*KEY(?: BLOCK)?-----|\z)"
TOKEN: Final = words(*(rf"\b{shape}" for shape in _TOKEN_SHAPES), rf"\b{_JWT}", _KEY_BLOCK)
LOOSE_TOKEN: Final = words(
    *(shape.replace("{36,}", "{20}") for shape in _TOKEN_SHAPES), r"eyJ[A-Za-z0-9_-]{8}", "-----BEGIN "
)

BEARER: Final = (
    r"(?i)\b(?:(?:bearer|negotiate)(?:\s|%20)+([A-Za-z0-9+/_.~=-]{8,})|basic(?:\s|%20)+([A-Za-z0-9+/_-]{4,}={0,2}))"
)
LOOSE_BEARER: Final = r"(?i:(?:bearer|basic|negotiate)(?:\s|%20))"

_USER: Final = r"://[^/\s:@\"']{0,64}:"
PASSWORD: Final = rf"{_USER}(?:([^/\s\"'?#]{{1,256}})|([0-9]*[^0-9/\s@\"'?#][^\s\"'?#]{{0,256}}))@"
"""The password in an address, with an `@` or a `/` in it where nobody has encoded them; a port is none."""
LOOSE_PASSWORD: Final = rf"{_USER}[^\s\"'?#]{{1,256}}@"
