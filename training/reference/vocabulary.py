"""Words that the normaliser knows; Rust has them from `training.tables`."""

from __future__ import annotations

from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


DOMAINS: Final = _words("""
    com org net edu gov mil info biz name mobi app dev xyz online site website shop store tech cloud digital agency
    africa asia berlin london wiki zip ai io co tv eu uk de fr nl ru cn jp br au nz ca ch se fi dk cz gr hu ie il ir
    kr mx pk pt ro sg tr tw ua vn za hk th ph bd ng ke gh eg ae lk np
""")
"""Top-level domains that make a bare host a link."""

WORDY: Final = _words("""
    me so to in is it at be am my us do by as no ly gl gd gg fm cc id im la vc ws sh rs st pl es page blog chat club
    live link top work one fun life team zone news today
""")
"""Those that are words or endings of file names too: only with a path."""

UNITS: Final = _words("""
    st nd rd th s am pm k m g b d x h p v w a c f l n t e i j y kg km cm mm nm um ms ns us mb gb tb kb kbps mbps gbps
    hz khz mhz ghz kw kwh mw mv ml cl dl mg mcg ft in lb lbs oz px pt em rem pc bn mn tn hr hrs min mins sec secs yr
    yrs wk wks day days mph kmh kph mah bit bits byte bytes way fps dpi ppi rpm bpm usd eur gbp inr rs cc cal kcal mol
    ppm year years hour hours week weeks month months times star stars ish ers u you me ya ever eva get got give up all
""")
"""What may follow a number."""

NAMES: Final = _words("""
    mp py python web html css es ps win windows http https ip ipv utf sha md base step part chapter page line level
    lesson lecture week day year grade class group team room unit section figure fig table eq test user node file var
    val arg num col row item task note version rev ver java php perl ruby vue ng lua go qt gtk log exp sin cos tan sqrt
    int uint float str char any some no every sum one inb be ph fc ec area type phase round season episode ep vol act
    scene gate floor exit route covid gpt llama model claude iphone ipad pixel galaxy office excel word id ch pp ex hw
    lab quiz exam form key tier stage lv cat dog abc xyz tmp foo bar baz co channel
""")
"""Names that are numbered by a last digit."""
