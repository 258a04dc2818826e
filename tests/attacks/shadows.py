"""Shadows and overlays: content that shows, hides or changes after a signature.

Sources: Mainka and others, "Shadow Attacks" (NDSS 2021); Rohlmann and others, "Breaking the
Specification: PDF Certification" (S&P 2021), for evil annotations and sneaky signatures. Over a
file of ours only the second half can be tried, for nothing foreign enters a face before its seal;
over a file of others both halves are.
"""

import re
from collections.abc import Callable

from pyhanko.sign.fields import MDPPerm

from tests.attacks import ALTERED, UNTRUSTED, Family
from tests.attacks.files import (
    FORGED,
    HELVETICA,
    Ours,
    append,
    body,
    deflated,
    document,
    edited,
    number_of,
    sign,
    stream,
)
from tests.attacks.revisions import forged_page

SHADOWS = Family("shadow attacks / 影子攻击")
ANNOTATIONS = Family("evil annotations / 恶意批注")
SNEAKY = Family("sneaky signatures / 潜入签名")

PAGE, CATALOG = b"/Type/Page/", b"/Type/Catalog"
_OVERLAY = b"q 1 1 1 rg 40 280 400 60 re f Q " + FORGED
_FORM = b"/Type/XObject/Subtype/Form/BBox[0 0 842 595]/Resources<</Font<</F1 301 0 R>>>>"

Shadow = Callable[[bytes], dict[int, bytes]]


def _hide(pdf: bytes) -> dict[int, bytes]:
    """Let an overlay that covered the page vanish, or one that was hidden show."""
    number = number_of(pdf, PAGE)
    own = re.search(rb"/Contents (\d+) 0 R", body(pdf, number))
    assert own
    page = re.sub(rb"/Contents \d+ 0 R", b"/Contents[%s 0 R 300 0 R]" % own[1], body(pdf, number))
    return {number: page, 300: deflated(_OVERLAY)}


def _replace(pdf: bytes) -> dict[int, bytes]:
    """Define every font of the page anew, which changes the words but not the content."""
    fonts = {int(found) for found in re.findall(rb"(\d+) 0 obj\s*<</Type/Font/", pdf)}
    return dict.fromkeys(fonts, HELVETICA)


def _replace_field(pdf: bytes) -> dict[int, bytes]:
    """Give the form a field whose shown text is not its value."""
    widget = (
        b"<</Type/Annot/Subtype/Widget/FT/Tx/T(name)/V(honest)/Rect[60 280 460 340]/F 4"
        b"/AP<</N 303 0 R>>/MK<<>>/DA(/F1 40 Tf)>>"
    )
    added = {302: widget, 303: stream(_OVERLAY, _FORM), 301: HELVETICA}
    return added | edited(pdf, PAGE, b"/Annots[302 0 R]", drop=rb"/Annots\[.*?\]")


def _hide_and_replace(pdf: bytes) -> dict[int, bytes]:
    """Switch the catalog to the other document that was hidden in the file all along."""
    return forged_page(pdf) | edited(pdf, CATALOG, b"/PageLayout/SinglePage")


def _layer(pdf: bytes) -> dict[int, bytes]:
    """Turn an optional-content layer on that was off."""
    group = b"/OCProperties<</OCGs[304 0 R]/D<</ON[304 0 R]/Order[304 0 R]>>>>"
    return _hide(pdf) | edited(pdf, CATALOG, group) | {304: b"<</Type/OCG/Name(Print)>>"}


def _prepared(ours: Ours) -> bytes:
    """Have others certify a document that holds its shadow already."""
    hidden = {
        300: deflated(_OVERLAY),
        301: HELVETICA,
        310: b"<</Type/Catalog/Pages 311 0 R>>",
        311: b"<</Type/Pages/Count 1/Kids[312 0 R]>>",
        312: b"<</Type/Page/Parent 311 0 R/MediaBox[0 0 842 595]/Contents 300 0 R"
        b"/Resources<</Font<</F1 301 0 R>>>>>>",
    }
    contract = document(b"BT /F1 20 Tf 60 500 Td (Pay 100) Tj ET", hidden)
    return sign(contract, ours.stranger, permissions=MDPPerm.FILL_FORMS)


