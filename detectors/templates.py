"""Log lines as masked templates: what the program says every time stays, what is said about one case goes.

Numbers, ids, addresses, times, quoted values, and all that looks like a secret become placeholders; words and the
names of hosts stay. Where a word might be either, it goes: a template that says too little is cheaper than a secret
in a report. One expression cuts a line into pieces in one pass, plain code judges each piece.
"""

import re

LINE_CHARS_MAX = 1024  # of a body that are looked at: its beginning names the event, and the work stays bounded
TEMPLATE_CHARS_MAX = 200  # fits a report's line; longer sentences are told apart by their beginnings
DEPTH_MAX = 3  # quotes within quotes; what lies deeper is one value
LABEL_DIGITS_MAX = 2  # digits of one part of a host's name: `s3`, `db-12` name machines, more is an id
LABEL_CHARS_MAX = 63  # DNS's own limit; a longer part is no name
JUDGED_CHARS_MIN = 12  # a run of letters this long may be a key; shorter ones cannot be told from words
CONSONANTS_MAX = 5  # in a row: English words of one language stay below in all but a few
CASED_CHARS_MIN = 8  # letters of both cases that may be a key's; of eight at random one in ten looks like CamelCase
BLOB_CHARS_MIN = 24  # 128 bits in base64 with its padding
RELATIVE_CHARS_MIN = 16  # of a path from nowhere that mixes digits and case, as base64 of 12 bytes does
PART_CHARS_MIN = 4  # shorter ones are abbreviations of every kind
NO_TEXT = "<no text>"

_SECRET_WORDS = (
    "passw|passphrase|passcode|pwd|secret|token|credential|api[_.-]?key|access[_.-]?key|private[_.-]?key|"
    "authorization|cookie|signature|connection[_.-]?string|client[_.-]?key|session[_.-]?id"
)
_SECRET_PARTS = "pass|auth|key|sig|pin|otp|cvv|cvc|ssn|iban|sid|jwt|dsn|hmac|salt|seed|session|card|pan|nonce|mfa|totp"
_PERSON_PARTS = "user|username|login|email|account|customer|tenant|owner|subject|org|organization|client"
_VALUE = r"""\\*"(?:[^"\\]|\\.)*(?:"|$)|\\*'(?:[^'\\]|\\.)*(?:'|$)|[^\s,;&"')\]}]+"""
_EQUALS = r"""\\*["']?\s*(?:=>|->|:=|=|:)\s*"""
_BREAKS = r"\s\"'`“”<>(){}\[\],;:=|?&#@"
_PART_ENDS = r"(?:[\w-]*[_.-])??"

