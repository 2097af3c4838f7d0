"""The programme within its mezzanine: what lies between `in` and `out`, and where other things lie against it."""

from dataclasses import dataclass
from fractions import Fraction

from pipelines.delivery import Chapter, Delivery
from pipelines.errors import DeliveryError
from pipelines.measured import Picture
from pipelines.timecode import frame_number, time_code


@dataclass(frozen=True, slots=True, kw_only=True)
class Programme:
    """A stretch of frames, and the clock that time codes name them by."""

    frame_rate: Fraction
    #: Frames that the time code of the mezzanine's first frame stands for.
    start_frame: int
    #: Of the programme, in the mezzanine.
    first_frame: int
    frames: int

    @property
    def seconds(self) -> Fraction:
        return self.frames / self.frame_rate

    @property
    def lead(self) -> Fraction:
        """Seconds from the mezzanine's first frame to the programme's."""
        return self.first_frame / self.frame_rate

    def at(self, code: str) -> Fraction:
        """Seconds from the programme's first frame to the one of that time code; negative before it."""
        return (frame_number(code, self.frame_rate) - self.start_frame) / self.frame_rate - self.lead


def programme(delivery: Delivery, picture: Picture) -> Programme:
    """The programme that `in` and `out` cut from the picture, by default all of it. Raises `DeliveryError`."""
    first, end = picture.start_frame, picture.start_frame + picture.frames
    begins = frame_number(delivery.programme_in, picture.frame_rate) if delivery.programme_in else first
    ends = frame_number(delivery.programme_out, picture.frame_rate) if delivery.programme_out else end
    for key, said, frame in (("in", delivery.programme_in, begins), ("out", delivery.programme_out, ends)):
        if said and not first <= frame <= end:
            start, stop = (time_code(n, picture.frame_rate, dropping=";" in said) for n in (first, end))
            raise DeliveryError(
                f"`{key}` is {said}, but the mezzanine runs from {start} to {stop}.",
                hint="Correct the time code, or say with mezzanine.start which one the first frame has.",
            )
    if begins >= ends:
        raise DeliveryError(
            f"The programme has no frame: `in` is {delivery.programme_in or 'its first frame'}, "
            f"`out` is {delivery.programme_out or 'its end'}.",
            hint="`out` is the time code of the frame after the last.",
        )
    return Programme(
        frame_rate=picture.frame_rate,
        start_frame=picture.start_frame,
        first_frame=begins - first,
        frames=ends - begins,
    )


def check_chapter(chapter: Chapter, within: Programme) -> None:
    """Raise `DeliveryError` for a chapter that is not in the programme."""
    start = within.at(chapter.start)
    end = within.at(chapter.end) if chapter.end else within.seconds
    if not 0 <= start < end <= within.seconds:
        stretch = f"from {chapter.start}" + (f" to {chapter.end}" if chapter.end else "")
        raise DeliveryError(
            f"The {chapter.kind} {stretch} is not within the programme.", hint="Correct its time codes in episode.toml."
        )
