"""How long answers of stations are waited for, and how often they are asked (``places``)."""

from __future__ import annotations

# Long for an answer on a LAN: a dozen switches on the way take 10 ms. An honest move waits for so long, and with a
# second question to everybody it must be within 0.3 s.
ANSWER_S = 0.15
# When a link died: the whole of a failure is to be healed in 50 ms. Where answers take longer, that long is waited.
SOON_S, SOON_MAX_S = 0.025, 0.3
MARGIN_S = 0.001  # what an answer may take beyond the usual time while its place seems wrong
# For so long after that what contradicts is no news for other switches: they ask themselves.
KNOWN_S = 0.5
# So many stations are asked then, next hops first, and so long after the last time.
MAX_SOON, AGAIN_SOON_S = 64, 0.03
AGAIN_FRESH_S = 0.005  # the same where it has become known since
# One question may be lost; the next one is sent after this.
AGAIN_S = 0.05
# Between the beginnings of two doubts about a station: a host that lies without end costs ten questions a second.
PAUSE_S = 0.1
# A question of LOCAL is answered within this time, also the kernel's, which asks each 0.25 s.
ASKED_S = 1.0
# The engine has asked again and again for so long: a channel through this place does not work.
DOUBTFUL_S = 1.0
# Questions so close to each other are about the same silence: the engine's slow pace is one in 5 s.
INSISTENT_S = 6.0