def _before(ours: Ours) -> bytes:
    return ours.pdf


for _name, _tries, _shadow in (
    ("hide", "an overlay shows or vanishes", _hide),
    ("hide-by-layer", "an optional-content layer is switched", _layer),
    ("replace-font", "the fonts of the page are defined anew", _replace),
    ("replace-field", "a form field shows what is not its value", _replace_field),
    ("hide-and-replace", "the file turns to another page that lay in it", _hide_and_replace),
):
    SHADOWS.add(
        _name,
        f"over ours: {_tries}",
        ALTERED,
        lambda ours, shadow: append(ours.pdf, shadow(ours.pdf)),
        _shadow,
    )
    SHADOWS.add(
        f"{_name}-of-others",
        f"over a certification by others: {_tries}",
        UNTRUSTED,
        lambda ours, shadow: append(pdf := _prepared(ours), shadow(pdf)),
        _shadow,
    )
SHADOWS.add(
    "hidden-catalog-of-others",
    "the trailer turns to a catalog that others certified unseen",
    UNTRUSTED,
    lambda ours: append(_prepared(ours), {305: b"null"}, root=310),
)


def _annotated(pdf: bytes, annotation: bytes) -> bytes:
    objects = {302: annotation, 303: stream(_OVERLAY, _FORM), 301: HELVETICA}
    kept = re.search(rb"/Annots\[(.*?)\]", body(pdf, number_of(pdf, PAGE)))
    annotations = b"/Annots[%s 302 0 R]" % (kept[1] if kept else b"")
    return append(pdf, objects | edited(pdf, PAGE, annotations, drop=rb"/Annots\[.*?\]"))


for _kind, _entries in {
    "FreeText": b"/Contents(FORGED)/DA(/F1 40 Tf)",
    "Stamp": b"/Name/Approved",
    "Redact": b"/OverlayText(FORGED)/QuadPoints[60 280 460 280 460 340 60 340]",
    "Square": b"/IC[1 1 1]",
    "Widget": b"/FT/Tx/T(other)/V(FORGED)",
}.items():
    _dictionary = b"<</Type/Annot/Subtype/%s/Rect[60 280 460 340]/F 4/AP<</N 303 0 R>>%s>>" % (
        _kind.encode(),
        _entries,
    )
    ANNOTATIONS.add(
        _kind.lower(),
        f"a {_kind} annotation lies over the page",
        ALTERED,
        lambda ours, entry: _annotated(ours.pdf, entry),
        _dictionary,
    )
ANNOTATIONS.add(
    "of-others",
    "an annotation over a certification by others that allows it",
    UNTRUSTED,
    lambda ours: _annotated(ours.by_others, b"<</Type/Annot/Subtype/Stamp/Rect[60 280 460 340]>>"),
)

_FIELD = b"<</Type/Annot/Subtype/Widget/FT/Sig/T(Second)/Rect[0 0 842 595]/F 4/AP<</N 303 0 R>>%s>>"
SNEAKY.add(
    "unsigned-field",
    "an empty signature field draws over the page",
    ALTERED,
    lambda ours: _annotated(ours.pdf, _FIELD % b""),
)
SNEAKY.add(
    "signed-field",
    "a second signature, by others, draws over the page",
    ALTERED,
    lambda ours: sign(_annotated(ours.pdf, _FIELD % b""), ours.stranger),
)
SNEAKY.add(
    "own-field-moved",
    "the field of our own seal draws over the page",
    ALTERED,
    lambda ours: append(
        ours.pdf,
        {303: stream(_OVERLAY, _FORM), 301: HELVETICA}
        | edited(
            ours.pdf,
            b"/Type/Annot/Subtype/Widget",
            b"/Rect[0 0 842 595]/AP<</N 303 0 R>>",
            drop=rb"/Rect\[.*?\]",
        ),
    ),
)
SNEAKY.add(
    "of-others",
    "a drawing second signature over a certification by others",
    UNTRUSTED,
    lambda ours: sign(_annotated(ours.by_others, _FIELD % b""), ours.stranger),
)