_PLAIN = "|".join(
    (
        r"(?P<time>\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?"
        r"|\b\d\d:\d\d:\d\d(?:[.,]\d+)?)",
        r"(?P<ip>(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]\d)"
        r"|(?<![\w:])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:]))",
        # Everything else that is worth a look: it holds a digit or an escape, or is long.
        rf"(?P<word>(?<![^{_BREAKS}])(?=[^{_BREAKS}]*[\d%\\]|[^{_BREAKS}]{{{JUDGED_CHARS_MIN}}})[^{_BREAKS}]+=*)",
    )
)
_PIECES = re.compile(
    "|".join(
        (
            r"(?P<cookie>(?i:\b(?:set-)?cookie\s*[:=]).*)",
            # A scheme of authorization and what follows it, also without a key before it.
            r"(?P<bearer>(?i:\b(?:bearer|basic|digest|negotiate|apikey)\s+)(?=\S*[\d=._-]|\S{16})[^\s\"',;]+"
            r"|(?i:\bbearer\s+)[^\s\"',;]+)",
            rf"(?P<secret>(?<![\w.-])\\*[\"']?[\w.-]*(?i:{_SECRET_WORDS})[\w.-]*{_EQUALS}"
            rf"(?:(?i:bearer|basic|digest|negotiate|apikey|token)\s+)?(?:{_VALUE})"
            rf"|(?<![\w.-])\\*[\"']?{_PART_ENDS}(?i:{_SECRET_PARTS})(?:[_.-][\w.-]*)?{_EQUALS}(?:{_VALUE})"
            rf"|(?i:\b(?:password|passphrase|passcode|passwd|pwd|secret|token|api key)\s+(?:is|was|to)\s+)"
            rf"(?:{_VALUE}))",
            rf"(?P<person>(?<![\w.-])\\*[\"']?{_PART_ENDS}(?i:{_PERSON_PARTS})(?:[_.-]?(?i:id|name))?{_EQUALS}(?:{_VALUE})"
            r"|(?i:\btenant\s+)[\w.-]+)",
            # The sentence inside a JSON line, and the names of its other fields.
            r"(?P<said>\"(?i:msg|message|error|err|event|reason|exception|log)\"\s*:\s*\"(?:[^\"\\]|\\.)*(?:\"|$))",
            r"(?P<field>\"[A-Za-z_][A-Za-z_.-]{0,40}\"(?=\s*:))",
            r"(?P<quoted>\"(?:[^\"\\]|\\.)*(?:\"|$)|`[^`]*(?:`|$)|“[^”]*(?:”|$)|(?<!\w)'(?:[^'\\]|\\.)*?(?:'(?!\w)|$))",
            r"(?P<email>(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+)",
            r"(?P<userinfo>(?<=:)//(?:[^\s/@\"']*|[^\s/:@\"']*:[^\s@\"']*)@)",
            r"(?P<query>\?[\w.%\[\]-]+=[^\s\"'<>)]*|#[\w%.=&-]{4,})",
            _PLAIN,
        )
    )
)
_PLAIN_PIECES = re.compile(_PLAIN)
# Without any of these a line holds nothing but plain pieces, which are found in a sixth of the time.
_NOT_PLAIN = re.compile(r"[\"'`“=@?#>]")
_NOT_PLAIN_WORDS = (
    *("cookie", "bearer", "basic", "digest", "negotiate", "apikey", "tenant"),
    *("passw", "passphrase", "passcode", "pwd", "secret", "token", "api key"),
)
_NAMES_SECRET = re.compile(f"(?i:{_SECRET_WORDS}|{_SECRET_PARTS}|{_PERSON_PARTS})")
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://\S+|(?:[\w-]+\.)+[A-Za-z]{2,}(?::\d+)?(?:/\S*)?")
_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_NUMBER = re.compile(r"[-+#~]?(?:\d+[.]?)+\d*(?:e[-+]?\d+)?(?P<unit>(?:[a-zA-Zµ]{1,3}(?:/[a-z]{1,3})?|%)?)")
_HOST = re.compile(r"(?:[A-Za-z0-9_-]+\.)+[A-Za-z][A-Za-z-]*[A-Za-z]\.?")
_KNOWN = re.compile(
    r"eyJ[\w-]{5,}\.|A(?:KIA|SIA|ROA)[A-Z0-9]{8}|gh[opsur]_|github_pat_|xox[abeoprs]-|xapp-|sk[-_]|[pr]k_(?:live|test)_"
    r"|AIza|glpat-|npm_|pypi-|SG\.|ya29\.|hf_|dop_v1_|shp(?:at|ss)_|whsec_|dckr_pat_|nvapi-|LTAI|ATATT|vault:v\d|hvs\.|s\.\w{20}"
)
_CONSONANTS = re.compile(rf"[b-df-hj-np-tv-xz]{{{CONSONANTS_MAX},}}")
_VALUE_OF = re.compile(r"(?:=>|->|:=|=|:)\s*|\s(?:is|was|to)\s+", re.IGNORECASE)
_KEY_BEGINS = "-----BEGIN "  # RFC 7468: whatever follows on this line is key material
_VERSION = re.compile(r"[vV]\d{1,2}")  # as in `/v1/charge`
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_SHORT_HUMPS = "As|At|By|Db|Do|Go|Id|If|In|Io|Ip|Is|Js|My|No|Of|Ok|On|Or|Rx|To|Tx|Up"
_CAMEL = re.compile(rf"(?:[A-Z]*[a-z]{{2,}}|{_SHORT_HUMPS})+[A-Z]*")
_LETTER_HEX = re.compile(r"[a-f]{8,}|[A-F]{8,}")


def mask(body: str) -> str:
    """The template of a log body: its first line (of a Python traceback the last), masked, TEMPLATE_CHARS_MAX at most.

    The same body gives the same template anywhere; a body without text gives NO_TEXT.
    """
    line = _line(_COLOUR.sub("", body[: 16 * LINE_CHARS_MAX]))
    shown = _masked(line, 0)
    if not shown.isprintable():  # it will stand in people's terminals
        shown = "".join(c if c.isprintable() else " " for c in shown)
    return " ".join(shown.split())[:TEMPLATE_CHARS_MAX] or NO_TEXT


def _line(body: str) -> str:
    lines = [line for line in body.splitlines() if line.strip()]
    if not lines:
        return ""
    chosen = lines[-1] if lines[0].startswith("Traceback") else lines[0]
    if len(chosen) <= LINE_CHARS_MAX:
        return chosen
    # A cut through a word would leave half of it, too short to be known for what it is.
    return chosen[:LINE_CHARS_MAX].rsplit(None, 1)[0]


