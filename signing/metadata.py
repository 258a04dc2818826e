"""The metadata of an e-certificate as XML, attached to every face.

Element names are those in use with GB/T 36903 (ZZ = 证照, CZZT = 持证主体). The bytes depend on the
record alone. Validity starts on the day of issue and has no end, so ZZYXQJZRQ stands empty. No
published name was found for the identifier of a replaced version: ZZTDBS (替代标识) is ours, and
stands only where one is replaced.
"""

from xml.sax.saxutils import escape

from signing.record import Record

TYPE_NAME = "专项职业能力证书"
ROOT_OID_ARCS = 5  # 1.2.156.3005.2 stands before the type code, GB/T 36904


def to_xml(record: Record) -> bytes:
    """Return the metadata in UTF-8, one element a line, in the order of a register."""
    type_code = record.identifier.split(".")[ROOT_OID_ARCS]
    issued = record.issued_on.isoformat()
    facts = {
        "ZZMC": TYPE_NAME,
        "ZZLXDM": type_code,
        "ZZBH": record.number,
        "ZZBS": record.identifier,
        "ZZBFJG": record.authority,
        "ZZBFJGDM": record.issuer_code,
        "ZZBFRQ": issued,
        "CZZT": record.name,
        "CZZTDM": record.id_number,
        "CZZTDMLX": record.id_kind_code,
        "ZZYXQQSRQ": issued,
        "ZZYXQJZRQ": "",
    }
    if record.replaces is not None:
        facts["ZZTDBS"] = record.replaces
    lines = "".join(f"<{tag}>{escape(value)}</{tag}>\n" for tag, value in facts.items())
    return f"<?xml version='1.0' encoding='utf-8'?>\n<ZZ>\n{lines}</ZZ>\n".encode()
