"""What a bucket's client said went wrong, in words that say what to do."""

import re

_TROUBLES: tuple[tuple[str, str, bool], ...] = (
    (
        r"SignatureDoesNotMatch|AuthenticationFailed|403 .*signature",
        "{address} refused the key: the secret does not belong to it",
        True,
    ),
    (
        r"InvalidAccessKeyId|InvalidClientTokenId",
        "{address} does not know the access key: was it typed for another service?",
        True,
    ),
    (
        r"ExpiredToken|TokenRefreshRequired|token.*expired",
        "{address} refused keys that have expired: log in again",
        True,
    ),
    (
        r"RequestTimeTooSkewed",
        "{address} refused the request: the clock of this computer is wrong",
        True,
    ),
    (
        r"NoSuchBucket|ContainerNotFound|bucket does not exist",
        "there is no such bucket: {address}. Make it, or mend its name",
        True,
    ),
    (
        r"InvalidBucketName|InvalidResourceName|OutOfRangeInput",
        "{address}: a bucket cannot have this name",
        True,
    ),
    (
        r"QuotaExceeded|InsufficientStorage|XMinioStorageFull|50[37] .*full",
        "{address} is full: make room there",
        True,
    ),
    (
        r"PermanentRedirect|AuthorizationHeaderMalformed|301 Moved",
        "the bucket of {address} is in another region: set AWS_REGION to it",
        True,
    ),
    (
        r"403 Forbidden|AccessDenied|PermissionDenied|lacked the necessary privileges",
        "{address} refused (403): these keys may not write there",
        True,
    ),
    (
        r"401 Unauthorized|Unauthenticated|MissingCredentials|InvalidCredentials"
        r"|169\.254\.169\.254|credential",
        "nothing says who may write to {address}, or it is not believed (401): set the "
        "keys",
        True,
    ),
    (
        r"(?i)certificate|UnknownIssuer|CertExpired|NotValidForName",
        "the certificate of the server of {address} is not trusted: its name, its "
        "date, or who signed it",
        True,
    ),
    (
        r"(?i)InvalidContentType|received corrupt message|wrong version number",
        "the server of {address} does not speak https: its address begins with http://",
        True,
    ),
    (
        r"(?i)dns error|failed to lookup|name or service not known|no such host"
        r"|nodename nor servname",
        "the name of the server of {address} is not found: is it spelled right, and is "
        "this computer connected?",
        False,
    ),
    (
        r"(?i)connection refused|os error 111|os error 10061|actively refused",
        "the server of {address} refused the connection: is it running?",
        False,
    ),
    (
        r"(?i)timed? ?out|timeout",
        "the server of {address} did not answer in time",
        False,
    ),
    (
        r"(?i)network is unreachable|no route to host|os error 10[13]|os error 113",
        "{address} cannot be reached: is this computer connected?",
        False,
    ),
    (
        r"(?i)connection (reset|closed|aborted)|broken pipe|incomplete message",
        "the connection to {address} broke",
        False,
    ),
    (
        r"503 Service Unavailable|SlowDown|ServerBusy|429 Too Many|50\d ",
        "the server of {address} is busy or has trouble of its own",
        False,
    ),
    (
        r"builder error|URL scheme is not allowed|relative URL|InvalidUri",
        "{address}: the address of its server (endpoint) is none: https://HOST[:PORT]",
        True,
    ),
)
"""In what obstore says, in this order: what it means, and whether it will last."""

_NOT_OURS = re.compile(r"retry_timeout|max_retries|\btimeout: \d")
"""Words of its own settings, which tell nothing."""


def trouble_of(said: str, address: str) -> tuple[str, bool]:
    """In words, and whether somebody has to do something about it.

    What is not known is told as it was said, its first line.
    """
    looked_at = _NOT_OURS.sub("", said)
    for pattern, words, is_lasting in _TROUBLES:
        if re.search(pattern, looked_at):
            return words.format(address=address), is_lasting
    first = " ".join(said.split("\n\n")[0].split())
    return f"{address}: {first[:300]}", False