def _masked(text: str, depth: int) -> str:
    def placeholder(found: re.Match[str]) -> str:
        piece = found.group()
        match found.lastgroup:
            case "word":
                return _word(piece)
            case "quoted" | "field":
                return _quoted(piece, found.lastgroup, depth)
            case "said":
                key, _, value = piece.partition(":")
                inner = value.strip()[1:].removesuffix('"').replace('\\"', '"').replace("\\\\", "\\")
                return f'{key}:"{_masked(inner, depth + 1) if depth < DEPTH_MAX else "<str>"}"'
            case "secret":
                return _after_key(piece, "<secret>")
            case "person":
                return _after_key(piece, "<str>")
            case "bearer":
                return f"{piece.split(None, 1)[0]} <secret>"
            case "cookie":
                return "cookie: <secret>"
            case "query":
                return "?<query>" if piece[0] == "?" else "#<query>"
            case "userinfo":
                return "//<secret>@"
            case kind:
                return f"<{kind}>"

    text, key, _ = text.partition(_KEY_BEGINS)
    return (_PLAIN_PIECES if _is_plain(text) else _PIECES).sub(placeholder, text) + ("<secret>" if key else "")


def _is_plain(text: str) -> bool:
    if _NOT_PLAIN.search(text):
        return False
    lower = text.lower()
    if any(word in lower for word in _NOT_PLAIN_WORDS):
        return False
    keys = [before.split()[-1:] for before in text.split(":")[:-1]]
    return not any(_NAMES_SECRET.search(key) for found in keys for key in found)


def _after_key(piece: str, placeholder: str) -> str:
    """`password = "x"` -> `password = <secret>`. The key's own text is judged like any word."""
    found = _VALUE_OF.search(piece)
    if found is None:  # `tenant x`
        return f"{piece.split(None, 1)[0]} {placeholder}"
    key = piece[: found.start()].strip("\\\"' ")
    return f"{_word(key)}{found.group()}{placeholder}"


def _quoted(piece: str, group: str, depth: int) -> str:
    """A quoted value goes; an address keeps its host, the name of a JSON field stays."""
    quote, inner = piece[0], piece[1:].removesuffix(piece[0])
    if group == "field":
        return f"{quote}{_word(inner)}{quote}"
    if depth < DEPTH_MAX and _ADDRESS.fullmatch(inner):
        return f"{quote}{_masked(inner, depth + 1)}{quote}"
    return "<str>"


def _word(word: str) -> str:
    """One piece between blanks and brackets: as it is where it is language or a host's name, else its placeholder."""
    bare = word.rstrip(".!?")
    tail = word[len(bare) :]
    if not bare:
        return word
    return f"{_judged(bare)}{tail}"


def _judged(word: str) -> str:
    if _KNOWN.match(word):
        return "<secret>"
    if _UUID.fullmatch(word) or _LETTER_HEX.fullmatch(word):
        return "<id>"
    number = _NUMBER.fullmatch(word)
    if number:
        return f"<n>{number['unit']}"
    if _HOST.fullmatch(word):
        return ".".join(_label(label) for label in word.split("."))
    if "/" in word:
        return _path(word)
    if _has_digit(word):
        return "<secret>" if len(word) >= BLOB_CHARS_MIN else "<id>"
    return "<secret>" if _looks_random(word) else word


def _path(word: str) -> str:
    """Part for part, unless it is base64, which has slashes too: a long part that no path has gives it away."""
    parts = word.split("/")
    longest = max(parts, key=len)
    relative = "." not in word and word[0] != "/"
    long = len(word) >= BLOB_CHARS_MIN and len(longest) >= JUDGED_CHARS_MIN
    if long and (word.endswith("=") or "+" in word or _is_mixed(longest) or _looks_random(longest)):
        return "<secret>"
    if relative and len(word) >= RELATIVE_CHARS_MIN and _is_mixed(word):
        return "<secret>"
    return "/".join(_part(part) for part in parts)


def _part(part: str) -> str:
    """Letters whose case follows no pattern are a piece of base64, cut where it has a slash."""
    if not part or _VERSION.fullmatch(part):
        return part
    if len(part) >= PART_CHARS_MIN and part.isalpha() and part.isascii() and _changes_case(part):
        return "<id>"
    return _judged(part)


def _label(label: str) -> str:
    digits = sum(c.isdigit() for c in label)
    if digits > LABEL_DIGITS_MAX or label.isdigit() or len(label) > LABEL_CHARS_MAX:
        return "<id>"
    return "<id>" if _looks_random(label) or _LETTER_HEX.fullmatch(label) else label


def _is_mixed(word: str) -> bool:
    """Digits, small and large letters in one."""
    return _has_digit(word) and any(c.islower() for c in word) and any(c.isupper() for c in word)


def _has_digit(word: str) -> bool:
    return any(c.isdigit() for c in word)


def _looks_random(word: str) -> bool:
    """True where letters follow each other as in no word: too many consonants in a row, or changes of case without
    the pattern of a name in code."""
    for part in re.split(r"[^A-Za-z]+", word):
        if len(part) >= CASED_CHARS_MIN and _changes_case(part):
            return True
        if len(part) >= JUDGED_CHARS_MIN and _CONSONANTS.search(part.lower() if part.isupper() else part):
            return True
    return False


def _changes_case(part: str) -> bool:
    return not (part.isupper() or part.islower() or _CAMEL.fullmatch(part))
